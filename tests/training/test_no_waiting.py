"""A step never reads a number from the device: on a GPU, that would synchronize with everything before it.

``meta`` is torch's device without numbers. Reading a number there (``item``, ``float``, ``bool``, ``cpu``, ``nonzero``,
a mask as an index) is an error, so code that runs on it reads nothing.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from plugin_files import write
from toy import toy_config

from ffprobe.config.preset_files import preset_names, read_preset
from ffprobe.errors import FfprobeError
from ffprobe.inference.evaluate import goodness_for_negatives, label_goodness
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import Experiment, build
from ffprobe.training.trainer import Observers, Trainer

SMALL: dict[str, Any] = {"training": {"batch_size": 16, "max_images": 64, "epochs": 4, "augmentation": True}}
OWN = {"cwcomp", "deeperforward", "pvn", "olu-group-mean", "trifecta-group", "pred", "sim", "predsim", "olu-predsim"}
OWN |= {"clapp", "noprop"}
"""Presets whose networks are too large, or too deep, for digits, or the only ones that their rule takes."""


def without_numbers(*plugins: str, preset: str = "", **changes: Any) -> Experiment:
    registry = Registry()
    table = {**(read_preset(preset) if preset else {}), **SMALL, "device": "meta", **changes}
    return build(toy_config(registry, *plugins, **table), registry)


def learn(experiment: Experiment, steps: int = 2) -> Trainer:
    trainer = Trainer(experiment, Observers(experiment.registry.manager, lambda *_: None, lambda *_: None))
    for step, (images, labels, _) in enumerate(experiment.loader):
        assert images.device.type == labels.device.type == "meta"
        loss, *_ = trainer.learn(images, labels)
        assert loss.device.type == "meta"
        if step + 1 == steps:
            return trainer
    raise AssertionError("too few batches")


@pytest.mark.parametrize("scheduler", ["greedy", "olu", "whole", "interlocking", "blocks"])
def test_a_step_reads_nothing(scheduler: str) -> None:
    learn(without_numbers("symba", "batchnorm", "label-channel", scheduler))


@pytest.mark.parametrize("preset", sorted(set(preset_names()) - OWN))
def test_no_preset_reads_anything(preset: str) -> None:
    network = {"name": "fcn", "width": 0.01, "depth": 3} if preset == "pepita" else {"name": "tiny", "width": 0.25}
    if preset == "hcl-ff":  # a channel for each class
        network["width"] = 0.5
    learn(without_numbers(preset=preset, network=network))


def test_groups_of_classes_read_nothing() -> None:
    loss = {**read_preset("hcl-ff")["loss"], "tree": [[0, 0, 0, 0, 0, 1, 1, 1, 1, 1], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]]}
    learn(without_numbers(preset="hcl-ff", network={"name": "tiny", "width": 0.5}, loss=loss))


PARTS = ["pixel-overlay", "length", "fixed-threshold", "top-k", "cumulative", "feedback-alignment"]


@pytest.mark.parametrize("name", PARTS)
def test_no_part_reads_anything(name: str) -> None:
    learn(without_numbers(name))


@pytest.mark.parametrize("words", [("label-channel", "batchnorm"), ("pixel-overlay", "length")])
def test_a_sweep_over_all_labels_reads_nothing_before_its_end(words: tuple[str, ...]) -> None:
    experiment = without_numbers(*words)
    images, _ = experiment.loader.preview()
    experiment.network.eval()
    assert label_goodness(experiment.network, images).device.type == "meta"
    for needed in (True, "all"):
        negatives: Any = SimpleNamespace(needs_goodness=needed)
        goodness = goodness_for_negatives(negatives, experiment.network, images, experiment.autocast)
        assert goodness is not None
        assert goodness.device.type == "meta"


READS = """
from torch import nn
import ffprobe

class Reads(ffprobe.Normalizer):
    name = "reads"

    def build(self, shape):
        class Module(nn.Module):
            def forward(self, x):
                return {how}
        return Module()

@ffprobe.hookimpl
def ffprobe_components():
    return [Reads]
"""


@pytest.mark.parametrize("how", ["x * float(x.mean())", "x * x.mean().cpu()", "x if (x > 0).any() else -x", "x[x > 0]"])
def test_code_that_reads_a_number_is_detected(tmp_path: Any, how: str) -> None:
    path = write(tmp_path, READS.replace("{how}", how))
    with pytest.raises((RuntimeError, NotImplementedError, FfprobeError)):
        learn(without_numbers(path))


def test_a_step_without_an_optimizers_own_counts_makes_no_scalar() -> None:
    # the same on the CPU by counting, where Adam's own counter of steps is a number on the CPU that it may read
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counting(TorchDispatchMode):
        read = 0

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.read += function.name() in ("aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero")
            return function(*args, **(kwargs or {}))

    changes = {"training": {**SMALL["training"], "optimizer": "sgd"}}
    experiment = build(toy_config(Registry(), "symba", "batchnorm", "label-channel", "olu", **changes), Registry())
    images, labels = experiment.loader.preview()
    with Counting() as counting:
        for step in range(2):
            list(experiment.learner.step(images, labels, step, 0))
        assert counting.read == 0
        float(images.mean())
        assert counting.read == 1
