"""Layers and the network built from them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from plugin_files import normalizer, write
from torch.nn import functional
from toy import toy_config

import ffprobe
from ffprobe.network.network import LayeredNetwork
from ffprobe.plugin.registry import Registry


def built(*plugins: str, shape: tuple[int, int, int] = (3, 10, 8), classes: int = 4, **changes: Any) -> LayeredNetwork:
    config = toy_config(Registry(), *plugins, **changes)
    made = {k: config.slots[k].build() for k in ("network", "encoder", "normalizer", "goodness")}
    return LayeredNetwork(made["network"], made["encoder"], made["normalizer"], made["goodness"], shape, classes)


def test_pooling_before_relu_is_the_paper_s_layer() -> None:
    layer = built("batchnorm").eval().layer(0)
    x = torch.randn(5, 4, 10, 8)
    expected = functional.max_pool2d(functional.conv2d(layer.normalizer(x), layer.conv.weight, padding=1).relu(), 2)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("network", ["tff-s", "tff-d", "fcn", "tiny"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 13)])
def test_every_network_fits_small_and_odd_images(network: str, shape: tuple[int, int, int]) -> None:
    net = built(shape=shape, network={"name": network, "width": 0.05})
    goodness = net(torch.randn(3, *shape), torch.tensor([0, 1, 2]))
    assert goodness.shape == (net.depth, 3)
    assert [info.output_shape for info in net.describe()] == [layer.output_shape for layer in net.layers]


def test_the_state_has_the_names_of_the_run_file() -> None:
    net = built("batchnorm")
    state = net.named_state()
    assert {"encoder.embedding", "0.conv.weight", "2.normalizer.running_var"} <= set(state)
    other = built("batchnorm")
    other.load_named_state(state)
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True))


def test_a_normalizer_may_be_applied_to_outputs(tmp_path: Any) -> None:
    text = normalizer("return 2 * x").replace('name = "mine"', 'name = "mine"\n    position = "output"')
    net = built(write(tmp_path, text))
    first = net.layer(0)
    x = torch.randn(2, *first.input_shape)
    torch.testing.assert_close(first.pass_on(first(x)), 2 * first(x))


def test_any_module_can_be_a_layer() -> None:
    class Any_(ffprobe.Network):
        name = "any"

        def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
            return [
                ffprobe.LayerSpec("module", factory=lambda s: torch.nn.Conv2d(s[0], 5, 1)),
                ffprobe.LayerSpec("linear", 6),
            ]

    config = toy_config(Registry())
    made = {k: config.slots[k].build() for k in ("encoder", "normalizer", "goodness")}
    net = LayeredNetwork(Any_(), made["encoder"], made["normalizer"], made["goodness"], (1, 8, 8), 10)
    assert [info.output_shape for info in net.describe()] == [(5, 8, 8), (6,)]
    assert net.layer(0).weight is not None
    assert net.layer(0).weight.shape == (5, 2, 1, 1)
