"""Cross entropy with goodness as logits."""

from __future__ import annotations

import torch
from pydantic import Field
from torch.nn import functional

import ffprobe


class CrossEntropy(ffprobe.Loss):
    """Applies softmax cross entropy to goodness: the mean over the batch of -sum_k t_k log softmax(goodness)_k, where
    t is 1 - s at the label plus s / K at every class; without smoothing (s = 0), -log softmax(goodness)[label].

    All classes but the true one serve as negatives, so the loss needs no negative examples and one forward pass.
    Goodness is used as the logits directly, without a temperature.
    """

    name = "cross-entropy"
    aliases = ("cross_entropy", "CwC_CE")
    form = "class"
    source = "layer-wise: Belilovsky et al. 2019, arXiv:1812.11446; CwC of CwComp, arXiv:2312.12668; DeeperForward"

    class Params(ffprobe.Params):
        """The smoothing of the labels."""

        label_smoothing: float = Field(
            0.0,
            ge=0,
            lt=1,
            description="s, in [0, 1): the share of each target that is spread over all classes (Szegedy et al. 2016, "
            "arXiv:1512.00567)",
        )

    def __call__(self, goodness: torch.Tensor, labels: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """Return the scalar loss of goodness ``[B, K]`` and labels ``[B]``."""
        return functional.cross_entropy(goodness, labels, label_smoothing=self.params.label_smoothing)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [CrossEntropy]
