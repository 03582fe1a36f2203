"""Layers that judge together: earlier goodness is added to a layer's own before it is held against the threshold."""

from __future__ import annotations

import torch
from pydantic import Field
from torch.nn import functional

import ffprobe


class LayerCollaboration(ffprobe.Loss):
    """The fixed threshold's loss of G + g, g = the sum of the earlier layers' goodness without gradient.

    p = sigmoid(G + g - threshold) is how likely an input is positive; the loss is the binary cross entropy, mean over
    the 2B values softplus(threshold - G - g) of positives and softplus(G + g - threshold) of negatives.

    Deviation: the paper sums over all other layers, the later ones from the pass before. Here a layer is updated before
    the next one has run, so g holds earlier layers alone, which is the paper's second form. Earlier layers are those
    that had a loss in the same step.
    """

    name = "layer-collaboration"
    source = "Lorberbom et al. 2023, arXiv:2305.12393, the variant with preceding layers"

    class Params(ffprobe.Params):
        """Where positives and negatives part."""

        threshold: float = Field(2.0, description="of the summed goodness, in units of goodness")

    def __call__(self, positive: torch.Tensor, negative: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """A scalar from the goodness of positives ``[B]`` and of negatives ``[B]``."""
        for right, wrong in context.earlier:
            positive, negative = positive + right.detach(), negative + wrong.detach()
        threshold = self.params.threshold
        return functional.softplus(torch.cat([threshold - positive, negative - threshold])).mean()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LayerCollaboration]
