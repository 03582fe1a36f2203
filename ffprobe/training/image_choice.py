"""Which images' activations and pixels a run file contains."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ffprobe.training.experiment import Experiment

AUTO_IMAGES = 1_000
"""Images of each part whose pixels are recorded by default, where the data set allows it."""
AUTO_BYTES = 4 << 20
"""Bytes of the pixels of a part at most by default: large images would make run files large."""


def recorded_rows(indices: torch.Tensor, count: int) -> torch.Tensor:
    """Select the images whose activations are recorded.

    The order is a fixed permutation of the data set's indices (multiplication by the golden ratio of 2^32) that does
    not depend on the seed: runs with different seeds record mostly the same images and can be compared on them.

    Args:
        indices: index in the data set of each available image, int64 ``[N]``.
        count: number of images to select.

    Returns:
        Positions in ``indices``, int64, at most ``count`` of them.
    """
    return (indices * 2654435769 % 2**32).argsort()[:count]


def recorded_pixels(experiment: Experiment, activation_samples: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    """Select the images whose pixels are recorded, by the setting ``recording.images``.

    Test images are evenly spaced. Validation images are those with recorded activations, and evenly spaced ones;
    training images are those with recorded activations only.

    Args:
        experiment: the experiment.
        activation_samples: number of training and of validation images whose activations are recorded.

    Returns:
        Sorted positions among the ``test``, ``validation`` and ``training`` images of the run; none for samples that
        are not pixels.
    """
    setting, split = experiment.config.settings.recording.images, experiment.split
    if split.train.kind != "pixels":
        return {}
    count = setting if isinstance(setting, int) else 0
    dataset = experiment.config.slots["dataset"].component
    if setting == "auto" and getattr(dataset, "published", False):
        count = min(AUTO_IMAGES, AUTO_BYTES // max(math.prod(split.train.shape), 1))
    fitted, held_out = (
        recorded_rows(indices, min(samples, count)).tolist()
        for indices, samples in zip((split.train_indices, split.validation_indices), activation_samples, strict=True)
    )
    return {
        "test": _spread((), len(split.test) if split.test else 0, count),
        "validation": _spread(held_out, len(split.validation), count),
        "training": tuple(sorted(fitted)),
    }


def _spread(first: Sequence[int], total: int, count: int) -> tuple[int, ...]:
    """Some positions, and evenly spaced ones of the others, ``count`` in all if there are as many."""
    others = sorted(set(range(total)) - set(first))
    wanted = min(max(count - len(first), 0), len(others))
    return tuple(sorted([*first, *(others[i * len(others) // wanted] for i in range(wanted))]))
