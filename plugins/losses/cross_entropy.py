"""Cross entropy with goodness as logits."""

from __future__ import annotations

import torch
from torch.nn import functional

import ffprobe


class CrossEntropy(ffprobe.Loss):
    """Applies softmax cross entropy to goodness: the mean over the batch of -log softmax(goodness)[label].

    All classes but the true one serve as negatives, so the loss needs no negative examples and one forward pass.
    Goodness is used as the logits directly, without a temperature.
    """

    name = "cross-entropy"
    aliases = ("cross_entropy", "CwC_CE")
    form = "class"
    source = "layer-wise: Belilovsky et al. 2019, arXiv:1812.11446; CwC of CwComp, arXiv:2312.12668; DeeperForward"

    def __call__(self, goodness: torch.Tensor, labels: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """Return the scalar loss of goodness ``[B, K]`` and labels ``[B]``."""
        return functional.cross_entropy(goodness, labels)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [CrossEntropy]
