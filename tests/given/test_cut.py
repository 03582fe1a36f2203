"""Modules cut into layers."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

import ffprobe
from ffprobe.given.cut import layer_modules


def kinds(modules):
    return [[type(m).__name__ for m in (layer if isinstance(layer, nn.Sequential) else [layer])] for layer in modules]


def test_a_sequence_is_cut_after_each_activation_and_nested_ones_count_as_one():
    block = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2))
    network = nn.Sequential(block, nn.Flatten(), nn.Linear(8, 4), nn.GELU(), nn.Linear(4, 2), nn.Softmax(1))
    assert kinds(layer_modules(network)) == [
        ["Conv2d", "BatchNorm2d", "ReLU"],
        ["MaxPool2d", "Flatten", "Linear", "GELU"],
        ["Linear", "Softmax"],
    ]


def test_parts_without_parameters_join_a_layer_that_has_some():
    assert kinds(layer_modules(nn.Sequential(nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), nn.Tanh(), nn.Flatten()))) == [
        ["ReLU", "Linear", "ReLU", "Tanh", "Flatten"]
    ]


def test_markers_alone_decide_where_they_are():
    network = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), ffprobe.cut(), nn.Linear(3, 3))
    assert kinds(layer_modules(network)) == [["Linear", "ReLU", "Linear", "ReLU"], ["Linear"]]


def test_a_list_has_one_layer_for_each_module():
    first = nn.Linear(2, 2)
    assert layer_modules([first, nn.Sequential(nn.ReLU(), nn.Linear(2, 2))])[0] is first


def test_a_model_is_cut_at_its_named_blocks_and_computes_the_same():
    model = resnet18(num_classes=5).eval()
    layers = ffprobe.cut(model, after=["maxpool", "layer1", "layer2", "layer3"])
    assert len(layers) == 5
    x = y = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        for layer in layers:
            y = layer.eval()(y)
        torch.testing.assert_close(y, model(x))
    assert {id(p) for layer in layers for p in layer.parameters()} == {id(p) for p in model.parameters()}


@pytest.mark.parametrize(
    ("after", "sentence"),
    [
        (["layer9"], "no submodule 'layer9'"),
        (["layer1.0.conv1"], "more than one value"),  # inside a residual block
        (["layer2", "layer1"], "order in which they run"),
        ([], "names of the submodules"),
    ],
)
def test_a_border_that_does_not_exist_is_refused(after, sentence):
    with pytest.raises(ffprobe.UsageError, match=sentence):
        ffprobe.cut(resnet18(), after=after)
