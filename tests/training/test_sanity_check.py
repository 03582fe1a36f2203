"""A component that breaks its contract is caught on the first batch and named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from plugin_files import normalizer, write
from toy import toy_config

from ffprobe.errors import FfprobeError
from ffprobe.plugin.discovery import installed
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import build
from ffprobe.training.resume import experiment_state
from ffprobe.training.sanity_check import sanity_check


def component(base: str, body: str, extra: str = "") -> str:
    """The text of a plugin with one component called ``mine``."""
    return f"""
import torch
from torch import nn
import ffprobe

class Mine(ffprobe.{base}):
    name = "mine"
    {extra}
{body}

@ffprobe.hookimpl
def ffprobe_components(): return [Mine]
"""


def goodness(expression: str) -> str:
    body = f"""
    def build(self, shape, classes):
        class Module(nn.Module):
            def forward(self, h):
                return {expression}
        return Module()"""
    return component("Goodness", body)


def loss(statement: str) -> str:
    return component("Loss", f"    def __call__(self, p, n, context):\n        {statement}")


def negatives(statement: str) -> str:
    return component(
        "Negatives", f"    def __call__(self, images, labels, classes, generator, goodness=None):\n        {statement}"
    )


def encoder(expression: str) -> str:
    body = f"""
    def build(self, shape, classes):
        class Module(nn.Module):
            def forward(self, images, labels):
                return {expression}
            def neutral(self, images):
                return images
        return Module()"""
    return component("Encoder", body)


LATE = "(1 if len(x) == 2 else float('nan'))"  # batches of two rows, with which shapes are inferred, stay finite


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (normalizer(f"return x * {LATE}"), r"normalizer 'mine'.*NaN or infinite"),
        (
            normalizer("return x if len(x) == 2 else x[:, :1]"),
            r"normalizer 'mine'.*float32 \[.*\], expected floating point \[.*\]",
        ),
        (normalizer("return x if len(x) == 2 else x.long()"), r"normalizer 'mine'.*int64"),
        (normalizer("return x.mul_(1 if len(x) == 2 else 2)"), r"normalizer 'mine'.*in place"),
        (normalizer("return x if len(x) == 2 else None"), r"normalizer 'mine'.*NoneType"),
        (goodness("h.flatten(1).square().mean()"), r"goodness 'mine'.*\[\], expected float32 \[128\]"),
        (goodness("h.flatten(1).square()"), r"goodness 'mine'"),
        (goodness("h.flatten(1).square().mean(1).double()"), r"goodness 'mine'.*float64.*float32"),
        (goodness("h.mul_(2).flatten(1).square().mean(1)"), r"goodness 'mine'.*in place"),
        (goodness("h.flatten(1).mean(1) / 0"), r"goodness 'mine'.*NaN or infinite"),
        (loss("return p - n"), r"loss 'mine'.*\[64\], expected floating point \[\]"),
        (loss("return (p - n).mean().detach()"), r"loss 'mine'.*nothing would be learned"),
        (loss("return 1.0"), r"loss 'mine'.*layer 1's loss is float, expected a tensor"),
        (loss("return (p - n).mean() * float('inf')"), r"loss 'mine'.*NaN or infinite"),
        (negatives("return labels"), r"negatives 'mine'.*the true label"),
        (negatives("return labels + 1"), r"negatives 'mine'.*labels range from 1 to 10, but there are 10 classes"),
        (negatives("return ((labels + 1) % classes).float()"), r"negatives 'mine'.*float32 \[64\]"),
        (negatives("images.zero_(); return (labels + 1) % classes"), r"negatives 'mine'.*in place"),
        (encoder("images.add_(1)"), r"encoder 'mine'.*in place"),
        (encoder(f"images * {LATE.replace('x', 'images')}"), r"encoder 'mine'.*NaN"),
        (
            component("Evaluator", "    def scores(self, goodness):\n        return goodness"),
            r"evaluator 'mine'.*\[3, 4, 10\].*\[4, 10\]",
        ),
        (
            component("Evaluator", "    def scores(self, goodness):\n        return goodness.zero_()[0]"),
            r"evaluator 'mine'.*in place",
        ),
        (
            component("Evaluator", "    def scores(self, g):\n        return g[0] * torch.ones(1, requires_grad=True)"),
            r"evaluator 'mine'.*graph",
        ),
    ],
)
def test_broken_components_are_named(tmp_path: Path, text: str, message: str) -> None:
    registry = Registry()
    experiment = build(toy_config(registry, write(tmp_path, text)), registry)
    with pytest.raises(FfprobeError, match=message) as caught:
        sanity_check(experiment, *experiment.loader.preview())
    assert "mine.py" in str(caught.value)
    assert caught.value.exit_code == 1


NOT_FOR_IMAGES = ("label-token", "label-features")
"""Encoders of signals and of tables; the data set of these tests has images."""

COMBINABLE = [
    o.name
    for p in installed()
    for o in p.offers
    if p.distribution == "ffprobe-nn"
    and o.kind in ("normalizer", "goodness", "loss", "encoder", "scheduler", "negatives")
    and o.name not in NOT_FOR_IMAGES
]


@pytest.mark.parametrize("name", COMBINABLE)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_first_party_components_keep_their_contract_and_the_check_changes_nothing(name: str, precision: str) -> None:
    registry = Registry()
    (component,) = (c for c in registry.load(name) if c.name == name)
    # a component of form class needs its counterpart; layer after layer needs an epoch for each layer
    counterparts = {"loss": ["linear-head"], "goodness": ["cross-entropy"]}
    plugins = [name, *(counterparts[component.kind] if getattr(component, "form", "pair") == "class" else [])]
    # an encoder that shows no label needs form class, or negatives that are images
    plugins += ["linear-head", "cross-entropy"] if not getattr(component, "shows_label", True) else []
    plugins += ["no-label", "one-pass"] if getattr(component, "gives", "labels") == "images" else []
    # ten classes need ten groups of channels
    changes = {"precision": precision, "training": {"epochs": 3}, "network": {"name": "tiny", "width": 0.5}}
    experiment = build(toy_config(registry, *plugins, **changes), registry)
    before = str(experiment_state(experiment))
    sanity_check(experiment, *experiment.loader.preview())
    assert str(experiment_state(experiment)) == before
    assert torch.equal(experiment.loader.preview()[0], experiment.loader.preview()[0])
