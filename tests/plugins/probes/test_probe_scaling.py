"""Appendix D: what remains of separation at the weights' initial norms, in closed form where scale goes through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.scaling import Scaling
from plugin_files import write
from recorded_probe import recorded
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session

GROUP = "probes/scaling"
EXACT = "length:epsilon=1e-12"
"""Takes scale away to the last digit; its usual epsilon of 1e-4 would show in the fifth."""
BIASED = """
import ffprobe

class Biased(ffprobe.Network):
    name = "biased"
    def layers(self, shape, classes):
        return [ffprobe.LayerSpec("linear", 24, bias=True), ffprobe.LayerSpec("linear", 16, bias=True)]

@ffprobe.hookimpl
def ffprobe_components(): return [Biased]
"""


def train(out: Path, *plugins: str, **changes: Any) -> Any:
    registry = Registry()
    table = {"precision": "fp64", "recording": {"activations": False}, "training": {"learning_rate": 0.02}}
    Session.start(
        toy_config(registry, *plugins, "scaling:sandbox_every=1", **{**table, **changes}), registry, out
    ).run()
    return ffprobe.open(out)


def shares(run: Any) -> tuple[np.ndarray, np.ndarray]:
    """What remains, and the factors, each ``[row, layer]``."""
    assert run.messages() == []
    return (
        run.read(f"{GROUP}/rescaled").astype(float) / run.read(f"{GROUP}/separation"),
        run.read(f"{GROUP}/factor").astype(float),
    )


@pytest.mark.parametrize("normalizer", [EXACT, "batchnorm"], ids=["length", "batchnorm"])
def test_behind_a_normalizer_the_share_is_the_square_of_the_factor(tmp_path: Path, normalizer: str) -> None:
    with train(tmp_path / "a.h5", normalizer, "symba") as run:
        share, factor = shares(run)
        assert (factor[-1] < 0.95).all()  # the weights grew, so there is something to see
        # batch normalization's epsilon of 1e-5 stands beside the variance, which scales
        np.testing.assert_allclose(share, factor**2, rtol=1e-3 if normalizer == "batchnorm" else 1e-5)
        norms = run.read("metrics/weight_norm").astype(float)
        np.testing.assert_allclose(factor, run.read("initial/weight_norm") / norms, rtol=1e-6)
        rows = Scaling().analyze([run]).to_dict()["rows"]
        for i, row in enumerate(rows):
            assert row["share"] == pytest.approx(factor[-1, i] ** 2, rel=1e-3)
            assert row["norm_growth"] == pytest.approx(1 / factor[-1, i])


def test_without_a_normalizer_scale_goes_through_all_layers(tmp_path: Path) -> None:
    with train(tmp_path / "a.h5", "none", "symba") as run:
        share, factor = shares(run)
        np.testing.assert_allclose(share, np.cumprod(factor, axis=1) ** 2, rtol=1e-4)


@pytest.mark.parametrize("position", ["preactivation", "activation"])
def test_a_gain_behind_the_map_is_folded_in(tmp_path: Path, position: str) -> None:
    with train(tmp_path / "a.h5", f"batchnorm:position={position}", "symba") as run:
        share, factor = shares(run)
        np.testing.assert_allclose(share, factor**2, rtol=1e-2)  # without folding it is 1, whatever was learned
        gain = np.array([np.linalg.norm(run.read(f"weights/{i}/normalizer.weight")) for i in range(3)])
        channels = np.array([len(run.read(f"weights/{i}/normalizer.weight")) for i in range(3)])
        np.testing.assert_allclose(factor[-1], np.sqrt(channels) / gain, rtol=1e-5)
        assert (abs(factor[-1] - 1) > 1e-3).all()
        result = Scaling().analyze([run])
        assert any("its gain is folded in" in note for note in result.notes)


def test_the_turn_of_a_weight_is_free_of_scale(tmp_path: Path) -> None:
    import torch
    from ffprobe_plugins.probes.scaling import _turned

    weight = torch.tensor([3.0, 4.0])
    assert _turned(weight, 7 * weight) == pytest.approx(0, abs=1e-12)
    assert _turned(weight, torch.tensor([-4.0, 3.0])) == pytest.approx(1)
    assert np.isnan(_turned(weight, 0 * weight))
    with train(tmp_path / "a.h5", "batchnorm", "symba") as run:
        turned = run.read(f"{GROUP}/turned")
        assert ((turned > 0) & (turned < 2)).all()
        rows = Scaling().analyze([run]).to_dict()
        assert [row["turned_first"] for row in rows["rows"]] == pytest.approx(turned[0].tolist())
        assert [row["turned_last"] for row in rows["rows"]] == pytest.approx(turned[-1].tolist())
        assert any("readout of the weight's norm" in note for note in rows["notes"])


def test_a_file_of_version_0_1_is_still_analyzed(tmp_path: Path) -> None:
    class Old(Scaling):
        def variables(self, run: Any) -> Any:
            return [v for v in super().variables(run) if v.name not in ("folded", "turned")]

    rows = one([1.0, 2.0], [0.9, 1.2], [0.5, 0.5])
    run = recorded(tmp_path / "a.h5", Old(), rows, layers=2, metrics=metrics(), first=np.ones(2))
    result = Scaling().analyze([run])
    assert result.to_dict()["rows"][0]["turned_last"] is None
    assert any("no change of direction" in note for note in result.notes)


def test_a_bias_is_scaled_with_its_weight(tmp_path: Path) -> None:
    plugin = write(tmp_path, BIASED)
    with train(tmp_path / "a.h5", EXACT, "symba", network={"name": "biased", "plugin": plugin}) as run:
        share, factor = shares(run)
        assert abs(run.read("weights/0/linear.bias")).max() > 0.01
        np.testing.assert_allclose(share, factor**2, rtol=1e-5)


def test_class_vectors_are_separated_too(tmp_path: Path) -> None:
    text = """
