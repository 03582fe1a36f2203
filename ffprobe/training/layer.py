"""One layer: normalize, transform, pool, activate; its goodness is read from the activation."""

from __future__ import annotations

import torch
from torch import nn

from ffprobe.components import Goodness, LayerSpec, Normalizer, Shape


class Layer(nn.Module):
    """A layer as a ``LayerSpec`` describes it.

    The order is that of the Trifecta (App. A): normalizer on the input, 3x3 convolution or linear map, max pooling,
    ReLU. Pooling stands before ReLU here, after it in the paper: maximum and ReLU commute, and the ReLU of a pooled
    map costs a quarter. Parameters start as torch's layers do (uniform Kaiming with a = sqrt 5), as in the authors'
    code.

    Args:
        spec: what the layer is.
        shape: of its input, without the batch.
        normalizer: built for the layer's input or output, as its ``place`` says.
        goodness: built for the layer's activation.
        classes: the number of classes.
    """

    def __init__(self, spec: LayerSpec, shape: Shape, normalizer: Normalizer, goodness: Goodness, classes: int) -> None:
        super().__init__()
        self.spec = spec
        self.input_shape = shape
        self.flattens = spec.kind == "linear" and len(shape) > 1
        inner = (int(torch.Size(shape).numel()),) if self.flattens else shape
        self.place = normalizer.place
        if self.place == "input":
            self.normalizer = normalizer.build(inner)
        if spec.kind == "conv":
            self.conv = nn.Conv2d(inner[0], spec.width, 3, padding=1, bias=spec.bias)
        elif spec.kind == "linear":
            self.linear = nn.Linear(inner[0], spec.width, bias=spec.bias)
        elif spec.factory is not None:
            self.module = spec.factory(inner)
        self.pool = spec.pool
        self.output_shape = self._infer(inner)
        if self.place == "output":
            self.normalizer = normalizer.build(self.output_shape)
        self.goodness = goodness.build(self.output_shape, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The activation ``[B, *output_shape]`` for the input ``[B, *input_shape]``."""
        return self.transform(self.normalize_input(x))

    def normalize_input(self, x: torch.Tensor) -> torch.Tensor:
        """What the transform sees of the input ``[B, *input_shape]``."""
        x = x.flatten(1) if self.flattens else x  # [B, C*H*W]
        return self.normalizer(x) if self.place == "input" else x

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        """The activation of a normalized input."""
        if self.spec.kind == "module":
            return self.module(x)
        x = self.conv(x) if self.spec.kind == "conv" else self.linear(x)
        if self.pool > 1:
            x = nn.functional.max_pool2d(x, self.pool)
        return x.relu()

    def pass_on(self, activation: torch.Tensor) -> torch.Tensor:
        """What the next layer gets of the activation."""
        return self.normalizer(activation) if self.place == "output" else activation

    @property
    def weight(self) -> torch.Tensor | None:
        """The weight of the convolution or linear map; the largest parameter of any other module."""
        if self.spec.kind == "conv":
            return self.conv.weight
        if self.spec.kind == "linear":
            return self.linear.weight
        return max(self.module.parameters(), key=torch.Tensor.numel, default=None)

    def _infer(self, inner: Shape) -> Shape:
        # asking with a real batch costs nothing beside training, and works for any module that a plugin builds; two
        # rows, since batch normalization refuses one
        mode = self.training
        self.eval()
        with torch.no_grad():
            out = self.transform(torch.zeros(2, *inner))
        self.train(mode)
        return tuple(out.shape[1:])
