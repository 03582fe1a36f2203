"""No normalization: each layer gets the activation as it is."""

from __future__ import annotations

from torch import nn

import ffprobe


class NoNormalizer(ffprobe.Normalizer):
    """The identity; later layers can live on the goodness of earlier ones (Trifecta, App. E)."""

    name = "none"
    affine = True
    source = "Trifecta, arXiv:2311.18130, App. E"

    def build(self, shape: ffprobe.Shape) -> nn.Module:
        """``[B, *shape]``, unchanged."""
        return nn.Identity()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [NoNormalizer]
