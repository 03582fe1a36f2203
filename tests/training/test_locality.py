"""What losses reach, against what autograd says of a plain network."""

from __future__ import annotations

from typing import Any

import pytest

import ffprobe
from ffprobe.config.parsing import merge
from ffprobe.config.preset_files import BASE_PRESET, preset_names, read_preset
from ffprobe.plugin.registry import Registry
from ffprobe.training.locality import LocalityReport, Reach, reach, reach_of, toy


def audit(**changes: Any) -> LocalityReport:
    registry = Registry()
    return reach(toy(merge(read_preset(BASE_PRESET), changes), registry), registry)


def far(found: LocalityReport) -> dict[int, tuple[int, ...]]:
    return {one.layer: one.layers for one in found.reaches}


def test_greedy_stays_in_its_layer() -> None:
    found = audit()
    assert far(found) == {i: (i,) for i in range(6)}
    assert found.reaches[2].parameters == ("2.conv.weight",)
    assert not any(one.encoder for one in found.reaches)
    assert found.lines() == ["losses of layers 1-6: its own layer"]


def test_overlapping_updates_reach_one_layer_down_and_the_encoder() -> None:
    found = audit(scheduler={"name": "olu"})
    assert far(found) == {0: (0,), **{i: (i - 1, i) for i in range(1, 6)}}
    assert found.reaches[0].encoder
    assert not found.reaches[2].encoder
    assert found.lines()[1] == "losses of layers 2-6: its own layer and 1 before"


def test_blocks_have_a_loss_on_their_last_layer_only() -> None:
    assert far(audit(scheduler={"name": "blocks", "size": 3})) == {2: (0, 1, 2), 5: (3, 4, 5)}


def test_layers_that_learn_late_are_waited_for() -> None:
    assert far(audit(scheduler={"name": "sequential"})) == {i: (i,) for i in range(6)}


def test_losses_of_one_update_are_told_apart() -> None:
    # all gradients are added up before anything moves, so each loss has to be let alone
    found = audit(rule={"name": "summed-losses"})
    assert far(found) == {i: tuple(range(i + 1)) for i in range(6)}


def test_a_head_that_starts_at_zero_is_waited_for() -> None:
    _, config, found = reach_of(Registry().component("goodness", "local-classifier"), Registry())
    assert config.slots["goodness"].to_dict()["start"] == "zero"
    assert all(f"{one.layer}.conv.weight" in one.parameters for one in found.reaches[:6])


@pytest.mark.parametrize("kind", ["loss", "goodness", "rule", "scheduler", "network"])
def test_every_component_of_ours_fits_into_some_preset(kind: str) -> None:
    registry = Registry()
    for name, component in ffprobe.registered(kind).items():
        preset, config, found = reach_of(component, registry)
        assert config.slots[kind].component.name == name
        assert preset in preset_names()
        assert found.reaches
        assert all(one.layer in one.layers for one in found.reaches)


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_can_be_asked(preset: str) -> None:
    assert audit(**read_preset(preset)).reaches


def test_lines_name_layers_from_one() -> None:
    one = LocalityReport(5, (Reach(1, (0, 3), True, ()), Reach(4, tuple(range(5)), False, ())))
    assert one.lines() == ["loss of layer 2: layers 1, 4, and the encoder", "loss of layer 5: every layer"]


def test_torch_s_generator_is_left_alone() -> None:
    import torch

    state = torch.get_rng_state()
    audit()
    assert torch.equal(state, torch.get_rng_state())
