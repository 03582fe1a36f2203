"""The presets that came in 2026 learn from digits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from toy import toy_config

from ffprobe.config.preset_files import read_preset
from ffprobe.plugin.registry import Registry
from ffprobe.testing.toy import TOY
from ffprobe.training.experiment import build

SMALL: dict[str, dict[str, Any]] = {
    "resnet": {"width": 0.25, "blocks": 1},
    "fcn": {"width": 0.02, "depth": 2},
    "tff-s": {"width": 0.05},
    "softhebb": {"width": 0.1},
    "vgg5": {"width": 0.05},
    "patch-vgg": {"width": 0.05},
    "fast-vgg": {"width": 0.1},
    "denoising-blocks": {"width": 0.05, "blocks": 3},
}
NAMES = ["softhebb", "sign-symmetry", "prototype-cosine", "sff", "auglocal", "infopro", "dgl", "ep-pcn", "clapp"]
NAMES += ["local-speedrun", "noprop"]


@pytest.mark.parametrize("name", NAMES)
def test_a_small_run_of_the_preset_changes_every_layer_it_trains(name: str) -> None:
    preset = read_preset(name)
    network = {**preset["network"], **SMALL[preset["network"]["name"]]}
    training = {**preset.get("training", {}), **TOY["training"]}
    registry = Registry()
    experiment = build(toy_config(registry, **{**preset, "network": network, "training": training}), registry)
    before = {name: value.clone() for name, value in experiment.network.named_state().items()}
    experiment.network.train()
    experiment.learner.set_learning_rate(1.0 if name == "softhebb" else 0.01)
    losses = []
    for step, (images, labels, _) in enumerate(experiment.loader):
        losses += [update.loss for update in experiment.learner.step(images, labels, step, 0)]
    assert losses and all(torch.isfinite(loss) for loss in losses)
    after = experiment.network.named_state()
    for index in range(experiment.network.depth):
        own = [n for n in before if n.startswith(f"{index}.") and n.endswith("weight") and ".goodness." not in n]
        assert any(not torch.equal(before[n], after[n]) for n in own), f"layer {index + 1} did not change"
