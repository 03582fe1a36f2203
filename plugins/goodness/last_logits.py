"""The logits that a layer computes itself, at the end of its activation."""

from __future__ import annotations

import math

import torch
from torch import nn

import ffprobe


class LastLogits(ffprobe.Goodness):
    """Takes the last K numbers of the activation as the goodness of the K classes.

    For networks whose layers decide themselves: ``denoising-blocks``, or a module of your own that ends in a
    classifier.
    """

    name = "last-logits"
    form = "class"
    source = "NoProp-DT, Li, Teh & Pascanu 2025, arXiv:2503.24322, whose blocks end in logits"

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to ``[B, K]``; it returns float32 under bf16 as well.

        Raises:
            UsageError: the activation has fewer numbers than there are classes.
        """
        if math.prod(shape) < classes:
            raise ffprobe.UsageError(
                f"The goodness {self.name!r} needs {classes} numbers; the activation has the shape {list(shape)}.",
                hint="Use --plugin linear-head.",
            )

        class Module(nn.Module):
            def forward(self, activation: torch.Tensor) -> torch.Tensor:
                logits = activation.flatten(1)[:, -classes:]
                return logits.float() if logits.dtype == torch.bfloat16 else logits

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LastLogits]
