"""The validation set: samples held out of the training set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ffprobe.data.samples import Samples
from ffprobe.errors import UsageError

if TYPE_CHECKING:
    import torch


def hold_out(samples: Samples, fraction: float, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Split samples at random into training and validation samples, as ``held_out_rows`` does.

    Args:
        samples: the training set.
        fraction: fraction to hold out, in [0, 1).
        generator: a CPU generator, the only source of randomness.

    Returns:
        Two ascending int64 tensors of indices into ``samples``: ``[M]`` for training and ``[N - M]`` for validation.

    Raises:
        UsageError: ``fraction`` is not in that range, or there are fewer groups than two.
    """
    return held_out_rows(samples.labels, samples.groups, fraction, generator)


def held_out_rows(
    labels: torch.Tensor, groups: torch.Tensor | None, fraction: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Split rows at random into kept and held-out rows, stratified by class.

    The same fraction of each class is held out, rounded; at least one sample if the class has two or more, and never
    all. Groups are held out as a whole, so that no group is in both parts; the fraction of each class is then as near
    as the groups allow (scikit-learn's ``StratifiedGroupKFold``).

    Args:
        labels: int64 ``[N]``, from 0.
        groups: the group of each row, int64 ``[N]``; None for no groups.
        fraction: fraction to hold out, in [0, 1).
        generator: a CPU generator, the only source of randomness.

    Returns:
        Two ascending int64 tensors of indices: ``[M]`` of the rows that are kept and ``[N - M]`` of those held out.

    Raises:
        UsageError: ``fraction`` is not in that range, or there are fewer groups than two.
    """
    import torch

    if not 0 <= fraction < 1:
        raise UsageError(f"The validation fraction must be at least 0 and below 1, but it is {fraction}.")
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    if fraction > 0 and groups is not None:
        held_out[_groups_held_out(labels, groups, fraction, generator)] = True
    elif fraction > 0:
        for label in range(int(labels.max()) + 1 if len(labels) else 0):
            indices = (labels == label).nonzero().flatten()
            count = min(max(1, round(fraction * len(indices))), max(0, len(indices) - 1))
            held_out[indices[torch.randperm(len(indices), generator=generator)[:count]]] = True
    return (~held_out).nonzero().flatten(), held_out.nonzero().flatten()


def _groups_held_out(
    labels: torch.Tensor, groups: torch.Tensor, fraction: float, generator: torch.Generator
) -> torch.Tensor:
    """Indices of the rows of some groups: the first of about ``1 / fraction`` parts."""
    import warnings

    import torch
    from sklearn.model_selection import StratifiedGroupKFold

    parts = min(max(2, round(1 / fraction)), len(set(groups.tolist())))
    if parts < 2:
        raise UsageError(
            "All samples belong to one group, so no group can be held out for validation.",
            hint="Remove the groups, or --set training.validation_fraction=0.",
        )
    seed = int(torch.randint(2**31, (), generator=generator))
    folds = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # of a class with fewer samples than parts; it is stratified as far as it can be
        warnings.simplefilter("ignore", UserWarning)
        _, held_out = next(folds.split(groups.numpy(), labels.numpy(), groups.numpy()))
    return torch.from_numpy(held_out)
