"""What every scheduler's groups have in common, for any depth, any step and any settings."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import ffprobe
from ffprobe.plugin.discovery import installed
from ffprobe.plugin.registry import Registry
from ffprobe.training.groups import Group, groups_of_step, plan

REGISTRY = Registry()
STEPS = 3
"""Optimizer steps in one epoch."""
starts = st.integers(0, 6)
window = st.one_of(st.tuples(starts, st.just(0)), st.tuples(starts, st.integers(1, 6)).map(lambda w: (w[0], sum(w))))
SETTINGS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "greedy": {},
    "whole": {},
    "blocks": {"size": st.integers(1, 14), "overlap": st.integers(0, 13)},
    "interlocking": {"size": st.integers(1, 14)},
    "olu": {
        "alternate_every": st.one_of(st.sampled_from(["step", "epoch"]), st.integers(1, 5)),
        "offset": st.sampled_from([0, 1]),
        "train_last": st.booleans(),
    },
    "alternating": {
        "alternate_every": st.one_of(st.sampled_from(["step", "epoch"]), st.integers(1, 5)),
        "offset": st.sampled_from([0, 1]),
    },
    "local-modules": {
        "ends": st.one_of(st.just(()), st.sets(st.integers(1, 12), max_size=5).map(lambda ends: tuple(sorted(ends)))),
        "last": st.integers(1, 12),
    },
    "last-layers": {"count": st.integers(1, 14), "size": st.integers(0, 14)},
    "sequential": {"epochs_per_layer": st.integers(0, 3)},
    "layer-windows": {"windows": st.lists(window, min_size=1, max_size=6).map(tuple)},
}
"""For each scheduler all of its settings; a new scheduler needs an entry."""


@st.composite
def runs(draw: st.DrawFn, name: str) -> tuple[Any, int, int]:
    """A scheduler prepared for a run that it accepts, the depth of its network and the number of epochs."""
    component: Any = REGISTRY.component("scheduler", name)
    scheduler = component(component.Params(**draw(st.fixed_dictionaries(SETTINGS[name]))))
    depth, epochs = draw(st.integers(1, 12)), draw(st.integers(1, 40))
    try:
        scheduler.prepare(depth, epochs, STEPS, torch.Generator())
    except ffprobe.UsageError:
        reject()
    return scheduler, depth, epochs


def groups_of_run(scheduler: Any, depth: int, epochs: int) -> list[list[Group]]:
    """The groups of every step of a run, in order."""
    return [groups_of_step(scheduler, step, step // STEPS, depth) for step in range(epochs * STEPS)]


def layers(groups: set[Group]) -> set[int]:
    """The layers that are in at least one group."""
    return {layer for a, b in groups for layer in range(a, b)}


def test_every_scheduler_and_every_setting_is_drawn() -> None:
    ours = [plugin for plugin in installed() if plugin.distribution == "ffprobe-nn"]
    assert {offer.name for plugin in ours for offer in plugin.offers if offer.kind == "scheduler"} == set(SETTINGS)
    for name, drawn in SETTINGS.items():
        assert set(REGISTRY.component("scheduler", name).Params.model_fields) == set(drawn)


@pytest.mark.parametrize("name", SETTINGS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_groups_are_inside_sorted_and_different(name: str, data: st.DataObject) -> None:
    scheduler, depth, epochs = data.draw(runs(name))
    for groups in groups_of_run(scheduler, depth, epochs):
        assert all(0 <= a < b <= depth for a, b in groups)
        assert len(set(groups)) == len(groups)
        assert groups == sorted(groups, key=lambda group: (group[1], group[0]))


@pytest.mark.parametrize("name", SETTINGS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_layer_learns_in_a_long_run(name: str, data: st.DataObject) -> None:
    scheduler, depth, _ = data.draw(runs(name))
    epochs = 40  # more than the longest window, turn or sequence that is drawn
    scheduler.prepare(depth, epochs, STEPS, torch.Generator())
    groups = {group for step in groups_of_run(scheduler, depth, epochs) for group in step}
    frozen = depth - scheduler.params.count if name == "last-layers" else 0
    assert layers(groups) == set(range(max(0, frozen), depth))


@pytest.mark.parametrize("name", SETTINGS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_groups_depend_on_the_step_and_not_on_the_order_of_asking(name: str, data: st.DataObject) -> None:
    scheduler, depth, epochs = data.draw(runs(name))
    in_order = groups_of_run(scheduler, depth, epochs)
    for step in data.draw(st.randoms(use_true_random=False)).sample(range(epochs * STEPS), k=min(20, epochs * STEPS)):
        assert groups_of_step(scheduler, step, step // STEPS, depth) == in_order[step]


@pytest.mark.parametrize("name", SETTINGS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_plan_holds_every_group_of_the_run(name: str, data: st.DataObject) -> None:
    scheduler, depth, epochs = data.draw(runs(name))
    groups = {group for step in groups_of_run(scheduler, depth, epochs) for group in step}
    must_train = scheduler.trains_every_layer and epochs * STEPS >= 4 * depth
    if not groups or (must_train and layers(groups) != set(range(depth))):
        with pytest.raises(ffprobe.PluginError, match=r"updates no layer|never updates"):
            plan(scheduler, depth, epochs, STEPS, torch.Generator())
        return
    planned = plan(scheduler, depth, epochs, STEPS, torch.Generator())
    assert set(planned) == groups
    assert list(planned) == sorted(planned, key=lambda group: (group[1] - group[0], group))
