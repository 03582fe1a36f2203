"""Which runs can decide a claim: those in the paper's setting whose network has not collapsed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import ffprobe

TRUTH = np.arange(400) % 4
SETTING = ffprobe.paper_setting("tff-s tff-d", "cifar10", 100)


def run_of(share: float = 1.0, *, only: int | None = None, epochs: int = 100, **slots: object) -> Any:
    """A run whose last layer is right on this share of the images, or predicts one class only."""
    named = np.where(np.arange(400) < 400 * share, TRUTH, (TRUTH + 1) % 4) if only is None else np.full(400, only)
    data = {"test/goodness": np.eye(4)[named][None], "test/true_label": TRUTH}
    config = {"network": {"name": "tff-s"}, "dataset": {"name": "cifar10"}, "training": {"epochs": epochs}, **slots}
    return SimpleNamespace(
        complete=True, config=config, epochs=epochs, has=data.__contains__, read=data.get, variable=data.get
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"network": {"name": "tff-d"}}, ""),
        ({"epochs": 11}, ""),
        ({"epochs": 10}, "10 of 100 epochs"),
        ({"network": {"name": "tiny"}}, "another network (tiny)"),
        ({"network": {"name": "tff-s", "width": 0.25}}, "another network (tff-s at width 0.25)"),
        ({"dataset": {"name": "digits"}}, "another data set (digits)"),
    ],
)
def test_another_network_data_set_or_a_tenth_of_the_epochs_is_not_comparable(
    changes: dict[str, Any], reason: str
) -> None:
    verdict = ffprobe.judge(run_of(**changes), "", True, "text", p=0.01, paper=SETTING)
    assert verdict.not_comparable == reason
    assert verdict.agrees is (None if reason else True)


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (run_of(0.25), "25.0 % in its best layer, chance is 25.0 %"),
        (run_of(0.29), "29.0 % in its best layer"),  # two standard errors above chance are 29.3 %
        (run_of(0.30), ""),
        (run_of(only=2), "every prediction is the same class"),
    ],
)
def test_a_collapsed_network_confirms_nothing(run: Any, reason: str) -> None:
    for agrees in (True, False):
        verdict = ffprobe.judge(run, "", agrees, "text", p=0.01)
        assert verdict.agrees is (None if reason else agrees)
        assert reason in verdict.text
