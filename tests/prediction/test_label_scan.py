"""A label scan returns goodness layer by layer, counts the cost, and refuses pairs that were dropped."""

from __future__ import annotations

import pytest
import torch

import ffprobe

GOODNESS = torch.arange(3 * 2 * 4, dtype=torch.float32).view(3, 2, 4)


def pairs(*rows: str) -> torch.Tensor:
    return torch.tensor([[mark == "x" for mark in row] for row in rows])


def test_dropped_pairs_are_nan_and_cost_nothing() -> None:
    scan = ffprobe.RecordedLabelScan(GOODNESS)
    assert torch.equal(scan.advance(scan.everyone()), GOODNESS[0])
    second = scan.advance(pairs("x..x", "...."))
    assert second[0].isnan().tolist() == [False, True, True, False]
    assert second[1].isnan().all()
    assert second[0, [0, 3]].tolist() == [8, 11]
    scan.advance(pairs("...x", "...."))
    assert scan.evaluations == [8, 2, 1]


def test_in_form_class_one_pass_gives_all_labels() -> None:
    scan = ffprobe.RecordedLabelScan(GOODNESS, form="class")
    scan.advance(scan.everyone())
    scan.advance(pairs("xx..", "...."))
    assert scan.evaluations == [2, 1, 0]
    whole = ffprobe.RecordedLabelScan(GOODNESS, form="class")
    whole.full([1])
    assert whole.evaluations == [2, 2, 0]


def test_a_full_scan_costs_every_layer_up_to_the_deepest() -> None:
    scan = ffprobe.RecordedLabelScan(GOODNESS)
    found = scan.full([1])
    assert torch.equal(found[1], GOODNESS[1])
    assert found[[0, 2]].isnan().all()
    assert scan.evaluations == [8, 8, 0]
    assert torch.equal(ffprobe.RecordedLabelScan(GOODNESS).full([0, 1, 2]), GOODNESS)


def test_features_cost_one_pass() -> None:
    features = {i: torch.rand(2, 5) for i in range(3)}
    scan = ffprobe.RecordedLabelScan(GOODNESS, features)
    found = scan.features([1, 0])
    assert list(found) == [0, 1]
    assert torch.equal(found[1], features[1])
    assert scan.evaluations == [2, 2, 0]
    with pytest.raises(ffprobe.FileError, match=r"no recorded activations.*recording\.activations"):
        ffprobe.RecordedLabelScan(GOODNESS).features([0])


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (pairs(".x..", "...."), "cannot become active again"),
        (pairs("x...", "....").float(), "must be bool"),
        (pairs("x..."), r"must be bool \[2, 4\]"),
    ],
)
def test_what_does_not_fit_is_refused(second: torch.Tensor, message: str) -> None:
    scan = ffprobe.RecordedLabelScan(GOODNESS)
    scan.advance(pairs("x..x", "...x"))
    with pytest.raises(ValueError, match=message):
        scan.advance(second)


def test_a_scan_ends_after_the_last_layer_and_cannot_start_over() -> None:
    scan = ffprobe.RecordedLabelScan(GOODNESS)
    for _ in range(3):
        scan.advance(scan.everyone())
    with pytest.raises(ValueError, match="all 3 layers"):
        scan.advance(scan.everyone())
    with pytest.raises(ValueError, match="cannot start over"):
        scan.full([0])
    whole = ffprobe.RecordedLabelScan(GOODNESS)
    whole.full([0])
    with pytest.raises(ValueError, match="all 3 layers"):
        whole.advance(whole.everyone())
