"""Update groups are validated before the run."""

from __future__ import annotations

import pytest
import torch

import ffprobe
from ffprobe.errors import PluginError
from ffprobe.plugin.registry import Registry
from ffprobe.training.groups import groups_of_step, plan


def scheduler(*slices: slice) -> ffprobe.UpdateScheduler:
    class Fixed(ffprobe.UpdateScheduler):
        name = "fixed"

        def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
            return list(slices)

    return Fixed()


def test_olu_plans_shortest_first() -> None:
    olu = Registry().load("olu")[0]()
    assert plan(olu, 4, 1, 10, torch.Generator()) == ((0, 1), (0, 2), (1, 3), (2, 4))


def test_groups_that_appear_in_later_epochs_are_planned() -> None:
    olu = Registry().load("olu")[0]
    by_epoch = olu(olu.Params(alternate_every="epoch"))
    assert (0, 1) in plan(by_epoch, 4, 2, 10, torch.Generator())


@pytest.mark.parametrize("bad", [slice(0, 0), slice(2, 1), slice(0, 4), slice(-1, 2), slice(0, 3, 2)])
def test_groups_outside_the_network_are_refused(bad: slice) -> None:
    with pytest.raises(PluginError, match="'fixed' requests an invalid group"):
        groups_of_step(scheduler(bad), 0, 0, 3)


def test_layers_that_never_learn_are_refused() -> None:
    with pytest.raises(PluginError, match=r"never updates layers \[2\] of 3"):
        plan(scheduler(slice(0, 1), slice(2, 3)), 3, 2, 100, torch.Generator())
    with pytest.raises(PluginError, match="never updates any layer"):
        plan(scheduler(), 3, 2, 100, torch.Generator())
