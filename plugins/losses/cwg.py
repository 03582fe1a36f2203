"""CWG: a weighted sum of cross entropy between groups and PvN."""

from __future__ import annotations

import torch
from ffprobe_plugins.losses.pvn import positive_against_negative
from pydantic import Field
from torch.nn import functional

import ffprobe


class CWG(ffprobe.Loss):
    """Combines competition and threshold: weight * ``cross-entropy`` + (1 - weight) * ``pvn``."""

    name = "cwg"
    aliases = ("CWG",)
    form = "class"
    source = "CwComp, arXiv:2312.12668, and its code andreaspapac/CwComp, where the weight is 0.28"

    class Params(ffprobe.Params):
        """The weight and the threshold of PvN."""

        weight: float = Field(
            0.28,
            ge=0,
            le=1,
            description="weight of the cross entropy, in [0, 1]; PvN has the weight 1 - weight; 0.28 as in "
            "the authors' code",
        )
        threshold: float = Field(2.0, description="threshold of PvN, in units of goodness; 2 as in the authors' code")

    def __call__(self, goodness: torch.Tensor, labels: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """Return the scalar loss of goodness ``[B, K]`` and labels ``[B]``."""
        weight = self.params.weight
        competing = functional.cross_entropy(goodness, labels)
        return weight * competing + (1 - weight) * positive_against_negative(goodness, labels, self.params.threshold)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [CWG]
