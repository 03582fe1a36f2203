"""One layer: normalize, transform, pool, activate; its goodness is read from the activation."""

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
from ffprobe.network.pooling import max_pool, pool_owned

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": torch.relu,
    "leaky-relu": functional.leaky_relu,
    "tanh": torch.tanh,
    "none": lambda x: x,
}
"""Activations by name; none of them ever falls, so that each commutes with taking a maximum."""


class Layer(nn.Module):
    """A layer as a ``LayerSpec`` describes it.

    The order is that of the Trifecta (App. A) where the normalizer stands on inputs, and that of backpropagated
    networks (convolution, normalizer, activation, pool) where it stands before the activation. Pooling stands before
    the activation here, after it in the paper: a maximum and a function that never falls commute, and the activation of
    a pooled map costs a quarter. Parameters start as torch's layers do (uniform Kaiming with a = sqrt 5), as in the
    authors' code.

    Args:
        spec: what the layer is.
        shape: of its input, without the batch.
        normalizer: built for where its ``position`` says, unless the spec has its own.
        goodness: built for the layer's activation, unless the spec has its own.
        classes: the number of classes.
        loss: asked for the parameters that it keeps at this layer, unless the spec has its own; None for no such.

    Attributes:
        affine_map: whether in evaluation what stands before the activation is an affine function of the input.

    Raises:
        UsageError: the normalizer would stand inside a module.
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
        inner = self._shrunk(shape)
        if self.position == "input":
            self.normalizer = normalizer.build(inner)
        if spec.kind == "conv":
            self.conv = nn.Conv2d(
                inner[0], spec.width, spec.kernel, spec.stride, spec.kernel // 2, groups=spec.groups, bias=spec.bias
            )
        elif spec.kind == "linear":
            self.linear = nn.Linear(inner[0], spec.width, bias=spec.bias)
        elif spec.factory is not None:
            self.module = spec.factory(inner)
        self.pool = spec.pool
        if self.position == "preactivation":
            if spec.kind == "module":
                raise UsageError("A normalizer cannot stand before the activation of a layer that is a module.")
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
        kept = objective.build(self.output_shape, classes) if objective is not None else None
        if kept is not None:
            self.loss = kept

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The activation ``[B, *output_shape]`` for the input ``[B, *input_shape]``."""
        return self.transform(self.normalize_input(x))

    def normalize_input(self, x: torch.Tensor) -> torch.Tensor:
        """What the transform sees of the input ``[B, *input_shape]``."""
        if self.spec.input_avg_pool > 1:
            x = functional.avg_pool2d(x, self.spec.input_avg_pool)
        x = x.flatten(1) if self.flattens else x  # [B, C*H*W]
        return self.normalizer(x) if self.position == "input" else x

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        """The activation of a normalized input, dropout included."""
        return self.after_map(self.map(x))

    def after_map(self, x: torch.Tensor) -> torch.Tensor:
        """The activation for what the convolution, linear map or module gave."""
        x = self._shape(x)
        x = self.normalizer(x) if self.position == "activation" else x
        return functional.dropout(x, self.spec.dropout, self.training) if self.spec.dropout else x

    def map(self, x: torch.Tensor) -> torch.Tensor:
        """The convolution, linear map or module alone."""
        if self.spec.kind == "module":
            return self.module(x)
        return self.conv(x) if self.spec.kind == "conv" else self.linear(x)

    def _transform(self, x: torch.Tensor) -> torch.Tensor:
        return self._shape(self.map(x))

    def _shape(self, x: torch.Tensor) -> torch.Tensor:
        if self.spec.kind == "module":
            return x
        if self.position == "preactivation":
            x = self.normalizer(x)
        if callable(self.spec.activation):  # nothing is known of its shape, so it does not change places with pooling
            x = self.spec.activation(x)
            return max_pool(x, self.pool) if self.pool > 1 else x
        # nobody else reads what the map gave or what pooling gave, so what comes next may take its memory
        owned = self.position != "preactivation" and torch.is_grad_enabled()
        if self.pool > 1:
            x = pool_owned(x, self.pool) if owned else max_pool(x, self.pool)
            owned = True
        return x.relu_() if owned and self.spec.activation == "relu" else ACTIVATIONS[self.spec.activation](x)

    def pass_on(self, activation: torch.Tensor) -> torch.Tensor:
        """What is passed on of the activation ``[B, *output_shape]``, before any shortcut: ``[B, *passed_shape]``."""
        x = self.normalizer(activation) if self.position == "output" else activation
        return max_pool(x, self.spec.output_max_pool) if self.spec.output_max_pool > 1 else x

    def own_parameters(self, objective: bool = True) -> Iterator[nn.Parameter]:
        """The layer's parameters; without those of goodness and loss where ``objective`` is false."""
        for name, parameter in self.named_parameters():
            if objective or not name.startswith(("goodness.", "loss.")):
                yield parameter

    @property
    def weight(self) -> torch.Tensor | None:
        """The weight of the convolution or linear map; the largest parameter of any other module."""
        if self.spec.kind == "conv":
            return self.conv.weight
        if self.spec.kind == "linear":
            return self.linear.weight
        return max(self.module.parameters(), key=torch.Tensor.numel, default=None)

    def _shrunk(self, shape: Shape) -> Shape:
        if self.spec.input_avg_pool > 1:
            shape = (*shape[:-2], *(side // self.spec.input_avg_pool for side in shape[-2:]))
        return (int(torch.Size(shape).numel()),) if self.flattens else shape

    def _infer(self, function: Callable[[torch.Tensor], torch.Tensor], inner: Shape) -> Shape:
        # asking with a real batch costs nothing beside training, and works for any module that a plugin builds; two
        # rows, since batch normalization refuses one
        mode = self.training
        self.eval()
        with torch.no_grad():
            out = function(torch.zeros(2, *inner))
        self.train(mode)
        return tuple(out.shape[1:])
