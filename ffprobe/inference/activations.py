"""Activations of a fixed set of images, reduced to a size that can be recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from ffprobe.components.base import Shape
from ffprobe.data.samples import Samples
from ffprobe.inference.activation_statistics import ActivationStatistics
from ffprobe.inference.network_input import network_input
from ffprobe.network.network import LayeredNetwork
from ffprobe.store.schema import ActivationRecord


class ActivationSampler:
    """Collects the activations of every layer for a fixed set of images.

    For every layer, with the neutral label: ``pre`` is its activation, and ``post`` the activation after the next
    normalizer (there is none after the last layer if normalizers are on inputs). ``input`` is the normalized image
    without a label. ``random`` is ``pre`` with a random label in place of the neutral label.

    Args:
        network: the network.
        images: the fixed set, in the order of recording.
        max_features: maximum number of features per image and layer; the images themselves are kept in full.
        autocast: returns a context manager for the run's precision.
        random_labels: labels of the stage ``random``, int64 ``[samples]``; None omits this stage.
        held_out: indices in the validation set of the held-out images among ``images``, int64; these images come last.
    """

    def __init__(
        self,
        network: LayeredNetwork,
        images: Samples,
        max_features: int,
        autocast: Callable[[], Any],
        random_labels: torch.Tensor | None = None,
        held_out: torch.Tensor | None = None,
    ) -> None:
        self.held_out = torch.empty(0, dtype=torch.int64) if held_out is None else held_out
        self.max_features = max_features
        self.network, self.images, self.autocast, self._labels = network, images, autocast, random_labels
        self.records: list[ActivationRecord] = []
        self._reduce: dict[tuple[str, str], Callable[[torch.Tensor], torch.Tensor]] = {}
        for key, value in self._pass(slice(0, 2)).items():
            shape = tuple(value.shape[1:])
            size, description, reduce = reduction(shape, max_features if key[0] != "input" else value[0].numel())
            self._reduce[key] = reduce
            self.records.append(ActivationRecord(key[0], key[1], size, shape, description))

    def collect(self, batch: int = 256) -> dict[tuple[str, str], torch.Tensor]:
        """Activations by (layer, stage), each float32 ``[samples, features]`` on the CPU."""
        return self._collect(batch, {})

    def collect_with_statistics(
        self, batch: int = 256
    ) -> tuple[dict[tuple[str, str], torch.Tensor], dict[tuple[str, str], dict[str, float]]]:
        """``collect()``, and the statistics of the activations before reduction by (layer, stage).

        There are statistics only where the recorded features are reduced; elsewhere the features give them. See
        ``ActivationStatistics.result`` for their names.
        """
        statistics = {
            (record.layer, record.stage): ActivationStatistics(self.images.labels)
            for record in self.records
            if record.has_statistics
        }
        collected = self._collect(batch, statistics)
        return collected, {key: value.result() for key, value in statistics.items()}

    @torch.no_grad()
    def _collect(
        self, batch: int, statistics: Mapping[tuple[str, str], ActivationStatistics]
    ) -> dict[tuple[str, str], torch.Tensor]:
        parts: dict[tuple[str, str], list[torch.Tensor]] = {key: [] for key in self._reduce}
        for start in range(0, len(self.images), batch):
            for key, value in self._pass(slice(start, start + batch)).items():
                value = value.float()
                parts[key].append(self._reduce[key](value).cpu())
                if key in statistics:
                    statistics[key].add(value)
        return {key: torch.cat(values) for key, values in parts.items()}

    @torch.inference_mode()
    def _pass(self, rows: slice) -> dict[tuple[str, str], torch.Tensor]:
        network = self.network
        x = network_input(network, self.images.inputs[rows], self.images.mean, self.images.std)
        mode = network.training
        network.eval()
        outputs = {("input", "pre"): x}
        with self.autocast():
            inputs: dict[int, torch.Tensor] = {}
            for index, activation in enumerate(network.activations(x, None, inputs)):
                name = str(index)
                outputs[name, "pre"] = activation
                layer = network.layer(index)
                if layer.position == "output":
                    outputs[name, "post"] = layer.pass_on(activation)
                elif index + 1 < network.depth:
                    passed = network.pass_on(index, activation, inputs)
                    outputs[name, "post"] = network.layer(index + 1).normalize_input(passed)
            if self._labels is not None:
                labels = self._labels[rows].to(x.device)
                for index, activation in enumerate(network.activations(x, labels)):
                    outputs[str(index), "random"] = activation
        network.train(mode)
        return outputs


def reduction(shape: Shape, limit: int) -> tuple[int, str, Callable[[torch.Tensor], torch.Tensor]]:
    """How to reduce activations of ``shape`` to at most ``limit`` features.

    Feature maps are average-pooled to the largest square grid that fits, signals to the largest number of time steps.
    For vectors, and for maps where one value per channel is already too many, every n-th unit is kept, so that a
    recorded feature is a unit of the network.

    Returns:
        (number of features, description of the reduction, a function from ``[B, *shape]`` to ``[B, features]``).
    """
    size = int(torch.Size(shape).numel())
    if size <= limit:
        return size, "none", lambda x: x.flatten(1)
    if len(shape) == 2 and shape[0] <= limit:
        steps = max(1, limit // shape[0])
        average = nn.AdaptiveAvgPool1d(steps)
        return shape[0] * steps, f"average-pool {steps}", lambda x: average(x).flatten(1)
    if len(shape) == 3 and shape[0] <= limit:
        side = max(s for s in range(1, max(shape[1:]) + 1) if s == 1 or shape[0] * s * s <= limit)
        grid = min(side, shape[1]), min(side, shape[2])
        pool = nn.AdaptiveAvgPool2d(grid)
        return shape[0] * grid[0] * grid[1], f"average-pool {grid[0]}x{grid[1]}", lambda x: pool(x).flatten(1)
    stride = -(-size // limit)
    return -(-size // stride), f"every {stride}th unit", lambda x: x.flatten(1)[:, ::stride]
