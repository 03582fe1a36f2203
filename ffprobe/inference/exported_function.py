"""A trained network as one function of raw inputs, which other programs can run without ffprobe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import one_hot

from ffprobe.components.evaluator import Evaluator
from ffprobe.data.samples import InputKind
from ffprobe.inference.activations import reduction
from ffprobe.inference.trained import Trained
from ffprobe.network.network import LayeredNetwork


class ExportedFunction(nn.Module):
    """Raw inputs to scores ``[N, K]``, or to the goodness of every layer ``[L, N, K]``.

    Raw inputs are float images ``[N, C, H, W]``, 0 to 255; float values as the data set has them; or int64 tokens
    ``[N, T]``. They are normalized as the run did. In form ``pair`` the function scans all labels: N inputs become
    N * K inputs of the network. Which operations it runs does not depend on the values of the inputs, so they can be
    recorded once.

    Args:
        trained: the trained network, on the CPU.
        evaluator: an evaluator that is not ``stepwise``, calibrated if it needs calibration; None for the goodness of
            every layer.

    Attributes:
        input_dtype: dtype of raw inputs, float32 or int64.
    """

    image_mean: torch.Tensor
    image_std: torch.Tensor
    class_labels: torch.Tensor

    def __init__(self, trained: Trained, evaluator: Evaluator | None) -> None:
        super().__init__()
        self.network, self.evaluator = trained.network, evaluator
        self.output = "goodness" if evaluator is None else "scores"
        self._max_features = trained.max_features
        dtype = next(trained.network.parameters()).dtype
        # onnx names the results of operations after them, such as mean
        self._kind = trained.kind
        self.input_dtype = torch.int64 if trained.kind == "tokens" else torch.float32
        by_channel = (1, -1, *[1] * (len(trained.shape) - 1))
        for name, values in (("image_mean", trained.mean), ("image_std", trained.std)):
            self.register_buffer(name, torch.tensor([float(v) for v in values], dtype=dtype).view(by_channel))
        self.register_buffer("class_labels", torch.arange(trained.network.classes))
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores or goodness of raw inputs."""
        if self._kind == "tokens":
            x = one_hot(images, self.image_mean.shape[1]).transpose(1, 2).to(self.image_mean.dtype)
        else:
            # in these steps and this order, so that the numbers are those of the run
            x = images.to(self.image_mean.dtype)
            x = x.div(255) if self._kind == "pixels" else x
            x = x.sub(self.image_mean).div(self.image_std)
        scan: Any = _RecordedScan(self.network, x, self.class_labels, self._max_features)
        return scan.full(range(self.network.depth)) if self.evaluator is None else self.evaluator.read(scan)


class _RecordedScan:
    """The part of ``LabelScan`` that evaluators need that are not stepwise, as operations on tensors alone.

    A ``LabelScan`` counts what it computes, in numbers that depend on values.
    """

    def __init__(self, network: LayeredNetwork, x: torch.Tensor, labels: torch.Tensor, max_features: int) -> None:
        self._network, self._x, self._labels, self._max_features = network, x, labels, max_features
        self.images, self.depth, self.classes, self.form = x.shape[0], network.depth, network.classes, network.form

    def full(self, layers: Sequence[int]) -> torch.Tensor:
        """Goodness ``[L, N, K]``; NaN in the other layers."""
        goodness = self._goodness(self._x, layers)
        if not self._network.flip_evaluation:
            return goodness
        return (goodness + self._goodness(self._x.flip(-1), layers)) / 2

    def _goodness(self, x: torch.Tensor, layers: Sequence[int]) -> torch.Tensor:
        labels, shape = None, (self.images, self.classes)
        if self.form == "pair":
            x = x[:, None].expand(*shape, *x.shape[1:]).flatten(0, 1)
            labels = self._labels.expand(*shape).flatten()
        goodness = {}
        for index, activation in enumerate(self._network.activations(x, labels)):
            if index in layers:
                goodness[index] = self._network.layer(index).goodness(activation).view(*shape)
            if index == max(layers):
                break
        missing = goodness[min(layers)].new_full(shape, torch.nan)
        return torch.stack([goodness.get(index, missing) for index in range(self.depth)])

    def features(self, layers: Sequence[int]) -> dict[int, torch.Tensor]:
        """Features ``[N, features]`` by layer, from one pass with the neutral label."""
        features = {}
        for index, activation in enumerate(self._network.activations(self._x, None)):
            if index in layers:
                reduce = reduction(tuple(activation.shape[1:]), self._max_features)[2]
                features[index] = reduce(activation.float())
            if index == max(layers):
                break
        return features


def raw(inputs: torch.Tensor, kind: InputKind) -> torch.Tensor:
    """Stored inputs as an ``ExportedFunction`` takes them."""
    return inputs.long() if kind == "tokens" else inputs.float()
