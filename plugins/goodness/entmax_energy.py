"""Squared activations weighted by the entmax of the activations."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

import ffprobe


class EntmaxEnergy(ffprobe.Goodness):
    """Sums the squared activations of a layer, each weighted by the 1.5-entmax of the activations.

    Goodness is the sum over features of p h^2 with p = 1.5-entmax(h / temperature), a distribution over the features of
    the layer: p_i = max(0, z_i - t)^2 with z = h / (2 temperature) and t such that the p_i sum to one (Peters et al.
    2019). Entmax resembles softmax, but is exactly 0 for all but the strongest features. The weights carry a gradient
    too.

    The abstract gives only sum entmax(h) h^2; alpha 1.5 and the temperature are our choice.
    """

    name = "entmax-energy"
    source = "arXiv:2604.13081 (abstract); entmax: Peters, Niculae, Martins 2019, arXiv:1905.05702"

    class Params(ffprobe.Params):
        """How many features share the weight."""

        temperature: float = Field(
            1.0,
            gt=0,
            description="temperature of the entmax, in units of the activation, above 0; larger values give "
            "weight to more features",
        )

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to ``[B]``; it returns float32 under bf16 as well."""
        temperature = self.params.temperature

        class Module(nn.Module):
            def forward(self, activation: torch.Tensor) -> torch.Tensor:
                wide = activation.float() if activation.dtype == torch.bfloat16 else activation
                h = wide.flatten(1)
                return (entmax(h / temperature) * h.square()).sum(dim=1)

        return Module()


def entmax(x: torch.Tensor) -> torch.Tensor:
    """Exact 1.5-entmax of every row ``[B, F]``, computed by sorting."""
    z = x / 2
    z = z - z.amax(dim=1, keepdim=True).detach()
    ordered = z.sort(dim=1, descending=True).values
    count = torch.arange(1, z.shape[1] + 1, device=z.device, dtype=z.dtype)
    mean = ordered.cumsum(1) / count
    spread = ordered.square().cumsum(1) - count * mean.square()  # sum of squared distances from the mean
    room = (1 - spread) / count
    with torch.no_grad():
        inside = (mean - room.clamp(min=0).sqrt() <= ordered) & (room >= 0)
        last = inside.sum(dim=1, keepdim=True).clamp(min=1) - 1
    # take the root only at the selected index: elsewhere its argument may be 0, where the gradient is infinite
    threshold = mean.gather(1, last) - room.gather(1, last).clamp(min=1e-12).sqrt()
    return (z - threshold).clamp(min=0).square()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [EntmaxEnergy]
