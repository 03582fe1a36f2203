"""Feedback alignment: errors propagate back through fixed random matrices."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional
from torch.nn import grad as gradients

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
        network = setup.network
        _refuse_others(network)
        first = None if any(p.requires_grad for p in network.encoder.parameters()) else network.layer(0)
        for parent in list(network.modules()):
            for name, child in list(parent.named_children()):
                if type(child) in BACK and not (parent is first and name in ("conv", "linear")):
                    setattr(parent, name, BACK[type(child)](child, self._draw(child.weight)))
        return ffprobe.GroupLearner(setup)

    def _draw(self, weight: torch.Tensor) -> torch.Tensor:
        gain = 6 if self.params.start == "he" else 1
        bound = math.sqrt(gain / weight[0].numel())
        # drawn on the CPU, so that the matrices are the same on every device
        return torch.empty(weight.shape).uniform_(-bound, bound).to(weight)


def _refuse_others(network: Any) -> None:
    # any other module with weight matrices would propagate errors back through its weights
    for module in network.layers.modules():
        known = isinstance(module, (*BACK.values(), nn.LayerNorm)) or type(module) in BACK
        if not known and any(p.dim() > 1 for p in module.parameters(recurse=False)):
            raise ffprobe.UsageError(
                f"The rule 'feedback-alignment' supports convolutions and linear maps, not {type(module).__name__}.",
                hint="Use --plugin whole with the rule forward-forward, or another network.",
            )


class _Map(nn.Module):
    """A map with the weights of another map that propagates errors back through ``feedback``."""

    def __init__(self, original: Any, feedback: torch.Tensor) -> None:
        super().__init__()
        self.weight, self.bias = original.weight, original.bias
        self.register_buffer("feedback", feedback)


class _Linear(_Map):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``[B, inputs]`` to ``[B, outputs]``."""
        return _LinearBack.apply(x, self.weight, self.bias, self.feedback)


class _Conv(_Map):
    def __init__(self, original: nn.Conv2d, feedback: torch.Tensor) -> None:
        super().__init__(original, feedback)
        self.how = (original.stride, original.padding, original.dilation, original.groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``[B, C, H, W]`` to ``[B, channels, H', W']``."""
        return _ConvBack.apply(x, self.weight, self.bias, self.feedback, self.how)


class _LinearBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: Any, feedback: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, feedback)
        return functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, delta: torch.Tensor) -> tuple[Any, ...]:
        x, feedback = ctx.saved_tensors
        delta = delta.to(feedback.dtype)
        needs = ctx.needs_input_grad
        back = (delta @ feedback).to(x.dtype) if needs[0] else None
        return back, delta.T @ x.to(delta.dtype), delta.sum(0) if needs[2] else None, None


class _ConvBack(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: Any, feedback: torch.Tensor, how: tuple[Any, ...]
    ) -> torch.Tensor:
        ctx.save_for_backward(x, feedback)
        ctx.how = how
        return functional.conv2d(x, weight, bias, *how)

    @staticmethod
    def backward(ctx: Any, delta: torch.Tensor) -> tuple[Any, ...]:
        x, feedback = ctx.saved_tensors
        delta, wide = delta.to(feedback.dtype), x.to(feedback.dtype)
        needs = ctx.needs_input_grad
        back = gradients.conv2d_input(x.shape, feedback, delta, *ctx.how).to(x.dtype) if needs[0] else None
        own = gradients.conv2d_weight(wide, feedback.shape, delta, *ctx.how)
        return back, own, delta.sum((0, 2, 3)) if needs[2] else None, None, None


BACK: dict[type, Any] = {nn.Linear: _Linear, nn.Conv2d: _Conv}


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [FeedbackAlignment]
