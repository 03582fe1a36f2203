"""Batch normalization of a layer's input, over positives and negatives together."""

from __future__ import annotations

from torch import nn

import ffprobe


class BatchNorm(ffprobe.Normalizer):
    """torch's BatchNorm2d (channels) or BatchNorm1d (features), affine, with running statistics in evaluation.

    In training the batch holds B positives and B negatives, so both share their statistics, as in the authors' code;
    in evaluation all rows carry one label, and the running statistics are used.
    """

    name = "batchnorm"
    aliases = ("batch_norm", "bn")
    source = "Ioffe & Szegedy 2015; Trifecta, arXiv:2311.18130, Sec. 4"

    def build(self, shape: ffprobe.Shape) -> nn.Module:
        """``[B, C, H, W]`` or ``[B, F]``, same shape out."""
        return nn.BatchNorm2d(shape[0]) if len(shape) == 3 else nn.BatchNorm1d(shape[0])


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [BatchNorm]
