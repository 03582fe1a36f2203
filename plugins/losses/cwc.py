"""CwC: the cross entropy between the goodness of channel groups."""

from __future__ import annotations

import math

import torch
from pydantic import Field

import ffprobe


class CwC(ffprobe.Loss):
    """Lets the channel groups of the classes compete: -mean over the batch of log((exp g[y] + e) / (sum_k exp g[k] +
    e)), with each g clamped to [-bound, bound].

    Without e and the bound it is ``cross-entropy``, which the published code calls CwC_CE; e and the bound are numeric
    guards of that code. A goodness beyond the bound has no gradient. The loss is computed with log-sum-exp, which
    changes only rounding.
    """

    name = "cwc"
    aliases = ("CwC",)
    form = "class"
    source = "CwComp, arXiv:2312.12668, Eq. of L_CwC; e and bound as in its code andreaspapac/CwComp"

    class Params(ffprobe.Params):
        """The numeric guards."""

        epsilon: float = Field(
            1e-9, gt=0, description="e, the constant added to the exponentials, above 0; as in the authors' code"
        )
        bound: float = Field(
            50.0,
            gt=0,
            description="maximum absolute goodness, in units of goodness, above 0; larger values are clamped, "
            "as in the authors' code",
        )

    def __call__(self, goodness: torch.Tensor, labels: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """Return the scalar loss of goodness ``[B, K]`` and labels ``[B]``."""
        clamped = goodness.clamp(-self.params.bound, self.params.bound)
        floor = torch.full_like(clamped[:, :1], math.log(self.params.epsilon))
        true = torch.cat([clamped.gather(1, labels[:, None]), floor], dim=1)
        return (torch.cat([clamped, floor], dim=1).logsumexp(dim=1) - true.logsumexp(dim=1)).mean()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [CwC]
