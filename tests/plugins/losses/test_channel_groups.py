"""Channel groups: goodness, normalizer, losses and networks against values computed by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

import ffprobe
from ffprobe.config.preset_files import preset_names, read_preset
from ffprobe.config.settings import Training
from ffprobe.plugin.registry import Registry
from ffprobe.training.optimizers import learning_rate


def make(name: str, **params: Any) -> Any:
    component = Registry().load(name)[0]
    return component(component.Params(**params))


def context() -> ffprobe.LossContext:
    return ffprobe.LossContext(0, 1, 0, 0, torch.zeros(2, 1), torch.zeros(1, dtype=torch.int64))


MAPS = torch.tensor([1.0, 3.0, -2.0, 0.0, 5.0, 1.0]).view(1, 6, 1, 1).expand(1, 6, 2, 2)
"""Six constant channels."""


@pytest.mark.parametrize(
    ("name", "params", "classes", "expected"),
    [
        ("group-mean", {}, 3, [2.0, -1.0, 3.0]),
        ("group-square", {}, 3, [5.0, 2.0, 13.0]),
        ("group-mean", {}, 4, [2.0, -1.0, 5.0, 1.0]),  # 2 + 2 + 1 + 1 channels
        ("group-square", {"together": 2}, 6, [5.0, 5.0, 2.0, 2.0, 13.0, 13.0]),
        ("group-mean", {"together": 2}, 3, [2 / 3, 2 / 3, 2.0]),  # two groups of three channels, the last half used
    ],
)
def test_goodness_of_groups_by_hand(name: str, params: dict[str, Any], classes: int, expected: list[float]) -> None:
    got = make(name, **params).build((6, 2, 2), classes)(MAPS)
    torch.testing.assert_close(got, torch.tensor([expected]))
    flat = make(name, **params).build((6,), classes)(MAPS[:, :, 0, 0])  # a linear layer's features
    torch.testing.assert_close(flat, torch.tensor([expected]))


@pytest.mark.parametrize("name", ["group-mean", "group-square"])
def test_too_few_channels_are_refused(name: str) -> None:
    with pytest.raises(ffprobe.UsageError, match="5 channels cannot be split into 6"):
        make(name).build((5, 2, 2), 6)


@pytest.mark.parametrize("channels", [6, 8])
def test_group_norm_removes_group_mean(channels: int) -> None:
    normalizer = make("group-norm")
    normalizer.prepare(3)
    x = torch.rand(4, channels, 5, 5, dtype=torch.float64)
    out = normalizer.build((channels, 5, 5))(x)
    assert make("group-mean").build((channels, 5, 5), 3)(out).abs().max() < 1e-12
    first = x[:, : -(-channels // 3)].flatten(1)  # the larger groups come first
    by_hand = (first - first.mean(1, keepdim=True)) / (first.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(out[:, : -(-channels // 3)].flatten(1), by_hand)


def test_group_norm_of_a_run_has_a_group_for_each_class() -> None:
    spec = ffprobe.LayerSpec("conv", 12)
    network = type("One", (ffprobe.Network,), {"name": "one", "layers": lambda self, shape, classes: [spec]})()
    parts = (network, make("no-label"), make("group-norm"), make("group-mean"))
    layered = ffprobe.LayeredNetwork(*parts, (1, 6, 6), 4)
    passed = layered.layer(0).pass_on(layered.layer(0)(torch.randn(3, 1, 6, 6)))
    assert passed.view(3, 4, -1).mean(2).abs().max() < 1e-5
    assert make("group-norm", groups=2).build((12, 6, 6))(torch.randn(3, 12, 6, 6)).view(3, 2, -1).mean(
        2
    ).abs().max() < (1e-5)


GOODNESS = torch.tensor([[3.0, 1.0, 0.0], [0.5, 2.5, 70.0]], dtype=torch.float64)
LABELS = torch.tensor([0, 1])


def test_cwc_by_hand() -> None:
    first = math.exp(3) / (math.exp(3) + math.exp(1) + 1)
    # 70 counts as 50
    second = math.exp(2.5) / (math.exp(0.5) + math.exp(2.5) + math.exp(50))
    expected = -(math.log(first) + math.log(second)) / 2
    assert make("cwc")(GOODNESS, LABELS, context()).item() == pytest.approx(expected, rel=1e-8)
    # epsilon matters if all goodness is far below zero
    low = torch.full((1, 2), -40.0, dtype=torch.float64)
    e = math.exp(-40)
    assert make("cwc")(low, LABELS[:1], context()).item() == pytest.approx(
        -math.log((e + 1e-9) / (2 * e + 1e-9)), rel=1e-6, abs=1e-12
    )


def test_cwc_is_cross_entropy_for_ordinary_goodness() -> None:
    goodness = torch.rand(9, 5, dtype=torch.float64) * 8
    labels = torch.arange(9) % 5
    expected = functional.cross_entropy(goodness, labels).item()
    assert make("cwc")(goodness, labels, context()).item() == pytest.approx(expected, rel=1e-8)


def test_pvn_and_cwg_by_hand() -> None:
    terms = [2 - 3.0, 2 - 2.5, 0.5 - 2, 35.25 - 2]  # wrong goodness: (1 + 0) / 2 and (0.5 + 70) / 2
    expected = sum(math.log1p(math.exp(t)) for t in terms) / 4
    assert make("pvn")(GOODNESS, LABELS, context()).item() == pytest.approx(expected, rel=1e-12)
    competing = functional.cross_entropy(GOODNESS, LABELS).item()
    got = make("cwg")(GOODNESS, LABELS, context()).item()
    assert got == pytest.approx(0.28 * competing + 0.72 * expected, rel=1e-12)


def test_classes_together_have_the_gradient_of_their_groups() -> None:
    # cross entropy over classes is that over groups plus log d
    x = torch.rand(5, 6, 2, 2, dtype=torch.float64)
    labels = torch.tensor([0, 5, 3, 2, 4])
    results = []
    for together in (1, 2):
        leaf = x.clone().requires_grad_()
        goodness = make("group-square", together=together).build((6, 2, 2), 3 * together)(leaf)
        loss = functional.cross_entropy(goodness, labels if together == 2 else labels // 2)
        loss.backward()
        results.append((loss.item(), leaf.grad))
    assert results[1][0] == pytest.approx(results[0][0] + math.log(2))
    torch.testing.assert_close(results[0][1], results[1][1])


def test_no_label_can_standardize() -> None:
    images = torch.rand(3, 2, 5, 5) * 4 + 1
    got = make("no-label", standardize=True).build((2, 5, 5), 3)(images, torch.zeros(3)).flatten(1)
    torch.testing.assert_close(got.mean(1), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(got.var(1, correction=0), torch.ones(3), atol=1e-4, rtol=0)
    assert torch.equal(make("no-label").build((2, 5, 5), 3)(images, torch.zeros(3)), images)


@pytest.mark.parametrize(("done", "expected"), [(0, 0.08), (50, 0.044), (100, 0.008)])
def test_the_cosine_ends_at_a_fraction_of_the_learning_rate(done: int, expected: float) -> None:
    settings = Training(learning_rate=0.08, lr_schedule="cosine", min_lr_fraction=0.1)
    assert learning_rate(settings, (), done, 100) == pytest.approx(expected)


def test_networks_are_those_of_the_codes() -> None:
    cfse, plain = (make(name).layers((3, 32, 32), 10) for name in ("cfse", "ffcnn"))
    assert [(s.width, s.pool, s.groups, s.bias) for s in cfse] == [
        (20, 1, 1, True),
        (80, 2, 10, True),
        (240, 1, 1, True),
        (480, 2, 10, True),
    ]
    assert [(s.width, s.groups) for s in plain] == [(20, 1), (80, 1), (240, 1), (480, 1)]
    deep = make("deeperforward").layers((3, 32, 32), 10)
    assert [s.width for s in deep] == [100] * 5 + [200] * 4 + [400] * 4 + [800] * 4
    assert [i for i, s in enumerate(deep) if s.stride == 2] == [5, 9, 13]
    shortcuts = {i: (s.shortcut.source, s.shortcut.join, s.shortcut.pool) for i, s in enumerate(deep) if s.shortcut}
    assert shortcuts == {
        2: (0, "add", 1),
        4: (2, "concat", 1),
        6: (4, "add", 2),
        8: (6, "concat", 1),
        10: (8, "add", 2),
        12: (10, "concat", 1),
        14: (12, "add", 2),
    }
    assert all(s.shortcut.detached for s in deep if s.shortcut)


@pytest.mark.parametrize(("side", "sides"), [(28, [28, 14, 7, 7]), (8, [8, 4, 2, 1]), (5, [5, 5, 5, 5])])
@pytest.mark.parametrize("residual", [True, False])
def test_deeperforward_fits_odd_images(side: int, sides: list[int], residual: bool) -> None:
    parts = (make("deeperforward", width=0.1, residual=residual), make("no-label"), make("group-norm"))
    network = ffprobe.LayeredNetwork(*parts, make("group-mean"), (1, side, side), 10)
    assert [network.layer(i).output_shape[1] for i in (4, 8, 12, 16)] == sides
    inputs = [network.layer(i).input_shape[0] for i in (5, 9, 13)]
    assert inputs == ([20, 40, 80] if residual else [10, 20, 40])
    assert network(torch.randn(2, 1, side, side)).shape == (17, 2, 10)


@pytest.mark.parametrize("name", ["cwcomp", "pvn", "deeperforward", "olu-group-mean", "trifecta-group"])
def test_presets_fit_together(name: str) -> None:
    assert name in preset_names()
    registry = Registry()
    for kind, table in read_preset(name).items():
        if kind != "training":
            component: Any = registry.component(kind, table["name"])
            component.Params(**{k: v for k, v in table.items() if k != "name"})
            assert getattr(component, "form", "class") == "class"
    assert np.isfinite(Training(**read_preset(name).get("training", {})).learning_rate)
