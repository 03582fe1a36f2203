"""Which parameters each loss changes, on networks whose update groups are known."""

from __future__ import annotations

from typing import Any

import pytest

import ffprobe
from ffprobe.config.parsing import merge
from ffprobe.config.preset_files import BASE_PRESET, preset_names, read_preset
from ffprobe.plugin.registry import Registry
from ffprobe.training.locality import LocalityReport, LossReach, component_loss_locality, loss_locality, toy


def locality(**changes: Any) -> LocalityReport:
    registry = Registry()
    return loss_locality(toy(merge(read_preset(BASE_PRESET), changes), registry), registry)


def reached_layers(report: LocalityReport) -> dict[int, tuple[int, ...]]:
    return {loss.layer: loss.layers for loss in report.losses}


def test_greedy_stays_in_its_layer() -> None:
    report = locality()
    assert reached_layers(report) == {i: (i,) for i in range(6)}
    assert report.losses[2].parameters == ("2.conv.weight",)
    assert not any(loss.encoder for loss in report.losses)
    assert report.lines() == ["losses of layers 1-6: its own layer"]


def test_overlapping_updates_reach_one_layer_down_and_the_encoder() -> None:
    report = locality(scheduler={"name": "olu"})
    assert reached_layers(report) == {0: (0,), **{i: (i - 1, i) for i in range(1, 6)}}
    assert report.losses[0].encoder
    assert not report.losses[2].encoder
    assert report.lines()[1] == "losses of layers 2-6: its own layer and 1 before"


def test_blocks_have_a_loss_on_their_last_layer_only() -> None:
    assert reached_layers(locality(scheduler={"name": "blocks", "size": 3})) == {2: (0, 1, 2), 5: (3, 4, 5)}


def test_layers_that_learn_in_late_epochs_are_measured() -> None:
    assert reached_layers(locality(scheduler={"name": "sequential"})) == {i: (i,) for i in range(6)}


def test_losses_that_share_one_update_are_measured_separately() -> None:
    # all gradients are summed before any parameter changes, so each loss is measured with the others at zero
    report = locality(rule={"name": "summed-losses"})
    assert reached_layers(report) == {i: tuple(range(i + 1)) for i in range(6)}


def test_the_reach_of_a_head_that_starts_at_zero_is_measured_after_its_first_step() -> None:
    _, config, report = component_loss_locality(Registry().component("goodness", "local-classifier"), Registry())
    assert config.slots["goodness"].to_dict()["start"] == "zero"
    assert all(f"{loss.layer}.conv.weight" in loss.parameters for loss in report.losses[:6])


@pytest.mark.parametrize("kind", ["loss", "goodness", "rule", "scheduler", "network"])
def test_every_first_party_component_fits_into_some_preset(kind: str) -> None:
    registry = Registry()
    for name, component in ffprobe.registered(kind).items():
        preset, config, report = component_loss_locality(component, registry)
        assert config.slots[kind].component.name == name
        assert preset in preset_names()
        assert report.losses
        assert all(loss.layer in loss.layers for loss in report.losses)


@pytest.mark.parametrize("preset", preset_names())
def test_the_locality_of_every_preset_can_be_measured(preset: str) -> None:
    assert locality(**read_preset(preset)).losses


def test_lines_name_layers_from_one() -> None:
    report = LocalityReport(5, (LossReach(1, (0, 3), True, ()), LossReach(4, tuple(range(5)), False, ())))
    assert report.lines() == ["loss of layer 2: layers 1, 4, and the encoder", "loss of layer 5: every layer"]


def test_the_state_of_torch_s_generator_is_restored() -> None:
    import torch

    state = torch.get_rng_state()
    locality()
    assert torch.equal(state, torch.get_rng_state())


def test_a_network_for_signals_is_measured_on_signals() -> None:
    registry = Registry()
    table = merge(merge(read_preset(BASE_PRESET), read_preset("mono-forward")), {"network": {"name": "cnn1d"}})
    report = loss_locality(toy(table, registry), registry)
    assert [loss.layers for loss in report.losses] == [(0,), (1,), (2,)]
