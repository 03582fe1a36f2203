"""Cross entropy with goodness as logits."""

from __future__ import annotations

import torch
from torch.nn import functional

import ffprobe


class CrossEntropy(ffprobe.Loss):
    """mean over the batch of -log softmax(goodness)[label]: every class but the true one is a negative.

    No negative examples are needed and one forward pass is enough. Goodness itself stands for the logits, without
    temperature.
    """

    name = "cross-entropy"
    aliases = ("cross_entropy", "CwC_CE")
    form = "class"
    source = "layer-wise: Belilovsky et al. 2019, arXiv:1812.11446; CwC of CwComp, arXiv:2312.12668; DeeperForward"

    def __call__(self, goodness: torch.Tensor, labels: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """A scalar from goodness ``[B, K]`` and labels ``[B]``."""
        return functional.cross_entropy(goodness, labels)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [CrossEntropy]
