"""The fixed threshold applied to a layer's goodness plus the goodness of earlier layers."""

from __future__ import annotations

import torch
from pydantic import Field
from torch.nn import functional

import ffprobe


class LayerCollaboration(ffprobe.Loss):
    """Applies the fixed-threshold loss to G + g, a layer's own goodness plus the summed goodness of earlier layers
    without gradient.

    p = sigmoid(G + g - threshold) is the probability that an input is positive. The loss is the binary cross entropy:
    the mean over the 2B values softplus(threshold - G - g) of positives and softplus(G + g - threshold) of negatives.

    Deviation: the paper sums over all other layers and takes the later ones from the previous pass. Here a layer is
    updated before the next one runs, so g covers earlier layers only, which is the paper's second form. Earlier layers
    are those with a loss in the same step.
    """

    name = "layer-collaboration"
    source = "Lorberbom et al. 2023, arXiv:2305.12393, the variant with preceding layers"

    class Params(ffprobe.Params):
        """The threshold between positives and negatives."""

        threshold: float = Field(
            2.0, description="threshold on the summed goodness, in units of goodness (mean of squares)"
        )

    def __call__(self, positive: torch.Tensor, negative: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """Return the scalar loss of the goodness of positives ``[B]`` and negatives ``[B]``."""
        for right, wrong in context.earlier:
            positive, negative = positive + right.detach(), negative + wrong.detach()
        threshold = self.params.threshold
        return functional.softplus(torch.cat([threshold - positive, negative - threshold])).mean()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LayerCollaboration]
