"""Layers on signals [C, T] and tables [F]: convolutions over time, pooling, shortcuts, costs and label scans."""

from __future__ import annotations

import pytest
import torch
from ffprobe_plugins.encoders.no_label import NoLabel
from ffprobe_plugins.goodness.mean_square import MeanSquare
from ffprobe_plugins.normalizers.none import NoNormalizer
from torch import nn
from torch.nn import functional

import ffprobe
from ffprobe.components.network import LayerSpec, Shortcut
from ffprobe.inference.activations import reduction
from ffprobe.network.layer import Layer
from ffprobe.network.multiply_adds import multiply_adds
from ffprobe.network.network import LayeredNetwork

SIGNAL = (3, 20)


class Listed(ffprobe.Network):
    """The layers of a list."""

    name = "listed"
    specs: tuple[LayerSpec, ...] = ()

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[LayerSpec]:
        return list(self.specs)


def network(*specs: LayerSpec, shape: ffprobe.Shape = SIGNAL) -> LayeredNetwork:
    listed = Listed()
    listed.specs = specs
    return LayeredNetwork(listed, NoLabel(), NoNormalizer(), MeanSquare(), shape, 4)


def layer(spec: LayerSpec, shape: ffprobe.Shape = SIGNAL) -> Layer:
    return network(spec, shape=shape).layer(0)


def test_a_convolution_of_a_signal_goes_over_time() -> None:
    built = layer(LayerSpec("conv", 6, pool=2, kernel=5, groups=3, padding_mode="circular", bias=True))
    x = torch.randn(2, *SIGNAL)
    assert isinstance(built.conv, nn.Conv1d)
    wrapped = torch.cat([x[..., -2:], x, x[..., :2]], dim=2)
    mapped = functional.conv1d(wrapped, built.conv.weight, built.conv.bias, groups=3)
    torch.testing.assert_close(built(x), functional.max_pool1d(mapped.relu(), 2))
    assert built.output_shape == (6, 10)


def test_stride_padding_and_both_poolings_count_time_steps() -> None:
    built = layer(LayerSpec("conv", 4, stride=2, padding=0, input_avg_pool=2, output_max_pool=2))
    x = torch.randn(2, *SIGNAL)
    mapped = functional.conv1d(functional.avg_pool1d(x, 2), built.conv.weight, stride=2)
    torch.testing.assert_close(built(x), mapped.relu())
    assert (built.output_shape, built.passed_shape) == ((4, 4), (4, 2))
    torch.testing.assert_close(built.pass_on(built(x)), functional.max_pool1d(mapped.relu(), 2))


def test_a_shortcut_of_a_signal_is_pooled_over_time() -> None:
    net = network(
        LayerSpec("conv", 4),
        LayerSpec("conv", 4),
        LayerSpec("conv", 5, pool=2, shortcut=Shortcut(0, "concat", pool=2)),
        LayerSpec("linear", 7),
    )
    inputs: dict[int, torch.Tensor] = {}
    activations = list(net.activations(torch.randn(2, *SIGNAL), None, inputs))
    expected = torch.cat([activations[2], functional.avg_pool1d(inputs[1], 2)], dim=1)
    torch.testing.assert_close(inputs[3], expected)
    assert activations[3].shape == (2, 7)


@pytest.mark.parametrize(
    ("spec", "shape", "message"),
    [
        (LayerSpec("conv", 4), (24,), "A convolution needs a signal"),
        (LayerSpec("linear", 4, pool=2), (24,), "Pooling needs a signal"),
        (LayerSpec("linear", 4, input_avg_pool=2), (24,), "Pooling needs a signal"),
        (LayerSpec("conv", 4, pool=8), (3, 7), "A pooling window of 8 does not fit"),
        (LayerSpec("conv", 4, kernel=5, padding=0), (3, 4), "A convolution with a kernel of 5"),
        (LayerSpec("conv", 4, kernel=5, padding_mode="reflect"), (3, 2), "padding of 2 .reflect."),
    ],
)
def test_what_a_shape_cannot_have_is_refused(spec: LayerSpec, shape: ffprobe.Shape, message: str) -> None:
    with pytest.raises(ffprobe.UsageError, match=message):
        network(spec, shape=shape)


def test_multiply_adds_of_a_signal_and_of_a_table() -> None:
    signal = network(LayerSpec("conv", 4, kernel=5), LayerSpec("linear", 7))
    assert multiply_adds(signal, SIGNAL) == [20 * 4 * 3 * 5, 4 * 20 * 7]
    assert multiply_adds(network(LayerSpec("linear", 7), shape=(24,)), (24,)) == [24 * 7]


def test_a_signal_is_recorded_by_averages_over_time() -> None:
    size, description, reduce = reduction((4, 6), 12)
    x = torch.arange(24.0).view(1, 4, 6)
    assert (size, description) == (12, "average-pool 3")
    assert torch.equal(reduce(x), x.view(1, 4, 3, 2).mean(3).flatten(1))
    assert reduction((4, 6), 24)[1] == "none"


@pytest.mark.parametrize("shape", [SIGNAL, (24,)])
def test_the_networks_of_pictures_serve_other_shapes_or_refuse_them(shape: ffprobe.Shape) -> None:
    from ffprobe_plugins.networks.fcn import FCN
    from ffprobe_plugins.networks.tiny import Tiny

    parts = (NoLabel(), NoNormalizer(), MeanSquare(), shape, 4)
    assert LayeredNetwork(FCN(), *parts)(torch.randn(2, *shape)).shape == (6, 2)
    if len(shape) == 1:
        with pytest.raises(ffprobe.UsageError, match="needs images or signals"):
            LayeredNetwork(Tiny(), *parts)
    else:
        assert LayeredNetwork(Tiny(), *parts)(torch.randn(2, *shape)).shape == (3, 2)
