"""Whether a run's evaluation and predictions also look at the mirror image."""

from __future__ import annotations

from collections.abc import Sequence

from ffprobe.config.settings import Training
from ffprobe.data.augment import images_augmented
from ffprobe.data.samples import InputKind


def flips_evaluation(training: Training, kind: InputKind, shape: Sequence[int]) -> bool:
    """Whether goodness is the mean of an image's and its mirror image's.

    Only where training saw mirror images: the mirror image of a digit is no digit.

    Args:
        training: settings of the run.
        kind: of its inputs.
        shape: of an input.
    """
    mirrored = training.flip and kind == "pixels" and images_augmented(shape, training.augmentation)
    return training.evaluation_flip and mirrored
