"""A local head that is a sequence of modules."""

from __future__ import annotations

import torch
from torch import nn

import ffprobe


class HeadSequence(nn.Sequential):
    """Modules in order; logits in float32 under bf16 as well."""

    def forward(self, activation: torch.Tensor) -> torch.Tensor:
        """Map ``[B, *shape]`` to ``[B, K]``."""
        logits = super().forward(activation)
        return logits.float() if logits.dtype == torch.bfloat16 else logits


def needs_maps(name: str, shape: ffprobe.Shape) -> None:
    """Refuse an activation that is not a feature map.

    Raises:
        UsageError: the shape is not [C, H, W].
    """
    if len(shape) != 3:
        raise ffprobe.UsageError(
            f"The goodness {name!r} needs feature maps [C, H, W], not an activation of shape {list(shape)}.",
            hint="Use --plugin linear-head, or a network of convolutions: --plugin tff-s.",
        )
