"""Labels of a training and a test part with the same classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    import torch


def joint_labels(parts: Sequence[np.ndarray], where: str) -> tuple[torch.Tensor, tuple[str, ...]]:
    """The labels of the training samples and, if there are two parts, of the test samples after them.

    Args:
        parts: texts or numbers ``[N]`` of the training samples, and perhaps ``[M]`` of the test samples.
        where: what has the labels, for messages.

    Returns:
        int64 ``[N + M]``, and the class names in label order.

    Raises:
        FileError: the values are no classes, or a class has test samples only.
    """
    import numpy as np

    try:
        labels, classes = ffprobe.class_labels(np.concatenate(parts))
    except ffprobe.FileError as error:
        raise ffprobe.FileError(error.what, where=where, hint=error.hint) from error
    count = len(parts[0])
    unknown = sorted(set(labels[count:].tolist()) - set(labels[:count].tolist()))
    if unknown:
        raise ffprobe.FileError(
            f"The class {classes[unknown[0]]!r} has test samples, but no training sample.",
            where=where,
            hint="Add training samples of this class, or remove its test samples.",
        )
    return labels, classes