import torch
from torch import nn
import ffprobe

class Parts(ffprobe.Goodness):
    name = "parts"
    form = "class"
    def build(self, shape, classes):
        class Module(nn.Module):
            def forward(self, h):
                parts = h.flatten(1).square().tensor_split(classes, dim=1)
                return torch.stack([p.mean(dim=1) for p in parts], dim=1)
        return Module()

class Cross(ffprobe.Loss):
    name = "cross"
    form = "class"
    def __call__(self, goodness, labels, context):
        return nn.functional.cross_entropy(goodness, labels)

@ffprobe.hookimpl
def ffprobe_components(): return [Parts, Cross]
"""
    with train(tmp_path / "a.h5", write(tmp_path, text), EXACT) as run:
        share, factor = shares(run)
        assert (run.read(f"{GROUP}/separation")[-1] > 0).all()
        np.testing.assert_allclose(share, factor**2, rtol=1e-5)


def one(separation: list[float], rescaled: list[float], factor: list[float]) -> dict[str, list[dict[str, Any]]]:
    return {"": [{"step": 8, "separation": separation, "rescaled": rescaled, "factor": factor}]}


def metrics(epochs: int = 24, layers: int = 2, **growth: float) -> dict[str, np.ndarray]:
    """Every metric 1 to begin with; in the second half it grows by so much."""
    names = ("goodness_positive", "goodness_negative", "weight_maximum")
    late = np.arange(epochs) >= epochs // 2
    return {n: np.where(late, growth.get(n, 1.0), 1.0)[:, None] * np.linspace(1, 0.9, layers) for n in names}


@pytest.mark.parametrize(
    ("rescaled", "verdict", "agrees"),
    [([0.9, 1.2], "learning", True), ([0.9, 0.8], "both", False), ([0.1, 0.8], "scaling", False)],
    ids=["learning", "both", "scaling"],
)
def test_the_verdict_follows_its_rule(tmp_path: Path, rescaled: list[float], verdict: str, agrees: bool) -> None:
    rows = one([1.0, 2.0], rescaled, [0.5, 0.5])
    run = recorded(tmp_path / "a.h5", Scaling(), rows, layers=2, metrics=metrics(), first=np.ones(2))
    result = Scaling().analyze([run])
    assert result.extra["runs"][0]["verdict"].startswith(f"{verdict}:")
    assert result.notes[0].startswith(f"Separation grows by {verdict}:")
    assert result.claims[-1].agrees is agrees
    assert [row["share"] for row in result.to_dict()["rows"]] == pytest.approx([rescaled[0], rescaled[1] / 2])


def test_what_does_not_separate_has_no_share(tmp_path: Path) -> None:
    rows = one([1.0, -0.1], [0.9, -0.05], [0.5, 0.5])
    run = recorded(tmp_path / "a.h5", Scaling(), rows, layers=2, metrics=metrics(), first=np.ones(2))
    result = Scaling().analyze([run])
    assert result.to_dict()["rows"][1]["share"] is None
    assert any("layer 2 does not separate" in note for note in result.notes)
    assert result.claims[-1].agrees is None
    none = recorded(
        tmp_path / "b.h5",
        Scaling(),
        one([0.0, -0.1], [0.0, 0.0], [1.0, 1.0]),
        layers=2,
        metrics=metrics(),
        first=np.ones(2),
    )
    assert Scaling().analyze([none]).extra["runs"][0]["verdict"].startswith("undecided")


def seven_layers(path: Path, epochs: int, network: str = "tff-d", **growth: float) -> Any:
    """A run of seven layers, each of which is right about all images."""
    truth = [0, 1] * 10  # enough images to be above chance
    test = 1.0 * np.tile(np.eye(4)[truth], (7, 1, 1))
    test[:, 2, 0] = [160, 150, 140, 100, 90, 90, 80]
    rows, measured = one([1.0] * 7, [1.0] * 7, [1.0] * 7), metrics(epochs, 7, **growth)
    words: Any = {"layers": 7, "first": np.ones(7), "test": test, "truth": truth, "network": network}
    return recorded(path, Scaling(), rows, metrics=measured, **words)


@pytest.mark.parametrize(
    ("growth", "epochs", "goodness"),
    [({}, 24, True), ({"goodness_positive": 2.5}, 24, False), ({}, 6, None)],
    ids=["steady", "goodness-grows", "too-short"],
)
def test_figure_5_is_decided_by_the_second_half(
    tmp_path: Path, growth: dict[str, float], epochs: int, goodness: bool | None
) -> None:
    result = Scaling().analyze([seven_layers(tmp_path / "a.h5", epochs, **growth)])
    assert [claim.agrees for claim in result.claims] == [goodness, True]
    assert [row["goodness_max"] for row in result.to_dict()["rows"]] == [160, 150, 140, 100, 90, 90, 80]
    assert len(result.figure().axes) == 3


def test_figure_5_is_about_the_deep_network(tmp_path: Path) -> None:
    result = Scaling().analyze([seven_layers(tmp_path / "a.h5", 24, network="tff-s")])
    assert [claim.not_comparable for claim in result.claims] == ["another network (tff-s)", ""]


def test_several_runs(tmp_path: Path) -> None:
    rows = one([1.0, 2.0], [0.9, 1.2], [0.5, 0.5])
    runs = [
        recorded(tmp_path / f"{n}.h5", Scaling(), rows, layers=2, metrics=metrics(), first=np.ones(2), normalizer=n)
        for n in ("length", "batchnorm")
    ]
    result = Scaling().analyze(runs)
    assert [row["run"] for row in result.to_dict()["rows"]] == ["length"] * 2 + ["batchnorm"] * 2
    assert result.figure().axes


class TestRefusals:
    def test_not_recorded(self, make_run: Any) -> None:
        with pytest.raises(ffprobe.FileError, match=r"No rescaled separation was recorded.*--plugin scaling"):
            Scaling().analyze([make_run()])

    def test_nothing_yet(self, tmp_path: Path) -> None:
        run = recorded(tmp_path / "a.h5", Scaling(), {}, layers=2, finish=False)
        with pytest.raises(ffprobe.FileError, match="The file has no rescaled separation yet"):
            Scaling().analyze([run])
