"""What is wrong with the tensors of a data set, as a sentence."""

from __future__ import annotations

import math
from typing import Any

MIN_STD = 1e-8
"""Minimum standard deviation of a channel of pixels, on the scale 0 to 1. A channel in which one of 1e11 pixels differs
by one level still has 1e-8; a smaller value is a rounding error, and to divide by it overflows."""


def problem_of(samples: Any) -> str:
    """The first problem of ``Samples``, as the rest of a sentence; empty if there is none."""
    import torch

    for name in ("inputs", "labels"):
        value = getattr(samples, name)
        if not hasattr(value, "dim"):
            return (
                f"{name} must be a torch tensor, not {type(value).__name__}; ffprobe.array_inputs makes one of an array"
            )
    labels, classes = samples.labels, samples.classes
    count = samples.inputs.shape[0] if samples.inputs.dim() else 0
    if problem := _inputs_problem(samples):
        return problem
    if labels.dtype != torch.int64 or list(labels.shape) != [count]:
        return f"labels must be int64 [{count}], not {labels.dtype} {list(labels.shape)}"
    if count == 0:
        return f"there are no {samples.noun}"
    if len(classes) < 2:
        return f"at least two classes are needed, not {len(classes)}"
    if int(labels.min()) < 0 or int(labels.max()) >= len(classes):
        return f"labels range from {int(labels.min())} to {int(labels.max())} with {len(classes)} classes"
    return _statistics_problem(samples) or _rows_problem(samples, count)


def _inputs_problem(samples: Any) -> str:
    import torch

    inputs = samples.inputs
    found = f"{str(inputs.dtype).removeprefix('torch.')} {list(inputs.shape)}"
    if samples.noun == "images" and (inputs.dtype != torch.uint8 or inputs.dim() != 4):
        return f"pixels must be uint8 [N, C, H, W], not {inputs.dtype} {list(inputs.shape)}"
    if samples.vocabulary:
        if inputs.dtype.is_floating_point or inputs.dim() != 2:
            return f"tokens must be integers [N, T], not {found}"
        low, high = (int(inputs.min()), int(inputs.max())) if inputs.numel() else (0, 0)
        if low < 0 or high >= samples.vocabulary:
            return f"tokens range from {low} to {high} with a vocabulary of {samples.vocabulary}"
    elif inputs.dtype == torch.uint8:
        if inputs.dim() != 4:
            return f"pixels must be uint8 [N, C, H, W], not {found}; other inputs must be float32"
    elif inputs.dtype != torch.float32 or inputs.dim() not in (2, 3, 4):
        return f"inputs must be float32 [N, F], [N, C, T] or [N, C, H, W], or uint8 [N, C, H, W], not {found}"
    elif not bool(inputs.isfinite().all()):
        row, *where = (~inputs.isfinite()).nonzero()[0].tolist()
        count = int((~inputs.isfinite()).sum())
        return f"{count} input values are NaN or infinite, the first in sample {row} at {where}; impute or drop them"
    return "" if all(inputs.shape[1:]) else f"an input has no values: {found}"


def _statistics_problem(samples: Any) -> str:
    mean, std, channels = samples.mean, samples.std, samples.shape[0]
    if not mean and not std:
        return ""
    if len(mean) != channels or len(std) != channels:
        return f"{channels} channels need the same number of means and standard deviations"
    if not all(math.isfinite(value) for value in (*mean, *std)):
        return f"means and standard deviations must be finite, not {mean} and {std}"
    least = MIN_STD if samples.kind == "pixels" else 1e-30
    return f"a channel has the standard deviation {min(std):g}; the minimum is {least:g}" if min(std) < least else ""


def _rows_problem(samples: Any, count: int) -> str:
    weights, groups, features = samples.weights, samples.groups, samples.features
    if features and (len(samples.shape) != 1 or len(set(features)) != samples.shape[0]):
        return (
            f"{len(features)} names of features do not fit inputs of shape {list(samples.shape)}, or are not different"
        )
    if weights is not None:
        if list(weights.shape) != [count] or not weights.dtype.is_floating_point:
            return f"weights must be floats [{count}], not {weights.dtype} {list(weights.shape)}"
        if not bool(weights.isfinite().all()) or float(weights.min()) < 0 or float(weights.max()) == 0:
            return "weights must be finite, none below 0, and not all 0"
    if groups is not None and (list(groups.shape) != [count] or groups.dtype.is_floating_point):
        return f"groups must be int64 [{count}], not {groups.dtype} {list(groups.shape)}"
    return ""
