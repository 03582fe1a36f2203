"""CwC: cross entropy between the goodness of groups of channels."""

from __future__ import annotations

import math

import torch
from pydantic import Field

import ffprobe


class CwC(ffprobe.Loss):
    """-mean over the batch of log((exp g[y] + e) / (sum_k exp g[k] + e)), each g held between -bound and bound.

    Without e and the bound it is ``cross-entropy``, which that code calls CwC_CE; both are guards of the published
    code. Beyond the bound a goodness has no gradient. Computed by way of logarithms of sums, which changes rounding
    alone.
    """

    name = "cwc"
    aliases = ("CwC",)
    form = "class"
    source = "CwComp, arXiv:2312.12668, Eq. of L_CwC; e and bound as in its code andreaspapac/CwComp"

    class Params(ffprobe.Params):
        """The guards."""

        epsilon: float = Field(1e-9, gt=0, description="e, added to the exponentials")
        bound: float = Field(50.0, gt=0, description="largest absolute goodness that is told apart")

    def __call__(self, goodness: torch.Tensor, labels: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """A scalar from goodness ``[B, K]`` and labels ``[B]``."""
        held = goodness.clamp(-self.params.bound, self.params.bound)
        floor = torch.full_like(held[:, :1], math.log(self.params.epsilon))
        true = torch.cat([held.gather(1, labels[:, None]), floor], dim=1)
        return (torch.cat([held, floor], dim=1).logsumexp(dim=1) - true.logsumexp(dim=1)).mean()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [CwC]
