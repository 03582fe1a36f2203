"""Convolutions and linear maps that carry errors back through other matrices than their weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn import grad as gradients

import ffprobe

Feedback = torch.Tensor | Callable[[torch.Tensor], torch.Tensor]
"""A fixed matrix, or a function of the current weights that is called in every forward pass."""


def replace_maps(
    network: Any, rule: str, feedback: Callable[[str, torch.Tensor], Feedback], signed: bool = False
) -> None:
    """Replace every convolution and linear map, except those of a first layer with an encoder that does not learn.

    Nothing below the first layer learns then, so it sends no error back. Maps that were replaced before are kept.

    Args:
        network: the ``ffprobe.LayeredNetwork``.
        rule: name of the rule, for the error message.
        feedback: takes the name of a map in the network and its weights. A tensor becomes the buffer ``feedback`` of
            the map; the result of a function has the shape of the weights, or is a scalar if ``signed``.
        signed: whether the matrices are multiplied with the signs of the current weights.

    Raises:
        UsageError: the network has other modules with weight matrices, or convolutions that are not padded with zeros.
    """
    _refuse_others(network, rule)
    first = None if any(p.requires_grad for p in network.encoder.parameters()) else network.layer(0)
    for prefix, parent in list(network.named_modules()):
        for name, child in list(parent.named_children()):
            if type(child) in BACK and not (parent is first and name in ("conv", "linear")):
                setattr(parent, name, BACK[type(child)](child, feedback(f"{prefix}.{name}", child.weight), signed))


def _refuse_others(network: Any, rule: str) -> None:
    # any other module with weight matrices would propagate errors back through its weights
    for module in network.layers.modules():
        known = isinstance(module, (*BACK.values(), nn.LayerNorm)) or type(module) in BACK
        padded = getattr(module, "padding_mode", "zeros") != "zeros"
        if padded or (not known and any(p.dim() > 1 for p in module.parameters(recurse=False))):
            kind = f"{type(module).__name__} with padding {module.padding_mode!r}" if padded else type(module).__name__
            raise ffprobe.UsageError(
                f"The rule {rule!r} supports convolutions and linear maps, not {kind}.",
                hint="Use --plugin whole with the rule forward-forward, or another network.",
            )


class FeedbackMap(nn.Module):
    """A map with the weights of another map that propagates errors back through ``back()``."""

    def __init__(self, original: Any, feedback: Feedback, signed: bool) -> None:
        super().__init__()
        self.signed = signed
        self.weight, self.bias = original.weight, original.bias
        self._of_weights = None if isinstance(feedback, torch.Tensor) else feedback
        if isinstance(feedback, torch.Tensor):
            self.register_buffer("feedback", feedback)

    def back(self) -> torch.Tensor:
        """The matrix for the errors of this forward pass; it has the shape of the weights."""
        if not torch.is_grad_enabled():
            return self.weight  # no error will be sent back
        weight = self.weight.detach()
        feedback = self.feedback if self._of_weights is None else self._of_weights(weight)
        assert isinstance(feedback, torch.Tensor)
        return feedback * weight.sign() if self.signed else feedback


class FeedbackLinear(FeedbackMap):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``[B, ..., inputs]`` to ``[B, ..., outputs]``."""
        return _LinearBack.apply(x, self.weight, self.bias, self.back())


class FeedbackConv(FeedbackMap):
    def __init__(self, original: nn.Conv1d | nn.Conv2d, feedback: Feedback, signed: bool) -> None:
        super().__init__(original, feedback, signed)
        self.how = (original.stride, original.padding, original.dilation, original.groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``[B, C, H, W]`` to ``[B, channels, H', W']``, or ``[B, C, T]`` to ``[B, channels, T']``."""
        return _ConvBack.apply(x, self.weight, self.bias, self.back(), self.how)


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
        rows, seen = delta.flatten(0, -2), x.to(delta.dtype).flatten(0, -2)  # also for tokens [B, T, inputs]
        return back, rows.T @ seen, rows.sum(0) if needs[2] else None, None


class _ConvBack(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: Any, feedback: torch.Tensor, how: tuple[Any, ...]
    ) -> torch.Tensor:
        ctx.save_for_backward(x, feedback)
        ctx.how = how
        convolve = functional.conv2d if x.dim() == 4 else functional.conv1d
        return convolve(x, weight, bias, *how)

    @staticmethod
    def backward(ctx: Any, delta: torch.Tensor) -> tuple[Any, ...]:
        x, feedback = ctx.saved_tensors
        delta, wide = delta.to(feedback.dtype), x.to(feedback.dtype)
        needs = ctx.needs_input_grad
        maps = x.dim() == 4
        to_input = gradients.conv2d_input if maps else gradients.conv1d_input
        to_weight = gradients.conv2d_weight if maps else gradients.conv1d_weight
        back = to_input(x.shape, feedback, delta, *ctx.how).to(x.dtype) if needs[0] else None
        own = to_weight(wide, feedback.shape, delta, *ctx.how)
        return back, own, delta.sum((0, *range(2, delta.dim()))) if needs[2] else None, None, None


BACK: dict[type, Any] = {nn.Linear: FeedbackLinear, nn.Conv1d: FeedbackConv, nn.Conv2d: FeedbackConv}
