"""Goodness under the true label against goodness under the wrong ones."""

from __future__ import annotations

from typing import Any

import numpy as np


def true_and_wrong(goodness: Any, truth: Any) -> tuple[np.ndarray, np.ndarray]:
    """Split goodness by whether the label that was tried is the true one.

    Args:
        goodness: float ``[..., samples, labels]``.
        truth: the true label of each sample, int ``[samples]``.

    Returns:
        float64 ``[..., samples]`` under the true label and ``[..., samples, labels - 1]`` under the others, in order.
    """
    goodness, truth = np.asarray(goodness, float), np.asarray(truth)
    labels = goodness.shape[-1]
    others = np.arange(labels - 1)[None, :]
    others = others + (others >= truth[:, None])  # every label but the true one
    samples = np.arange(len(truth))
    return goodness[..., samples, truth], goodness[..., samples[:, None], others]
