"""A recording compared with a preset: where they part, and what it means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.plain_forward_forward import HERE
from typer.testing import CliRunner

from ffprobe.cli.app import build_app
from ffprobe.errors import UsageError
from ffprobe.plugin.registry import Registry
from ffprobe.replay.against import AgainstPreset, against

OWN = HERE / "symba-batchnorm-olu.npz"
"""A recording of a plain implementation of the preset ``trifecta``."""


def held(path: Path, preset: str = "trifecta") -> AgainstPreset:
    return against(path, preset, Registry())


def test_the_trifecta_agrees_with_the_preset_trifecta() -> None:
    result = held(OWN)
    assert result.own.passed
    assert not result.partings and result.explained
    assert result.lines()[-1] == "  They agree in every step."


def test_another_constant_is_no_parting_but_is_said() -> None:
    result = held(OWN)
    alpha = json.loads(str(np.load(OWN)["meta"]))["alpha"]
    assert any(f"loss.alpha is {alpha}" in words for words in result.kept) == (alpha != 4.0)


def test_greedy_updates_part_in_the_first_step_on_the_first_layer() -> None:
    result = held(OWN, "unsupervised-ff")
    assert result.partings
    first = result.partings[0].parting
    assert (first.step, first.layer, first.quantity) == (1, 1, "trained layers")
    assert first.deviation == float("inf")


@pytest.mark.parametrize(
    ("name", "step", "layer", "moved"),
    [("cnn2-alpha1-decay-f64", 3, 1, "loss 2"), ("cnn4-pooled-f64", 1, 2, "loss 3")],
)
def test_the_rival_s_trifecta_has_no_overlap(golden: Path, name: str, step: int, layer: int, moved: str) -> None:
    result = held(golden / "field-2026" / f"ffatheory-trifecta-{name}.npz")
    turns, overlap = result.partings
    assert (turns.parting.step, turns.parting.layer, turns.parting.quantity) == (1, 1, "trained layers")
    assert turns.meaning == "turns change by the epoch, not by the step, and the other turn comes first"
    parting = overlap.parting
    assert (parting.step, parting.layer, parting.quantity) == (step, layer, "weights")
    assert "not moved" in parting.recording and "moved" in parting.preset
    assert overlap.meaning == f"layer {layer}'s weights do not move under {moved}: updates do not overlap"
    assert result.explained


def test_the_command_names_the_parting_and_exits_with_5(tmp_path: Path) -> None:
    ran = CliRunner().invoke(build_app(), ["replay", "--against", "trifecta", "--json", str(OWN)])
    assert ran.exit_code == 0 and json.loads(ran.stdout)["agrees"]
    ran = CliRunner().invoke(build_app(), ["replay", "--against", "vanilla-ff", "--json", str(OWN)])
    said: dict[str, Any] = json.loads(ran.stdout)
    assert not said["agrees"] and ran.exit_code
    assert said["recordings"][0]["partings"][0]["meaning"]


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(UsageError, match="no preset 'trifekta'"):
        held(OWN, "trifekta")
