"""Negatives get the goodness that they ask for, and schedulers get a random generator of the run's seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from plugin_files import write
from toy import toy_config

import ffprobe
from ffprobe.distributed.whole_batch import WholeBatchNegatives
from ffprobe.errors import FfprobeError
from ffprobe.inference.evaluate import goodness_for_negatives, label_goodness
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import Experiment, build
from ffprobe.training.session import Session

NEGATIVES = """
import ffprobe

class Hard(ffprobe.Negatives):
    name = "hard"
    needs_goodness = {needs}

    def __call__(self, images, labels, classes, generator, goodness=None):
        self.received = goodness
        return (labels + 1) % classes

@ffprobe.hookimpl
def ffprobe_components():
    return [Hard]
"""
SCHEDULER = """
import ffprobe
import torch

class Shuffled(ffprobe.UpdateScheduler):
    name = "shuffled"

    def prepare(self, depth, epochs, steps_per_epoch, generator):
        self.order = [torch.randperm(depth, generator=generator).tolist() for _ in range(epochs * steps_per_epoch)]

    def groups(self, step, epoch, depth):
        return [slice(self.order[step][0], self.order[step][0] + 1)]

@ffprobe.hookimpl
def ffprobe_components():
    return [Shuffled]
"""


def experiment(path: Path, **changes: Any) -> Experiment:
    registry = Registry()
    return build(toy_config(registry, str(path), **changes), registry)


@pytest.mark.parametrize("needs", [False, True, "all"])
def test_negatives_get_the_goodness_that_they_need(tmp_path: Path, needs: bool | str) -> None:
    made = experiment(write(tmp_path, NEGATIVES.format(needs=repr(needs))))
    images, labels = made.loader.preview()
    made.network.eval()
    every = label_goodness(made.network, images)  # [L, B, K]
    made.network.train()
    list(made.learner.step(images, labels, 0, 0))
    received = made.setup.negatives.received  # type: ignore[attr-defined]
    if not needs:
        assert received is None
        return
    expected = every if needs == "all" else every[-1]
    torch.testing.assert_close(received, expected, rtol=1e-4, atol=1e-5)
    assert not received.requires_grad
    assert made.network.training


def test_another_value_is_refused_before_the_run(tmp_path: Path) -> None:
    registry = Registry()
    config = toy_config(registry, str(write(tmp_path, NEGATIVES.format(needs="'every'"))))
    with pytest.raises(FfprobeError, match="its needs_goodness is 'every', expected False, True or 'all'"):
        Session.start(config, registry, tmp_path / "run.h5")


@pytest.mark.parametrize("shape", [(6, 10), (3, 6, 10)])
def test_several_processes_gather_the_goodness_of_the_whole_batch(tmp_path: Path, shape: tuple[int, ...]) -> None:
    class Twice(ffprobe.ProcessGroup):
        """Two processes that have the same shard."""

        size = 2  # type: ignore[assignment]

        def all_gather_batch(self, shard: torch.Tensor) -> torch.Tensor:
            return torch.cat([shard, shard])

        def local_shard(self, whole: torch.Tensor) -> torch.Tensor:
            return whole[:6]

    chosen = experiment(write(tmp_path, NEGATIVES.format(needs="True"))).setup.negatives
    goodness, labels = torch.rand(shape), torch.arange(6)
    whole = WholeBatchNegatives(chosen, Twice())
    assert whole(torch.rand(6, 1, 8, 8), labels, 10, torch.Generator(), goodness).tolist() == [1, 2, 3, 4, 5, 6]
    assert torch.equal(chosen.received, torch.cat([goodness, goodness], dim=-2))  # type: ignore[attr-defined]


def test_no_goodness_is_computed_that_nobody_needs() -> None:
    negatives: Any = ffprobe.registered("negatives")["uniform-wrong"]()
    nothing: Any = None
    assert goodness_for_negatives(negatives, nothing, torch.zeros(1), nothing) is None


def test_a_random_schedule_depends_on_the_seed_alone(tmp_path: Path) -> None:
    path = write(tmp_path, SCHEDULER)
    orders = [experiment(path, seed=seed).setup.scheduler.order for seed in (0, 0, 1)]  # type: ignore[attr-defined]
    assert orders[0] == orders[1] != orders[2]
    weights = []
    for name in ("a", "b"):
        registry = Registry()
        Session.start(toy_config(registry, str(path)), registry, tmp_path / f"{name}.h5").run()
        with ffprobe.open(tmp_path / f"{name}.h5") as run:
            weights.append(torch.from_numpy(run.read("weights/0/conv.weight")))
    assert torch.equal(*weights)
