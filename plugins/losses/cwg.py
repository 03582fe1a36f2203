"""CWG: a weighted sum of cross entropy between groups and PvN."""

from __future__ import annotations

import torch
from ffprobe_plugins.losses.pvn import positive_against_negative
from pydantic import Field
from torch.nn import functional

import ffprobe


class CWG(ffprobe.Loss):
    """weight * ``cross-entropy`` + (1 - weight) * ``pvn``."""

    name = "cwg"
    aliases = ("CWG",)
    form = "class"
    source = "CwComp, arXiv:2312.12668, and its code andreaspapac/CwComp, where the weight is 0.28"

    class Params(ffprobe.Params):
        """How much of each."""

        weight: float = Field(0.28, ge=0, le=1, description="of cross entropy; PvN has the rest")
        threshold: float = Field(2.0, description="of PvN, in units of goodness")

    def __call__(self, goodness: torch.Tensor, labels: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """A scalar from goodness ``[B, K]`` and labels ``[B]``."""
        weight = self.params.weight
        competing = functional.cross_entropy(goodness, labels)
        return weight * competing + (1 - weight) * positive_against_negative(goodness, labels, self.params.threshold)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [CWG]
