"""Which layers learn together, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.groups import groups_of_step, plan
from ffprobe.training.session import Session


def scheduler(name: str, **settings: Any) -> Any:
    component: Any = Registry().component("scheduler", name)
    return component(component.Params(**settings))


def groups(name: str, depth: int, step: int = 0, epoch: int = 0, **settings: Any) -> list[tuple[int, int]]:
    return groups_of_step(scheduler(name, **settings), step, epoch, depth)


def test_whole_is_one_group() -> None:
    assert groups("whole", 5) == [(0, 5)]


@pytest.mark.parametrize(
    ("depth", "settings", "expected"),
    [
        (6, {"size": 2}, [(0, 2), (2, 4), (4, 6)]),
        (7, {"size": 3}, [(0, 3), (3, 6), (6, 7)]),
        (7, {"size": 3, "overlap": 1}, [(0, 3), (2, 5), (4, 7)]),
        (6, {"size": 3, "overlap": 2}, [(0, 3), (1, 4), (2, 5), (3, 6)]),
        (6, {"size": 3, "overlap": 1}, [(0, 3), (2, 5), (4, 6)]),
        (2, {"size": 9}, [(0, 2)]),
        (3, {"size": 1}, [(0, 1), (1, 2), (2, 3)]),
    ],
)
def test_blocks(depth: int, settings: dict[str, int], expected: list[tuple[int, int]]) -> None:
    assert groups("blocks", depth, **settings) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [(4, 5)]),
        ({"count": 3}, [(2, 3), (3, 4), (4, 5)]),
        ({"count": 3, "size": 2}, [(2, 4), (4, 5)]),
        ({"count": 3, "size": 0}, [(2, 5)]),
        ({"count": 9}, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]),
    ],
)
def test_last_layers(settings: dict[str, int], expected: list[tuple[int, int]]) -> None:
    assert groups("last-layers", 5, **settings) == expected


def test_frozen_layers_keep_their_random_weights(tmp_path: Path) -> None:
    registry = Registry()
    config = toy_config(registry, "last-layers", training={"epochs": 1, "weight_decay": 0.1}, probes=[])
    Session.start(config, registry, tmp_path / "a.h5").run()
    with ffprobe.open(tmp_path / "a.h5") as run:
        after = [float(torch.as_tensor(run.read(f"weights/{i}/conv.weight")).norm()) for i in range(3)]
        before = run.read("initial/weight_norm").tolist()
        assert after[:2] == pytest.approx(before[:2], rel=1e-6)
        assert after[2] != pytest.approx(before[2], rel=1e-3)


def test_a_scheduler_may_leave_layers_untrained_only_on_purpose() -> None:
    assert plan(scheduler("last-layers"), 3, 9, 9, torch.Generator()) == ((2, 3),)
    scheduler_of_two = scheduler("layer-windows", windows=((0, 0), (99, 0)))
    with pytest.raises(ffprobe.PluginError, match=r"never updates layers \[2, 3\]"):
        plan(scheduler_of_two, 3, 9, 9, torch.Generator())


def test_an_overlap_as_large_as_a_block_is_refused() -> None:
    with pytest.raises(ffprobe.UsageError, match="cannot overlap"):
        plan(scheduler("blocks", size=2, overlap=2), 4, 1, 10, torch.Generator())


def test_interlocking_is_the_second_form_of_olu() -> None:
    assert groups("interlocking", 4) == [(0, 1), (0, 2), (1, 3), (2, 4)]
    assert groups("interlocking", 4, size=3) == [(0, 1), (0, 2), (0, 3), (1, 4)]
    assert groups("interlocking", 3, size=1) == groups("greedy", 3)
    both = {g for step in (0, 1) for g in groups("olu", 4, step)}
    assert set(groups("interlocking", 4)) == both  # what OLU does in two turns, at every step


def test_olu_can_train_the_last_layer_alone() -> None:
    assert groups("olu", 4, 1, train_last=True) == [(0, 1), (1, 3), (3, 4)]
    assert groups("olu", 4, 0, offset=1) == groups("olu", 4, 1)
    assert groups("olu", 4, 0, epoch=1, alternate_every="epoch") == groups("olu", 4, 1)
    assert groups("olu", 4, 3, alternate_every=3) == groups("olu", 4, 1)


def test_sequential_divides_the_epochs() -> None:
    made = scheduler("sequential")
    made.prepare(3, 7, 10, torch.Generator())
    turns = [made.groups(0, epoch, 3)[0].start for epoch in range(7)]
    assert turns == [0, 0, 1, 1, 2, 2, 2]
    fixed = scheduler("sequential", epochs_per_layer=2)
    fixed.prepare(3, 9, 10, torch.Generator())
    assert [fixed.groups(0, epoch, 3)[0].start for epoch in range(9)] == [0, 0, 1, 1, 2, 2, 2, 2, 2]
    assert plan(scheduler("sequential"), 3, 3, 100, torch.Generator()) == ((0, 1), (1, 2), (2, 3))
    with pytest.raises(ffprobe.UsageError, match="need 3 epochs"):
        scheduler("sequential").prepare(3, 2, 10, torch.Generator())
    with pytest.raises(ffprobe.UsageError, match="need 12 epochs"):
        scheduler("sequential", epochs_per_layer=4).prepare(3, 11, 10, torch.Generator())


def test_layers_learn_in_their_windows() -> None:
    made = scheduler("layer-windows", windows=[(0, 2), (1, 3), (2, 0)])
    learning = [[g.start for g in made.groups(0, epoch, 4)] for epoch in range(5)]
    assert learning == [[0], [0, 1], [1, 2, 3], [2, 3], [2, 3]]
    assert groups("layer-windows", 3, epoch=99) == groups("greedy", 3)
    for bad in ([(3, 3)], [(-1, 2)], []):
        with pytest.raises(ValueError, match="windows"):
            scheduler("layer-windows", windows=bad)
