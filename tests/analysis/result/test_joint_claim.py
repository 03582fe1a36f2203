"""What several runs say together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import ffprobe


@pytest.mark.parametrize(
    ("verdicts", "told"),
    [
        ([True], True),
        ([False, False], False),
        ([True, None], True),
        ([True, False], None),
        ([None], None),
        ([np.True_, True], True),
        ([np.False_], False),
    ],
)
def test_a_verdict_is_what_all_that_can_tell_agree_on(verdicts: list[Any], told: bool | None) -> None:
    claim = ffprobe.joint_claim("paper", "said.", [("", verdict, "text") for verdict in verdicts])
    assert claim is not None
    assert claim.agrees is told


def test_texts_are_headed_by_labels_and_disagreement_is_counted() -> None:
    claim = ffprobe.joint_claim("p", "said.", [("a", True, "one"), ("b", False, "two"), ("c", True, "three")])
    assert claim is not None
    assert claim.here == "a: one; b: two; c: three (agrees in 2 of 3)."
    assert ffprobe.joint_claim("p", "said.", []) is None


def test_setting_is_a_matter_of_components() -> None:
    run: Any = SimpleNamespace(config={"loss": {"name": "symba", "alpha": 4}, "normalizer": "batchnorm"})
    assert ffprobe.in_setting(run, {"loss": {"symba"}, "normalizer": {"batchnorm", "length"}})
    assert not ffprobe.in_setting(run, {"loss": {"fixed-threshold"}})
    assert not ffprobe.in_setting(run, {"scheduler": {"olu"}})
    assert ffprobe.run_components(run) == {"loss": "symba", "normalizer": "batchnorm"}


def test_notes_of_all_runs_stand_once_and_without_a_label() -> None:
    notes = ffprobe.joint_notes([("a", ["same", "mine"]), ("b", iter(["same", "ours"])), ("c", ["same", "ours"])])
    assert notes == ["same", "a: mine", "b, c: ours"]
    assert ffprobe.joint_notes([("a", ["mine"])]) == ["mine"]
