"""A label scan over a network against one forward pass per label, and its cost against the rows of each layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from ffprobe_plugins.encoders.label_channel import LabelChannel
from ffprobe_plugins.encoders.pixel_overlay import PixelOverlay
from ffprobe_plugins.goodness.mean_square import MeanSquare
from ffprobe_plugins.normalizers.batchnorm import BatchNorm
from ffprobe_plugins.normalizers.length import Length
from torch import nn

import ffprobe
from ffprobe.components.network import LayerSpec, Shortcut
from ffprobe.inference.activations import ActivationSampler
from ffprobe.inference.label_scan import NetworkLabelScan
from ffprobe.network.multiply_adds import multiply_adds
from ffprobe.network.network import LayeredNetwork

SHAPE, CLASSES, IMAGES = (1, 8, 8), 5, 7


@pytest.fixture(autouse=True)
def _every_layer_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    # rows are counted as inputs of a layer; a first layer shared between labels is not called (test_first_layer)
    monkeypatch.setattr("ffprobe.inference.label_scan.first_layer", lambda network, images: None)
    monkeypatch.setattr("ffprobe.inference.evaluate.first_layer", lambda network, images: None)


class Small(ffprobe.Network):
    """Two convolutions, the second joined by a shortcut, and two linear maps."""

    name = "small"

    def layers(self, shape: Any, classes: int) -> list[LayerSpec]:
        return [
            LayerSpec("conv", 6, pool=2),
            LayerSpec("conv", 6, shortcut=Shortcut(0)),
            LayerSpec("linear", 9),
            LayerSpec("linear", 8),
        ]


class OnOutput(Length):
    """Length normalization of what is passed on."""

    position = "output"


class ByClass(ffprobe.Goodness):
    """A linear head."""

    name, form = "by-class", "class"

    def build(self, shape: Any, classes: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(int(torch.Size(shape).numel()), classes))


def build(encoder: Any = LabelChannel, normalizer: Any = BatchNorm, goodness: Any = MeanSquare) -> LayeredNetwork:
    torch.manual_seed(0)
    network = LayeredNetwork(Small(), encoder(), normalizer(), goodness(), SHAPE, CLASSES)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.running_mean.uniform_(-0.2, 0.2)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    return network.eval().requires_grad_(False)


def scan_of(network: LayeredNetwork, images: torch.Tensor, rows: int = 4) -> NetworkLabelScan:
    return NetworkLabelScan(network, images, 30, nullcontext, rows)


def brute(network: LayeredNetwork, images: torch.Tensor) -> torch.Tensor:
    """Goodness ``[L, N, K]``, image by image, label by label."""
    if network.form == "class":
        return torch.stack([network(image[None])[:, 0] for image in images], dim=1)
    labels = torch.arange(CLASSES)
    return torch.stack([torch.stack([network(i[None], k[None])[:, 0] for k in labels], dim=1) for i in images], dim=1)


@contextmanager
def counted(network: LayeredNetwork) -> Iterator[list[int]]:
    """The number of rows that each layer was called with."""
    rows = [0] * network.depth

    def count(index: int) -> Any:
        return lambda module, given, out: rows.__setitem__(index, rows[index] + len(given[0]))

    handles = [network.layer(i).register_forward_hook(count(i)) for i in range(network.depth)]
    yield rows
    for handle in handles:
        handle.remove()


KINDS = [
    (LabelChannel, BatchNorm, MeanSquare),
    (PixelOverlay, OnOutput, MeanSquare),
    (LabelChannel, BatchNorm, ByClass),
]


@pytest.mark.parametrize("kind", KINDS)
def test_active_pairs_get_the_goodness_of_a_separate_forward_pass(kind: Any) -> None:
    network, images = build(*kind), torch.randn(IMAGES, *SHAPE)
    expected, scan = brute(network, images), scan_of(build(*kind), images)
    alive = scan.everyone()
    generator = torch.Generator().manual_seed(1)
    with counted(scan._network) as rows:
        for layer in range(network.depth):
            result = scan.advance(alive)
            torch.testing.assert_close(result[alive], expected[layer][alive], rtol=1e-5, atol=1e-6)
            assert result[~alive].isnan().all()
            alive = alive & (torch.rand(alive.shape, generator=generator) < 0.6)
            alive[layer] = False  # all labels of an image may be dropped
    assert scan.evaluations == rows
    assert rows[0] == IMAGES * (1 if network.form == "class" else CLASSES)
    assert rows[0] > rows[1] > rows[2] > rows[3] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_scan_equals_the_recorded_goodness_bit_for_bit(kind: Any) -> None:
    from ffprobe.inference.evaluate import label_goodness

    network, images = build(*kind), torch.randn(IMAGES, *SHAPE)
    whole = label_goodness(network, images)
    assert torch.equal(scan_of(network, images).full(range(4)), whole)
    scan = scan_of(network, images)
    with counted(network) as rows:
        result = scan.full([1, 2])
    assert torch.equal(result[1:3], whole[1:3])
    assert result[[0, 3]].isnan().all()
    assert rows == scan.evaluations
    assert rows[3] == 0


def test_without_active_pairs_nothing_is_computed() -> None:
    network = build()
    scan = scan_of(network, torch.randn(IMAGES, *SHAPE))
    with counted(network) as rows:
        for _ in range(4):
            assert scan.advance(torch.zeros(IMAGES, CLASSES, dtype=torch.bool)).isnan().all()
    assert rows == scan.evaluations == [0, 0, 0, 0]


def digits(count: int) -> ffprobe.Images:
    pixels = torch.randint(0, 256, (count, *SHAPE), dtype=torch.uint8)
    return ffprobe.Images(pixels, torch.arange(count) % CLASSES, tuple("abcde"), (0.4,), (0.3,))


def test_features_of_a_network_equal_the_recorded_features() -> None:
    from ffprobe.data.normalize import normalize

    network, images = build(), digits(IMAGES)
    recorded = ActivationSampler(network, images, 30, nullcontext).collect()
    scan = scan_of(network, normalize(images.pixels, images.mean, images.std))
    with counted(network) as rows:
        result = scan.features([0, 2])
    assert sorted(result) == [0, 2]
    for layer, value in result.items():
        assert value.shape[1] == (24 if layer == 0 else 9)
        torch.testing.assert_close(value, recorded[str(layer), "pre"])
    assert rows == scan.evaluations == [IMAGES, IMAGES, IMAGES, 0]


def test_the_stage_random_is_a_forward_pass_with_random_labels() -> None:
    from ffprobe.data.normalize import normalize

    network, images = build(), digits(IMAGES)
    labels = torch.tensor([4, 0, 0, 2, 1, 3, 3])
    sampler = ActivationSampler(network, images, 10_000, nullcontext, labels)
    result = sampler.collect(batch=3)
    x = normalize(images.pixels, images.mean, images.std)
    for layer, activation in enumerate(network.activations(x, labels)):
        torch.testing.assert_close(result[str(layer), "random"], activation.flatten(1))
    assert ("0", "random") not in ActivationSampler(network, images, 30, nullcontext).collect()


def test_multiply_adds_are_those_of_the_products() -> None:
    # 8x8 images with a label channel; the first layer pools to 4x4, the linear maps have 6*4*4 and 9 inputs
    assert multiply_adds(build(), SHAPE) == [6 * 2 * 9 * 64, 6 * 6 * 9 * 16, 9 * 96, 8 * 9]


def test_a_scan_without_active_pairs_continues_and_costs_nothing() -> None:
    network, nothing = build(), torch.zeros(IMAGES, CLASSES, dtype=torch.bool)
    scan = scan_of(network, torch.randn(IMAGES, *SHAPE))
    for _ in range(network.depth):
        assert scan.advance(nothing).isnan().all()
    assert scan.evaluations == [0] * network.depth
