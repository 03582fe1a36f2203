"""Losses, goodness and normalizers against sums written out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import ffprobe
from ffprobe.plugin.registry import Registry


def make(name: str, **params: Any) -> Any:
    component = Registry().load(name)[0]
    return component(component.Params(**params))


def context() -> ffprobe.LossContext:
    return ffprobe.LossContext(0, 1, 0, 0, torch.zeros(2, 1), torch.zeros(1, dtype=torch.int64))


POSITIVE, NEGATIVE = torch.tensor([3.0, 1.0]), torch.tensor([1.0, 1.5])


def test_symba_by_hand() -> None:
    # gaps 2 and -0.5, alpha 4: mean of log(1 + e^-8) and log(1 + e^2)
    expected = (math.log(1 + math.exp(-8)) + math.log(1 + math.exp(2))) / 2
    assert make("symba")(POSITIVE, NEGATIVE, context()).item() == pytest.approx(expected, rel=1e-6)


def test_symba_falls_when_the_gap_grows() -> None:
    # the paper's text prints the other sign, which would minimize the separation
    loss = make("symba")
    assert loss(POSITIVE + 1, NEGATIVE, context()) < loss(POSITIVE, NEGATIVE, context())


def test_fixed_threshold_by_hand() -> None:
    terms = [2 - 3.0, 2 - 1.0, 1 - 2.0, 1.5 - 2.0]
    expected = sum(math.log(1 + math.exp(t)) for t in terms) / 4
    assert make("fixed-threshold")(POSITIVE, NEGATIVE, context()).item() == pytest.approx(expected, rel=1e-6)


def test_fixed_threshold_is_also_called_tau() -> None:
    assert make("fixed-threshold", tau=10).params.threshold == 10


ACTIVATION = torch.tensor([[[[1.0, 2.0], [0.0, 3.0]]]])  # [1, 1, 2, 2], squares 1, 4, 0, 9


@pytest.mark.parametrize(("name", "expected"), [("mean-square", 3.5), ("sum-square", 14.0)])
def test_goodness_by_hand(name: str, expected: float) -> None:
    assert make(name).build((1, 2, 2), 10)(ACTIVATION).tolist() == [expected]


def test_goodness_of_bf16_is_float32() -> None:
    assert make("mean-square").build((1, 2, 2), 10)(ACTIVATION.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "divisor"),
    [("length", math.sqrt(14) + 1e-4), ("rms", math.sqrt(3.5) + 1e-8), ("none", 1.0)],
)
def test_division_normalizers_by_hand(name: str, divisor: float) -> None:
    got = make(name).build((1, 2, 2))(ACTIVATION)
    torch.testing.assert_close(got, ACTIVATION / divisor)


def test_layernorm_by_hand() -> None:
    got = make("layernorm").build((1, 2, 2))(ACTIVATION)
    # mean 1.5, variance (0.25 + 0.25 + 2.25 + 2.25) / 4
    torch.testing.assert_close(got, (ACTIVATION - 1.5) / math.sqrt(1.25 + 1e-5))


def test_layernorm_without_affine_has_no_parameters() -> None:
    assert list(make("layernorm", affine=False).build((4,)).parameters()) == []


def test_batchnorm_uses_both_halves_of_the_batch() -> None:
    module = make("batchnorm").build((1,))
    got = module(torch.tensor([[0.0], [2.0]]))
    torch.testing.assert_close(got, torch.tensor([[-1.0], [1.0]]), atol=1e-4, rtol=0)


def test_label_channel_appends_the_row_of_the_label() -> None:
    module = make("label-channel").build((3, 2, 2), 5)
    images = torch.rand(2, 3, 2, 2)
    got = module(images, torch.tensor([4, 0]))
    assert got.shape == (2, 4, 2, 2)
    torch.testing.assert_close(got[:, :3], images)
    torch.testing.assert_close(got[0, 3].flatten(), module.embedding[4])
    torch.testing.assert_close(module.neutral(images)[1, 3].flatten(), module.embedding.mean(0))


def test_pixel_overlay_writes_the_maximum_at_the_label() -> None:
    module = make("pixel-overlay").build((1, 2, 2), 3)
    images = torch.tensor([[[[0.1, 0.2], [0.3, 0.9]]]])
    assert module(images, torch.tensor([1])).flatten().tolist() == pytest.approx([0, 0.9, 0, 0.9])
    assert module.neutral(images).flatten().tolist() == pytest.approx([0.3, 0.3, 0.3, 0.9])


def test_pixel_overlay_refuses_more_classes_than_pixels() -> None:
    with pytest.raises(ffprobe.UsageError, match="an image has 4"):
        make("pixel-overlay").build((1, 2, 2), 5)


def test_uniform_wrong_is_uniform_over_the_wrong_labels() -> None:
    labels = torch.arange(4).repeat_interleave(3000)
    wrong = make("uniform-wrong")(labels[:, None], labels, 4, torch.Generator().manual_seed(0))
    counts = torch.zeros(4, 4).index_put_((labels, wrong), torch.ones(len(labels)), accumulate=True)
    assert counts.diagonal().tolist() == [0, 0, 0, 0]
    # 3 wrong labels share 3000 draws: 1000 each, standard deviation 26
    assert (counts[~torch.eye(4, dtype=torch.bool)] - 1000).abs().max() < 130


def groups(name: str, step: int, depth: int, epoch: int = 0, **params: Any) -> list[tuple[int, int]]:
    return [(g.start, g.stop) for g in make(name, **params).groups(step, epoch, depth)]


def test_greedy_trains_every_layer_alone() -> None:
    assert groups("greedy", 3, 3) == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize(
    ("step", "depth", "expected"),
    [
        (0, 6, [(0, 2), (2, 4), (4, 6)]),
        (1, 6, [(0, 1), (1, 3), (3, 5)]),  # the last layer is idle
        (0, 5, [(0, 2), (2, 4)]),
        (1, 5, [(0, 1), (1, 3), (3, 5)]),
        (0, 1, [(0, 1)]),
        (1, 1, [(0, 1)]),
    ],
)
def test_olu_pairs_layers_in_turn(step: int, depth: int, expected: list[tuple[int, int]]) -> None:
    assert groups("olu", step, depth) == expected


def test_olu_options() -> None:
    assert groups("olu", 0, 4, offset=1) == groups("olu", 1, 4)
    assert groups("olu", 5, 4, epoch=2, alternate_every="epoch") == groups("olu", 0, 4)
    assert groups("olu", 3, 4, alternate_every=2) == groups("olu", 1, 4)
    assert groups("olu", 1, 4, train_last=True)[-1] == (3, 4)


@pytest.mark.parametrize(("name", "millions"), [("tff-s", 2.81), ("tff-d", 8.48)])
def test_networks_have_the_paper_s_number_of_weights(name: str, millions: float) -> None:
    inputs, total = 4, 0  # three colours and the label
    for spec in make(name).layers((4, 32, 32), 10):
        total += 9 * inputs * spec.width
        inputs = spec.width
    assert total / 1e6 == pytest.approx(millions, abs=0.01)


@pytest.mark.parametrize("name", ["tff-s", "tff-d", "tiny", "fcn"])
def test_networks_scale_with_width(name: str) -> None:
    full, half = (make(name, width=w).layers((2, 8, 8), 10) for w in (1.0, 0.5))
    assert [s.width for s in half] == [s.width // 2 for s in full]


@pytest.mark.parametrize("name", ["tff-s", "tff-d"])
def test_networks_refuse_images_below_eight_pixels(name: str) -> None:
    with pytest.raises(ffprobe.UsageError, match="8x8"):
        make(name).layers((2, 7, 8), 10)


def test_fcn_is_the_paper_s() -> None:
    assert [s.width for s in make("fcn").layers((2, 28, 28), 10)] == [2048] * 6


@pytest.mark.parametrize(
    ("layers", "used"),
    [("last", [4]), ("last-3", [2, 3, 4]), ("last-9", [0, 1, 2, 3, 4]), ("all-but-first", [1, 2, 3, 4])],
)
def test_layer_goodness_reads_its_layers(layers: str, used: list[int]) -> None:
    evaluator = make("layer-goodness", layers=layers)
    goodness = torch.rand(5, 3, 4)
    assert evaluator.layers(5) == used
    torch.testing.assert_close(evaluator.scores(goodness), goodness[used].mean(0))
