"""One layer: normalize, transform, pool, activate; its goodness is computed from the activation."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional

from ffprobe.components.base import Shape
from ffprobe.components.goodness import Goodness
from ffprobe.components.loss import Loss
from ffprobe.components.network import LayerSpec
from ffprobe.components.normalizer import Normalizer
from ffprobe.errors import UsageError
from ffprobe.network.convolution import build_convolution
from ffprobe.network.pooling import avg_pool, check_window, max_pool

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": torch.relu,
    "leaky-relu": functional.leaky_relu,
    "tanh": torch.tanh,
    "none": lambda x: x,
}
"""Activation functions by name; each is non-decreasing, so that it commutes with taking a maximum."""


class Layer(nn.Module):
    """A layer built from a ``LayerSpec``.

    The order is that of the Trifecta (App. A) if the normalizer's position is the input, and that of networks trained
    by backpropagation (convolution, normalizer, activation, pool) if it is the preactivation. Pooling comes before the
    activation here, after it in the paper: a maximum and a non-decreasing function commute, and the activation of a
    pooled map costs a quarter. Parameters are initialized as in torch's layers (uniform Kaiming with a = sqrt 5), as in
    the authors' code.

    Args:
        spec: description of the layer.
        shape: shape of its input, without the batch dimension.
        normalizer: normalizer of the layer, built for its ``position``, unless the spec has its own.
        goodness: goodness of the layer's activation, unless the spec has its own.
        classes: number of classes.
        loss: the loss, which may build parameters for this layer, unless the spec has its own; None for no loss.

    Attributes:
        affine_map: whether, in evaluation, the input of the activation is an affine function of the layer's input.

    Raises:
        UsageError: the normalizer's position is inside a layer that is a module, or the input has no positions for a
            convolution or for pooling.
    """

    def __init__(
        self,
        spec: LayerSpec,
        shape: Shape,
        normalizer: Normalizer,
        goodness: Goodness,
        classes: int,
        loss: Loss | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.input_shape = shape
        self.flattens = spec.kind == "linear" and len(shape) > 1
        normalizer = spec.normalizer or normalizer
        normalizer.prepare(classes)
        self.position = normalizer.position
        self.affine_map = spec.kind != "module" and (self.position != "input" or normalizer.affine)
        inner = self._map_input_shape(shape)
        if self.position == "input":
            self.normalizer = normalizer.build(inner)
        if spec.kind == "conv":
            self.conv = build_convolution(spec, inner)
        elif spec.kind == "linear":
            self.linear = nn.Linear(inner[0], spec.width, bias=spec.bias)
        elif spec.factory is not None:
            self.module = spec.factory(inner)
        self.pool = spec.pool
        if self.position == "preactivation":
            if spec.kind == "module":
                raise UsageError(
                    "A layer of kind 'module' cannot have a normalizer before its activation.",
                    hint="Use another position for the normalizer: input, activation or output.",
                )
            self.normalizer = normalizer.build(self._infer(self.map, inner))
        pooled = self._infer(self._transform, inner)
        if self.position == "activation":
            self.normalizer = normalizer.build(pooled)
        self.output_shape = pooled
        if self.position == "output":
            self.normalizer = normalizer.build(self.output_shape)
        self.passed_shape = self._infer(self.pass_on, self.output_shape)
        self.goodness = (spec.goodness or goodness).build(self.output_shape, classes)
        objective = spec.loss or loss
        loss_module = objective.build(self.output_shape, classes) if objective is not None else None
        if loss_module is not None:
            self.loss = loss_module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The activation ``[B, *output_shape]`` for the input ``[B, *input_shape]``."""
        return self.transform(self.normalize_input(x))

    def normalize_input(self, x: torch.Tensor) -> torch.Tensor:
        """The input of the transform: the layer's input ``[B, *input_shape]``, pooled, flattened and normalized."""
        if self.spec.input_avg_pool > 1:
            x = avg_pool(x, self.spec.input_avg_pool)
        x = x.flatten(1) if self.flattens else x  # [B, F]
        return self.normalizer(x) if self.position == "input" else x

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        """The activation of a normalized input, including dropout."""
        return self.after_map(self.map(x))

    def after_map(self, x: torch.Tensor) -> torch.Tensor:
        """The activation from the output of the convolution, linear map or module."""
        x = self._pool_and_activate(x)
        x = self.normalizer(x) if self.position == "activation" else x
        return functional.dropout(x, self.spec.dropout, self.training) if self.spec.dropout else x

    def map(self, x: torch.Tensor) -> torch.Tensor:
        """The convolution, linear map or module alone."""
        if self.spec.kind == "module":
            return self.module(x)
        return self.conv(x) if self.spec.kind == "conv" else self.linear(x)

    def _transform(self, x: torch.Tensor) -> torch.Tensor:
        return self._pool_and_activate(self.map(x))

    def _pool_and_activate(self, x: torch.Tensor) -> torch.Tensor:
        if self.spec.kind == "module":
            return x
        if self.position == "preactivation":
            x = self.normalizer(x)
        if callable(self.spec.activation):  # it may not be monotonic, so it must come before pooling
            x = self.spec.activation(x)
            return max_pool(x, self.pool) if self.pool > 1 else x
        # nothing else reads the output of the map or of pooling, so the next operation may overwrite it
        owned = self.position != "preactivation" and torch.is_grad_enabled()
        if self.pool > 1:
            x = max_pool(x, self.pool)
            owned = True
        return x.relu_() if owned and self.spec.activation == "relu" else ACTIVATIONS[self.spec.activation](x)

    def pass_on(self, activation: torch.Tensor) -> torch.Tensor:
        """The layer's output to the next layer for an activation ``[B, *output_shape]``: ``[B, *passed_shape]``.

        A shortcut is not included.
        """
        x = self.normalizer(activation) if self.position == "output" else activation
        return max_pool(x, self.spec.output_max_pool) if self.spec.output_max_pool > 1 else x

    def own_parameters(self, objective: bool = True) -> Iterator[nn.Parameter]:
        """The layer's parameters; without those of goodness and loss if ``objective`` is False."""
        for name, parameter in self.named_parameters():
            if objective or not name.startswith(("goodness.", "loss.")):
                yield parameter

    @property
    def weight(self) -> torch.Tensor | None:
        """The weight of the convolution or linear map; for a module its largest parameter."""
        if self.spec.kind == "conv":
            return self.conv.weight
        if self.spec.kind == "linear":
            return self.linear.weight
        return max(self.module.parameters(), key=torch.Tensor.numel, default=None)

    def _map_input_shape(self, shape: Shape) -> Shape:
        if self.spec.input_avg_pool > 1:
            check_window(shape, self.spec.input_avg_pool)
            shape = (shape[0], *(side // self.spec.input_avg_pool for side in shape[1:]))
        return (int(torch.Size(shape).numel()),) if self.flattens else shape

    def _infer(self, function: Callable[[torch.Tensor], torch.Tensor], inner: Shape) -> Shape:
        # running a real batch is cheap compared with training, and works for any module that a plugin builds; two rows,
        # since batch normalization refuses a batch of one
        mode = self.training
        self.eval()
        with torch.no_grad():
            out = function(torch.zeros(2, *inner))
        self.train(mode)
        return tuple(out.shape[1:])
