"""No normalization: each layer receives the activation unchanged."""

from __future__ import annotations

from torch import nn

import ffprobe


class NoNormalizer(ffprobe.Normalizer):
    """Passes the activation on unchanged, so later layers can reuse the goodness of earlier ones (Trifecta, App. E)."""

    name = "none"
    affine = True
    source = "Trifecta, arXiv:2311.18130, App. E"

    def build(self, shape: ffprobe.Shape) -> nn.Module:
        """Build a module that returns ``[B, *shape]`` unchanged."""
        return nn.Identity()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [NoNormalizer]
