"""The test samples of a data set that has no published split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ffprobe.data.hold_out import held_out_rows
from ffprobe.errors import FileError, UsageError
from ffprobe.runtime.seeding import stream

if TYPE_CHECKING:
    import torch


def train_test_indices(
    labels: torch.Tensor,
    fraction: float = 0.2,
    *,
    groups: torch.Tensor | None = None,
    classes: Sequence[str] = (),
    seed: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Split samples into training and test samples, stratified by class; the same split for every run.

    The split depends on ``seed`` alone, never on the seed of a run, so that test accuracies of runs can be compared. A
    group is in one of the two parts only.

    Args:
        labels: int64 ``[N]``, from 0.
        fraction: fraction of the samples of each class that are test samples, in (0, 1); at least one of each class.
        groups: the group of each sample, int64 ``[N]``; None for no groups.
        classes: class names in label order, for messages.
        seed: chooses another split.

    Returns:
        Two ascending int64 tensors of indices: of the training and of the test samples.

    Raises:
        UsageError: ``fraction`` is out of range, or there is one group only.
        FileError: a class has no sample in one of the two parts; the message names it.
    """
    if not 0 < fraction < 1:
        raise UsageError(f"The test fraction must be above 0 and below 1, but it is {fraction}.")
    train, test = held_out_rows(labels, groups, fraction, stream(seed, "test"))
    present = set(labels.tolist())
    for part, indices in (("training", train), ("test", test)):
        missing = sorted(present - set(labels[indices].tolist()))
        if missing:
            name = classes[missing[0]] if classes else missing[0]
            count = int((labels == missing[0]).sum())
            noun = "sample" if count == 1 else "samples"
            of = "" if groups is None else f" in {len(groups[labels == missing[0]].unique())} groups"
            raise FileError(
                f"The class {name!r} has {count} {noun}{of}, and none of them is a {part} sample.",
                hint="Each class needs samples in both parts: remove the class, add samples, or supply a test set.",
            )
    return train, test
