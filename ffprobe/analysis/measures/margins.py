"""Goodness with the true label and with the wrong labels."""

from __future__ import annotations

from typing import Any

import numpy as np


def true_and_wrong(goodness: Any, truth: Any) -> tuple[np.ndarray, np.ndarray]:
    """Split goodness into that with the true label and that with the wrong labels.

    Args:
        goodness: float ``[..., samples, labels]``.
        truth: the true label of each sample, int ``[samples]``.

    Returns:
        Float64 ``[..., samples]`` with the true label, and ``[..., samples, labels - 1]`` with the others, in order.
    """
    goodness, truth = np.asarray(goodness, float), np.asarray(truth)
    labels = goodness.shape[-1]
    others = np.arange(labels - 1)[None, :]
    others = others + (others >= truth[:, None])  # every label but the true one
    samples = np.arange(len(truth))
    return goodness[..., samples, truth], goodness[..., samples[:, None], others]
