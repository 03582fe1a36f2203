"""Feedback alignment: errors propagate back through fixed random matrices."""

from __future__ import annotations

import math
from typing import Literal

import torch
from ffprobe_plugins.rules.feedback_maps import replace_maps
from pydantic import Field

import ffprobe


class FeedbackAlignment(ffprobe.Rule):
    """Propagates errors back through fixed random matrices: every convolution and linear map except those of the first
    layer passes its error back through a matrix B instead of its weights W.

    Forward: z = W x + b. Backward: dL/dW = delta x^T as usual, but the gradient of x is B^T delta. B has W's shape, is
    drawn once and is stored in the network as ``feedback`` beside W. Normalizers and activations propagate errors
    exactly.

    The update groups are those of the scheduler: ``whole`` is feedback alignment as published; ``olu`` is the local
    form that the Trifecta (App. F) proposes and does not test; with ``greedy``, errors propagate only inside a learned
    goodness.

    Deviations: Lillicrap et al. give no rule for convolutions; here, B has the shape of the kernel and is shared over
    positions, as W is. B is initialized like torch's layers unless ``start`` says otherwise.
    """

    name = "feedback-alignment"
    aliases = ("feedback_alignment",)
    source = "Lillicrap et al. 2016, doi:10.1038/ncomms13276; baseline of the Trifecta, arXiv:2311.18130, Sec. 6"
    shares_batches = True

    class Params(ffprobe.Params):
        """How the fixed matrices are drawn."""

        start: Literal["torch", "he"] = Field(
            "torch",
            description="distribution of the feedback matrices: torch is uniform within 1 / sqrt(inputs), as "
            "for torch's layers; he is uniform within sqrt(6 / inputs)",
        )

    def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
        """Add the feedback matrices to the network unless it has them, and learn in the scheduler's groups."""
        replace_maps(setup.network, self.name, lambda name, weight: self._draw(weight))
        return ffprobe.GroupLearner(setup)

    def _draw(self, weight: torch.Tensor) -> torch.Tensor:
        gain = 6 if self.params.start == "he" else 1
        bound = math.sqrt(gain / weight[0].numel())
        # drawn on the CPU, so that the matrices are the same on every device
        return torch.empty(weight.shape).uniform_(-bound, bound).to(weight)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [FeedbackAlignment]
