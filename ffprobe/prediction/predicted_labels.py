"""The label with the largest score: the one function that every accuracy and every prediction uses."""

from __future__ import annotations

import torch

UNDECIDED = -1
"""What ``predicted_labels`` returns for a sample without a prediction."""


def predicted_labels(scores: torch.Tensor) -> torch.Tensor:
    """The label with the largest score, or -1 where the scores do not decide.

    A sample is undecided if one of its scores is NaN, or if several labels share the largest score (a layer whose units
    are all dead, for example). ``argmax`` alone takes NaN as the largest value and gives a tie to the lowest class: a
    layer with NaN exactly at the true label would score 100 %, and a dead layer the frequency of class 0. An undecided
    sample never equals its true label, so it counts as wrong.

    Args:
        scores: goodness or other scores, floating point ``[..., K]``; the last dimension is the label.

    Returns:
        int64 ``[...]``, from 0 to K - 1, or -1, on the device of ``scores``.
    """
    ties = (scores == scores.amax(dim=-1, keepdim=True)).sum(dim=-1)  # amax passes NaN on, and NaN equals nothing
    return scores.argmax(dim=-1).masked_fill(ties != 1, UNDECIDED)


def undecided_counts(scores: torch.Tensor) -> tuple[int, int]:
    """How many samples have no prediction, and why.

    Args:
        scores: floating point ``[N, K]``.

    Returns:
        (samples with a tied largest score and no NaN, samples with a NaN among their scores).
    """
    missing = scores.isnan().any(dim=-1)
    tied = (predicted_labels(scores) == UNDECIDED) & ~missing
    return int(tied.sum()), int(missing.sum())
