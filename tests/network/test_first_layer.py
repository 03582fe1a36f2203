"""A label scan that shares the first layer against one forward pass per pair of image and label."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from ffprobe_plugins.encoders.label_channel import LabelChannel
from ffprobe_plugins.encoders.no_label import NoLabel
from ffprobe_plugins.encoders.pixel_overlay import PixelOverlay
from ffprobe_plugins.goodness.mean_square import MeanSquare
from ffprobe_plugins.normalizers.batchnorm import BatchNorm
from ffprobe_plugins.normalizers.length import Length
from ffprobe_plugins.normalizers.none import NoNormalizer
from ffprobe_plugins.normalizers.rolling_batchnorm import RollingBatchNorm
from torch import nn
from toy import toy_config

import ffprobe
from ffprobe.components.network import LayerSpec, Shortcut
from ffprobe.inference.evaluate import label_goodness
from ffprobe.inference.label_scan import NetworkLabelScan
from ffprobe.network import first_layer
from ffprobe.network.network import LayeredNetwork
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import build
from ffprobe.training.trainer import Observers, Trainer

SHAPE, CLASSES, IMAGES = (2, 8, 8), 5, 6


class Layers(ffprobe.Network):
    """The layers that a test gives."""

    name = "given"

    def __init__(self, specs: list[LayerSpec]) -> None:
        super().__init__()
        self.specs = specs

    def layers(self, shape: Any, classes: int) -> list[LayerSpec]:
        return self.specs


CONV = [LayerSpec("conv", 6, pool=2), LayerSpec("conv", 4, shortcut=Shortcut(0, join="concatenate"))]
LINEAR = [LayerSpec("linear", 20, bias=True), LayerSpec("linear", 9)]


def made(specs: list[LayerSpec], encoder: Any, normalizer: Any) -> LayeredNetwork:
    torch.manual_seed(0)
    network = LayeredNetwork(Layers(specs), encoder, normalizer, MeanSquare(), SHAPE, CLASSES).double()
    for module in network.modules():
        for name, value in module.named_buffers(recurse=False):
            if value.is_floating_point():
                value.copy_(torch.rand_like(value) + (0.5 if "var" in name else -0.5))
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.normal_()
    return network.eval().requires_grad_(False)


def brute(network: LayeredNetwork, images: torch.Tensor) -> torch.Tensor:
    """Goodness ``[L, N, K]``, pair by pair, by the network's own forward pass."""
    labels = torch.arange(CLASSES)
    return torch.stack([torch.stack([network(i[None], k[None])[:, 0] for k in labels], dim=1) for i in images], dim=1)


PIXEL = PixelOverlay.Params(value=2.5)
SHARED = {
    "convolution": (CONV, LabelChannel(), BatchNorm()),
    "matrix": (LINEAR, LabelChannel(), BatchNorm()),
    "rolling": (LINEAR, LabelChannel(), RollingBatchNorm()),
    "without a normalizer": (CONV, PixelOverlay(), NoNormalizer()),
    "each image's own value": (LINEAR, PixelOverlay(), BatchNorm()),
    "one value": (LINEAR, PixelOverlay(PIXEL), BatchNorm()),
    "before the activation": (CONV, LabelChannel(), BatchNorm(BatchNorm.Params(position="preactivation"))),
    "length of what is passed on": (LINEAR, PixelOverlay(), BatchNorm(BatchNorm.Params(position="output"))),
}


@pytest.fixture(autouse=True)
def _share_small_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_layer, "LEAST", 1)


@pytest.mark.parametrize("case", SHARED)
def test_shared_products_give_the_goodness_of_each_pair(case: str) -> None:
    network, images = made(*SHARED[case]), torch.randn(IMAGES, *SHAPE, dtype=torch.float64)
    rows: list[int] = []
    inner = network.layer(0).conv if SHARED[case][0] is CONV else network.layer(0).linear
    expected = brute(network, images)
    handle = inner.register_forward_hook(lambda module, given, out: rows.append(len(out)))
    found = label_goodness(network, images)
    handle.remove()
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    assert rows == [IMAGES, CLASSES, 1]  # not IMAGES for each of the CLASSES


@pytest.mark.parametrize("case", SHARED)
@pytest.mark.parametrize("cached", [1, 10**9], ids=["image by image", "at once"])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_active_pairs_share_too(case: str, cached: int, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_layer, "CACHED", cached)
    network, images = made(*SHARED[case]), torch.randn(IMAGES, *SHAPE, dtype=torch.float64)
    expected = brute(network, images)
    scan = NetworkLabelScan(network, images, None, nullcontext, rows=13)  # pairs: no whole number of images
    alive = torch.rand(IMAGES, CLASSES, generator=torch.Generator().manual_seed(2)) < share
    for layer in range(2):
        found = scan.advance(alive)
        torch.testing.assert_close(found[alive].double(), expected[layer][alive], rtol=1e-5, atol=1e-6)
        assert found[~alive].isnan().all()


ALONE = {
    "divides by each input's length": (LINEAR, LabelChannel(), Length()),
    "a module": ([LayerSpec("module", factory=lambda shape: nn.Flatten())], LabelChannel(), BatchNorm()),
    "no label": (LINEAR, NoLabel(), BatchNorm()),
}


@pytest.mark.parametrize("case", ALONE)
def test_inexact_cases_are_not_shared(case: str) -> None:
    network = made(*ALONE[case])
    assert not first_layer.can_share(network)
    if network.shows_label:
        images = torch.randn(IMAGES, *SHAPE, dtype=torch.float64)
        torch.testing.assert_close(label_goodness(network, images), brute(network, images), rtol=1e-10, atol=1e-12)


def test_a_network_in_training_and_a_cheap_first_layer_are_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    network = made(*SHARED["convolution"])
    assert first_layer.can_share(network)
    assert not first_layer.can_share(network.train())
    network.eval()
    monkeypatch.setattr(first_layer, "LEAST", 3 * 9 + 1)  # 3 channels, the label's included
    assert first_layer.can_share(network)  # because it is pooled
    unpooled = made([LayerSpec("conv", 6)], LabelChannel(), BatchNorm())
    assert not first_layer.can_share(unpooled)


def test_predictions_on_digits_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry()
    words = ("fcn", "batchnorm", "symba", "label-channel", "olu")
    changes = {"network": {"name": "fcn", "width": 0.05, "depth": 3}, "training": {"max_images": 0, "batch_size": 32}}
    experiment = build(toy_config(registry, *words, **changes), registry)
    trainer = Trainer(experiment, Observers(registry.manager, lambda *_: None, lambda *_: None))
    for images, labels, _ in experiment.loader:
        trainer.learn(images, labels)
    test = experiment.split.test
    assert test is not None
    goodness = trainer._goodness(test)[0]
    monkeypatch.setattr(first_layer, "LEAST", 10**9)
    plain = trainer._goodness(test)[0]
    assert not torch.equal(goodness, plain)  # otherwise nothing is compared
    torch.testing.assert_close(goodness, plain, rtol=1e-4, atol=1e-6)
    assert torch.equal(goodness.argmax(dim=2), plain.argmax(dim=2))
    assert float((plain[-1].argmax(dim=1) == test.labels).float().mean()) > 0.5
