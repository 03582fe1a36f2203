"""PvN: the fixed threshold between the goodness of the true class and the mean of all others."""

from __future__ import annotations

import torch
from pydantic import Field
from torch.nn import functional

import ffprobe


def positive_against_negative(goodness: torch.Tensor, labels: torch.Tensor, threshold: float) -> torch.Tensor:
    """The mean over the 2B values softplus(threshold - g[y]) and softplus(mean of the wrong g - threshold).

    Args:
        goodness: ``[B, K]``, K at least 2.
        labels: ``[B]``.
        threshold: in units of goodness.
    """
    positive = goodness.gather(1, labels[:, None])[:, 0]
    # sum over the wrong classes only: subtracting g[y] from the whole sum would lose precision if g[y] is large
    wrong = goodness.scatter(1, labels[:, None], 0.0).sum(dim=1)
    negative = wrong / (goodness.shape[1] - 1)
    return functional.softplus(torch.cat([threshold - positive, negative - threshold])).mean()


class PvN(ffprobe.Loss):
    """Compares the true class (positive) with all others (negative): the mean over the 2B values softplus(threshold -
    g⁺) and softplus(g⁻ - threshold).

    g⁺ is the goodness of the true class, g⁻ the mean goodness of the K - 1 others. This is Forward-Forward's own loss
    with both sides read from one forward pass.
    """

    name = "pvn"
    aliases = ("PvN",)
    form = "class"
    source = "CwComp, arXiv:2312.12668, loss PvN; the mean over 2B numbers as in its code andreaspapac/CwComp"

    class Params(ffprobe.Params):
        """The threshold between the true class and the others."""

        threshold: float = Field(2.0, description="threshold, in units of goodness; 2 as in the authors' code")

    def __call__(self, goodness: torch.Tensor, labels: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """Return the scalar loss of goodness ``[B, K]`` and labels ``[B]``."""
        return positive_against_negative(goodness, labels, self.params.threshold)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [PvN]
