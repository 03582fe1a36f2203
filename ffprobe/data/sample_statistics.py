"""Mean and standard deviation of each feature or channel of samples."""

from __future__ import annotations

from ffprobe.data.images import channel_statistics
from ffprobe.data.samples import Samples


def statistics(samples: Samples) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each feature or channel, as ``Samples.mean`` and ``Samples.std``.

    Returns:
        Two tuples; the standard deviation of a constant feature or channel is 1. Tokens have means of 0 and standard
        deviations of 1: they are not scaled.
    """
    import torch

    if samples.kind == "tokens":
        return (0.0,) * samples.vocabulary, (1.0,) * samples.vocabulary
    if samples.kind == "pixels":
        return channel_statistics(samples.inputs[:])
    by_channel = samples.inputs.double().transpose(0, 1).flatten(1)  # [C, N * ...]
    mean, std = by_channel.mean(dim=1), by_channel.std(dim=1, correction=0)
    # what is left of a constant is the rounding error of its mean, and to divide by it would make noise of it
    constant = std <= torch.finfo(torch.float32).eps * by_channel.abs().amax(dim=1)
    std = torch.where(constant, 1.0, std)
    return tuple(mean.tolist()), tuple(std.tolist())
