"""A sweep hands out what is asked for, counts it, and lets nothing come back."""

from __future__ import annotations

import pytest
import torch

import ffprobe

GOODNESS = torch.arange(3 * 2 * 4, dtype=torch.float32).view(3, 2, 4)


def pairs(*rows: str) -> torch.Tensor:
    return torch.tensor([[mark == "x" for mark in row] for row in rows])


def test_dead_pairs_are_nan_and_cost_nothing() -> None:
    sweep = ffprobe.RecordedLabelScan(GOODNESS)
    assert torch.equal(sweep.advance(sweep.everyone()), GOODNESS[0])
    second = sweep.advance(pairs("x..x", "...."))
    assert second[0].isnan().tolist() == [False, True, True, False]
    assert second[1].isnan().all()
    assert second[0, [0, 3]].tolist() == [8, 11]
    sweep.advance(pairs("...x", "...."))
    assert sweep.evaluations == [8, 2, 1]


def test_in_form_class_one_pass_gives_all_labels() -> None:
    sweep = ffprobe.RecordedLabelScan(GOODNESS, form="class")
    sweep.advance(sweep.everyone())
    sweep.advance(pairs("xx..", "...."))
    assert sweep.evaluations == [2, 1, 0]
    whole = ffprobe.RecordedLabelScan(GOODNESS, form="class")
    whole.full([1])
    assert whole.evaluations == [2, 2, 0]


def test_a_full_sweep_pays_down_to_its_deepest_layer() -> None:
    sweep = ffprobe.RecordedLabelScan(GOODNESS)
    found = sweep.full([1])
    assert torch.equal(found[1], GOODNESS[1])
    assert found[[0, 2]].isnan().all()
    assert sweep.evaluations == [8, 8, 0]
    assert torch.equal(ffprobe.RecordedLabelScan(GOODNESS).full([0, 1, 2]), GOODNESS)


def test_features_cost_one_pass() -> None:
    features = {i: torch.rand(2, 5) for i in range(3)}
    sweep = ffprobe.RecordedLabelScan(GOODNESS, features)
    found = sweep.features([1, 0])
    assert list(found) == [0, 1]
    assert torch.equal(found[1], features[1])
    assert sweep.evaluations == [2, 2, 0]
    with pytest.raises(ffprobe.FileError, match=r"no recorded activations.*recording\.activations"):
        ffprobe.RecordedLabelScan(GOODNESS).features([0])


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (pairs(".x..", "...."), "does not come back"),
        (pairs("x...", "....").float(), "must be bool"),
        (pairs("x..."), r"must be bool \[2, 4\]"),
    ],
)
def test_what_does_not_fit_is_refused(second: torch.Tensor, message: str) -> None:
    sweep = ffprobe.RecordedLabelScan(GOODNESS)
    sweep.advance(pairs("x..x", "...x"))
    with pytest.raises(ValueError, match=message):
        sweep.advance(second)


def test_there_is_an_end_and_no_second_start() -> None:
    sweep = ffprobe.RecordedLabelScan(GOODNESS)
    for _ in range(3):
        sweep.advance(sweep.everyone())
    with pytest.raises(ValueError, match="all 3 layers"):
        sweep.advance(sweep.everyone())
    with pytest.raises(ValueError, match="cannot start over"):
        sweep.full([0])
    whole = ffprobe.RecordedLabelScan(GOODNESS)
    whole.full([0])
    with pytest.raises(ValueError, match="all 3 layers"):
        whole.advance(whole.everyone())
