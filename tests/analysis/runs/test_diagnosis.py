"""Each symptom is found in a run that has it, and nothing is found in a healthy run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ffprobe.analysis.runs.diagnosis import diagnose

LABELS = np.arange(100) % 10


def run(loss: Any = ((0.7, 0.7), (0.3, 0.3)), gap: Any = (2.0, 2.0), accuracy: Any = (0.8, 0.9), **more: Any) -> Any:
    """What a run file with two layers and two epochs contains; accuracies are those of the last epoch."""
    loss, gap = np.array(loss), np.array(gap)
    arrays = {
        "metrics/layer": ["0", "1"],
        "metrics/loss": loss,
        "metrics/goodness_positive": np.tile(1.0 + gap, (2, 1)),
        "metrics/goodness_negative": np.ones((2, 2)),
        "metrics/validation_accuracy": np.array([[np.nan, np.nan], accuracy]),
        "evaluation/true_label": LABELS,
        **more.pop("arrays", {}),
    }
    config = {"loss": {"name": "symba"}, "training": {"learning_rate": 0.01}, **more}
    return SimpleNamespace(has=arrays.__contains__, read=arrays.__getitem__, config=config, path=Path("a/run.h5"))


def found(**words: Any) -> list[str]:
    return [str(finding) for finding in diagnose(run(**words))]


def test_a_healthy_run_has_no_findings() -> None:
    assert found() == []


@pytest.mark.parametrize(("name", "command"), [("fixed-threshold", "--preset trifecta"), ("symba", "analyze layers")])
def test_later_layers_that_lose_what_the_first_learned(name: str, command: str) -> None:
    seen = run(accuracy=(0.86, 0.17))
    seen.config["loss"] = {"name": name}
    [text] = map(str, diagnose(seen))
    assert "Layer 1 alone classifies 86 %" in text and "the last layer 17 % (chance: 10 %)" in text and command in text


@pytest.mark.parametrize(("last", "rate"), [(0.3, "--lr 0.03 "), (0.9, "--lr 0.003 ")])
def test_no_layer_above_chance(last: float, rate: str) -> None:
    """The suggested rate is lower if the loss grew, else higher. 16 % are chance plus two standard errors."""
    [text] = found(accuracy=(0.1, 0.16), loss=((0.7, 0.7), (last, last)))
    assert "No layer is better than chance (10 %); the best reaches 16 %" in text and rate in text
    assert found(accuracy=(0.1, 0.17)) == []


def test_goodness_that_does_not_differ() -> None:
    [text] = found(gap=(2.0, 1e-4))
    assert "the same goodness in layer 2." in text
    assert found(gap=(2.0, np.nan)) == []  # goodness of form class has no negatives


def test_a_flat_loss_matters_only_at_chance() -> None:
    [text] = found(loss=((0.7, 0.693), (0.3, 0.694)), accuracy=(0.25, 0.1))
    assert "The loss of layer 2 did not move (0.693 to 0.694)" in text and "--lr 0.03 " in text
    assert found(loss=((0.7, 0.01), (0.3, 0.01)), accuracy=(0.9, 0.9)) == []


def test_a_dead_layer() -> None:
    arrays = {
        "activations/0/pre/unreduced_dead": np.array([0.0, 0.2]),
        "activations/1/pre/unreduced_dead": np.array([0, 0.97]),
    }
    [text] = found(arrays=arrays)
    assert text.startswith("Layer 2 is dead: at least 97 % of its units")


def test_commands_name_the_file_as_it_has_to_be_typed() -> None:
    seen = run(accuracy=(0.86, 0.17))
    seen.path = Path("my runs/a.h5")
    [finding] = diagnose(seen)
    assert finding.command == "ffprobe analyze layers 'my runs/a.h5'"


def test_labels_of_a_hostile_file_take_no_memory() -> None:
    labels = LABELS.copy()
    labels[0] = 2**31 - 1  # bincount would take 16 GiB
    assert found(arrays={"evaluation/true_label": labels}) == []


def test_a_run_without_any_number() -> None:
    seen = run()
    seen.has = lambda path: False
    assert diagnose(seen) == []
