"""Claims and notes of several runs combined."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import ffprobe


@pytest.mark.parametrize(
    ("verdicts", "joint"),
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
def test_the_joint_verdict_is_that_of_all_conclusive_runs(verdicts: list[Any], joint: bool | None) -> None:
    claim = ffprobe.joint_claim("paper", "said.", [("", verdict, "text") for verdict in verdicts])
    assert claim is not None
    assert claim.agrees is joint


def test_texts_start_with_labels_and_disagreement_is_counted() -> None:
    claim = ffprobe.joint_claim("p", "said.", [("a", True, "one"), ("b", False, "two"), ("c", True, "three")])
    assert claim is not None
    assert claim.here == "a: one; b: two; c: three (agrees in 2 of 3)."
    assert ffprobe.joint_claim("p", "said.", []) is None


def test_a_joint_test_is_as_weak_as_its_weakest_run() -> None:
    verdicts = [("a", True, "one", 0.01), ("b", True, "two", 0.03), ("c", None, "three", 0.2)]
    claim = ffprobe.joint_claim("p", "said.", verdicts)
    assert claim is not None
    assert (claim.agrees, claim.p) == (True, 0.03)


def test_runs_that_are_not_comparable_do_not_count() -> None:
    apart = ffprobe.RunVerdict("a", None, "one", not_comparable="2 of 500 epochs")
    claim = ffprobe.joint_claim("p", "said.", [apart, ("b", True, "two")])
    assert claim is not None
    assert (claim.verdict, claim.here) == ("agrees", "a: one (not comparable: 2 of 500 epochs); b: two.")
    alone = ffprobe.joint_claim("p", "said.", [apart])
    assert alone is not None
    assert (alone.verdict, alone.not_comparable) == ("not comparable", "2 of 500 epochs")


def test_the_setting_is_compared_by_component_names() -> None:
    run: Any = SimpleNamespace(config={"loss": {"name": "symba", "alpha": 4}, "normalizer": "batchnorm"})
    assert ffprobe.in_setting(run, {"loss": {"symba"}, "normalizer": {"batchnorm", "length"}})
    assert not ffprobe.in_setting(run, {"loss": {"fixed-threshold"}})
    assert not ffprobe.in_setting(run, {"scheduler": {"olu"}})
    assert ffprobe.run_components(run) == {"loss": "symba", "normalizer": "batchnorm"}


def test_notes_of_all_runs_appear_once_and_without_a_label() -> None:
    notes = ffprobe.joint_notes([("a", ["same", "mine"]), ("b", iter(["same", "ours"])), ("c", ["same", "ours"])])
    assert notes == ["same", "a: mine", "b, c: ours"]
    assert ffprobe.joint_notes([("a", ["mine"])]) == ["mine"]
