"""The worked examples: each is a plugin that keeps its contract and trains, and does what its page says."""

from __future__ import annotations

import ast
import importlib
import math
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from docs.page_blocks import ROOT
from scipy.special import expit

import ffprobe
from ffprobe.testing import check_plugin, toy_run

EXAMPLES = ROOT / "docs" / "examples"
NAMES = sorted(project.parent.name for project in EXAMPLES.glob("*/pyproject.toml"))
LOADED = [name for name in NAMES if name != "tensorboard-log"]  # needs a library that is not among ours


def module_of(name: str) -> Path:
    return EXAMPLES / name / f"ffprobe_{name.replace('-', '_')}.py"


def component(name: str, **settings: Any) -> Any:
    """The example's component with these settings."""
    sys.path.insert(0, str(EXAMPLES / name))
    try:
        (cls,) = importlib.import_module(module_of(name).stem).ffprobe_components()
    finally:
        sys.path.remove(str(EXAMPLES / name))
    return cls(cls.Params(**settings))


def test_there_are_seven() -> None:
    assert len(NAMES) == 7


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_a_small_distribution(name: str) -> None:
    project = tomllib.loads((EXAMPLES / name / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["ffprobe"] == {name: module_of(name).stem}
    assert project["project"]["name"] == f"ffprobe-{name}"
    assert project["tool"]["setuptools"]["py-modules"] == [module_of(name).stem]
    text = module_of(name).read_text()
    assert 15 <= sum(bool(line.strip()) for line in text.splitlines()) <= 60
    summary = (ast.get_docstring(ast.parse(text)) or "").splitlines()[0].removesuffix(".")
    assert project["project"]["description"] == summary
    assert "ffprobe run" in (EXAMPLES / name / "README.md").read_text()
    assert f"]({name}/" in (EXAMPLES / "README.md").read_text()


@pytest.mark.parametrize("name", LOADED)
def test_an_example_keeps_its_contract(name: str) -> None:
    report = check_plugin(module_of(name))
    assert report.passed, str(report)


@pytest.mark.parametrize("name", LOADED)
def test_an_example_trains(name: str, tmp_path: Path) -> None:
    run = toy_run(str(module_of(name)), out=tmp_path / "run.h5")
    assert run.messages == ()


def test_power_norm_with_p_two_and_exponent_one_is_rms() -> None:
    x = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    root = x.flatten(1).square().mean(dim=1).sqrt()
    out = component("power-norm", exponent=1.0).build((3, 4, 4))(x)
    torch.testing.assert_close(out, x / root.view(-1, 1, 1, 1))
    x = x.abs() + 0.1
    out = component("power-norm", p=1, exponent=0.5).build((3, 4, 4))(x)
    torch.testing.assert_close(out, x / x.mean(dim=(1, 2, 3), keepdim=True).sqrt())
    torch.testing.assert_close(component("power-norm", exponent=0.0).build((3, 4, 4))(x), x)


def test_swish_symba_is_the_formula_and_is_smallest_where_its_page_says() -> None:
    loss, gap = component("swish-symba"), np.linspace(-2, 2, 40001)
    value = np.array([float(loss(torch.tensor([g]), torch.tensor([0.0]), None)) for g in gap[::4000]])
    np.testing.assert_allclose(value, (-6 * gap * expit(-6 * gap))[::4000], rtol=1e-5, atol=1e-7)
    curve = -6 * gap * expit(-6 * gap)
    assert gap[curve.argmin()] == pytest.approx(1.278 / 6, abs=2e-4)
    assert curve.min() == pytest.approx(-0.2785, abs=1e-4)


@pytest.mark.parametrize("overlap", [0, 1, 2])
@pytest.mark.parametrize("depth", [1, 2, 3, 6, 7])
def test_triples_are_windows_of_three(depth: int, overlap: int) -> None:
    scheduler, stride = component("triples", overlap=overlap), 3 - overlap
    ends: set[int] = set()
    for step in range(stride):
        groups = [(part.start, part.stop) for part in scheduler.groups(step, 0, depth)]
        assert len(set(groups)) == len(groups)
        assert all(1 <= b - a <= 3 and a >= 0 and b <= depth for a, b in groups)
        assert {layer for a, b in groups for layer in range(a, b)} == set(range(depth))
        whole = sorted((a, b) for a, b in groups if b - a == 3 and a > 0)
        assert all(one[1] - two[0] == overlap for one, two in pairwise(whole))
        ends |= {b - 1 for _, b in groups}
    assert ends == set(range(depth))  # every layer carries a loss of its own in turn


@pytest.mark.parametrize(("height", "width", "classes"), [(8, 8, 10), (5, 7, 17), (28, 28, 100), (2, 3, 3)])
def test_fourier_labels_are_orthogonal_waves(height: int, width: int, classes: int) -> None:
    module = component("fourier-labels", strength=2.0).build((1, height, width), classes)
    black, labels = torch.zeros(classes, 1, height, width), torch.arange(classes)
    waves = module(black, labels).flatten(1).double()
    gram = waves @ waves.T
    off = gram - torch.diag(gram.diag())
    assert float(off.abs().max()) < 1e-4 * float(gram.diag().min())
    assert float(waves.mean(dim=1).abs().max()) < 1e-5  # no wave changes an image's mean
    torch.testing.assert_close(module.neutral(black)[0].flatten().double(), waves.mean(dim=0))
    assert float(waves.abs().max()) <= 2.0001


def test_fourier_labels_refuse_more_classes_than_waves() -> None:
    with pytest.raises(ffprobe.UsageError, match="too few waves"):
        component("fourier-labels").build((1, 2, 2), 3)


def test_hard_labels_are_drawn_in_proportion() -> None:
    goodness = torch.tensor([[5.0, 0.0, 1.0, math.log(2)]]).expand(40000, -1)
    labels = torch.zeros(40000, dtype=torch.int64)
    drawn = component("hard-labels")(None, labels, 4, torch.Generator().manual_seed(0), goodness)
    share = np.bincount(drawn.numpy(), minlength=4) / 40000
    wanted = np.array([0, 1, math.e, 2]) / (3 + math.e)
    assert share[0] == 0
    np.testing.assert_allclose(share, wanted, atol=4 * 0.5 / 40000**0.5)
    cold = component("hard-labels", temperature=1e-3)
    assert set(cold(None, labels, 4, torch.Generator(), goodness).tolist()) == {2}


def fake_step(weights: list[torch.Tensor | None]) -> tuple[Any, list[list[float]]]:
    """The context of a step after which the layers have these weights, and what was recorded."""
    recorded: list[list[float]] = []
    network = SimpleNamespace(layer=lambda i: SimpleNamespace(weight=weights[i]))
    run = SimpleNamespace(network=network, layers=weights)
    return SimpleNamespace(run=run, record=lambda name, value: recorded.append(value)), recorded


def test_update_angles_of_known_changes() -> None:
    probe, weight = component("update-angles"), torch.zeros(2, 2)
    context, recorded = fake_step([weight, None])
    for change in ([1, 0], [1, 0], [0, 0], [0, 2], [0, -5], [3, -3]):
        weight += torch.tensor([change, [0, 0]], dtype=torch.float32)
        probe.ffprobe_after_step(context)
    first = [row[0] for row in recorded]
    np.testing.assert_allclose(first, [np.nan, np.nan, np.nan, 0, -1, 0.5**0.5], atol=1e-6)
    assert all(math.isnan(row[1]) for row in recorded)


def test_update_angles_go_on_after_a_checkpoint() -> None:
    weight = torch.zeros(2)
    one, (context, recorded) = component("update-angles"), fake_step([weight])
    for change in ([0.0, 0.0], [1.0, 0.0]):
        weight += torch.tensor(change)
        one.ffprobe_after_step(context)
    two = component("update-angles")
    two.load_state_dict(one.state_dict())
    weight += torch.tensor([1.0, 1.0])
    two.ffprobe_after_step(context)
    assert recorded[-1] == pytest.approx([0.5**0.5])


def test_update_angles_answer_from_a_run(tmp_path: Path) -> None:
    path = module_of("update-angles")
    run = toy_run(str(path), out=tmp_path / "run.h5", settings={"training": {"epochs": 3}})
    with run.open() as file:
        result = component("update-angles").analyze([file, file])
        cosine = file.read("probes/update-angles/cosine")
    assert len(result.rows) == 6
    assert result.rows[0][2] == pytest.approx(float(np.nanmean(cosine[:, 0])), abs=1e-5)
    result.save_figure(tmp_path / "angles.png")
    bare = toy_run(out=tmp_path / "bare.h5")
    with bare.open() as file, pytest.raises(ffprobe.FileError, match="--plugin update-angles"):
        component("update-angles").analyze([file])


def train_with_tensorboard(folder: Path) -> Any:
    # a copy, since a plugin file is imported once in a process, with whatever writer it found then
    path = folder / "tensorboard_log.py"
    path.write_text(module_of("tensorboard-log").read_text())
    return toy_run(str(path), out=folder / "run.h5")


def test_without_tensorboard_the_run_does_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ffprobe.PluginError, match="pip install tensorboard"):
        train_with_tensorboard(tmp_path)


def test_the_tensorboard_writer_tells_every_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[Any, ...]] = []

    class Writer:
        def __init__(self, folder: str | None) -> None:
            told.append(("open", folder))

        def __getattr__(self, name: str) -> Any:
            return lambda *arguments: told.append((name, *arguments))

    stand_in = ModuleType("torch.utils.tensorboard")
    stand_in.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stand_in)
    monkeypatch.setenv("FFPROBE_TENSORBOARD", str(tmp_path / "logs"))
    run = train_with_tensorboard(tmp_path)
    assert run.messages == ()
    assert told[0] == ("open", str(tmp_path / "logs"))
    assert told[-1] == ("close",)
    scalars = {(name, step): value for kind, name, value, step in (t for t in told if t[0] == "add_scalar")}
    with run.open() as file:
        loss = file.read("metrics/loss")
    assert scalars["loss/layer 2", 2] == pytest.approx(float(loss[1, 1]), rel=1e-6)
    assert {name for name, _ in scalars} == {
        f"{metric}/layer {layer}"
        for metric in ("loss", "goodness_positive", "goodness_negative", "validation_accuracy")
        for layer in (1, 2, 3)
    }
    assert [t[1] for t in told if t[0] == "add_histogram"] == [f"weight/layer {i}" for i in (1, 2, 3)] * 2


def test_tensorboard_reads_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is none of our dependencies; where it is, this runs")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("FFPROBE_TENSORBOARD", str(tmp_path / "logs"))
    run = train_with_tensorboard(tmp_path)
    assert run.messages == ()
    events = EventAccumulator(str(tmp_path / "logs"))
    events.Reload()
    with run.open() as file:
        loss = file.read("metrics/loss")
    assert [event.value for event in events.Scalars("loss/layer 1")] == pytest.approx(loss[:, 0].tolist(), rel=1e-6)
