"""Activations of a fixed set of images, kept small enough to record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ffprobe.components.base import Shape
from ffprobe.data.images import Images
from ffprobe.data.loader import normalize
from ffprobe.network.network import LayeredNetwork
from ffprobe.store.schema import ActivationRecord


class ActivationSampler:
    """Collects what each layer makes of a fixed set of images.

    For every layer, with the neutral label: ``pre``, its activation, and ``post``, the same after the normalizer that
    it passes next (the last layer of a network with normalizers on inputs passes none). ``input`` is the normalized
    image without any label. ``random`` is ``pre`` with a random label in place of the neutral one.

    Args:
        network: the network.
        images: the fixed set, in the order of recording.
        units: numbers kept for each image at most; images themselves are kept whole.
        autocast: maker of the run's precision context.
        random_labels: int64 ``[samples]``, the labels of ``random``; None leaves that stage out.
        held: where those of the images that were held out lie in the validation set, int64; they come last.
    """

    def __init__(
        self,
        network: LayeredNetwork,
        images: Images,
        units: int,
        autocast: Callable[[], Any],
        random_labels: torch.Tensor | None = None,
        held: torch.Tensor | None = None,
    ) -> None:
        self.held = torch.empty(0, dtype=torch.int64) if held is None else held
        self.units = units
        self.network, self.images, self.autocast, self._labels = network, images, autocast, random_labels
        self.records: list[ActivationRecord] = []
        self._reduce: dict[tuple[str, str], Callable[[torch.Tensor], torch.Tensor]] = {}
        for key, value in self._pass(slice(0, 2)).items():
            shape = tuple(value.shape[1:])
            keep, words, reduce = reduction(shape, units if key[0] != "input" else value[0].numel())
            self._reduce[key] = reduce
            self.records.append(ActivationRecord(key[0], key[1], keep, shape, words))

    def collect(self, batch: int = 256) -> dict[tuple[str, str], torch.Tensor]:
        """Activations by (layer, stage), each float32 ``[samples, units]`` on the CPU."""
        parts: dict[tuple[str, str], list[torch.Tensor]] = {key: [] for key in self._reduce}
        for start in range(0, len(self.images), batch):
            for key, value in self._pass(slice(start, start + batch)).items():
                parts[key].append(self._reduce[key](value.float()).cpu())
        return {key: torch.cat(values) for key, values in parts.items()}

    @torch.inference_mode()
    def _pass(self, rows: slice) -> dict[tuple[str, str], torch.Tensor]:
        network = self.network
        parameter = next(network.parameters())
        x = normalize(self.images.pixels[rows].to(parameter.device), self.images.mean, self.images.std)
        x = x.to(parameter.dtype, memory_format=torch.channels_last)
        mode = network.training
        network.eval()
        found = {("input", "pre"): x}
        with self.autocast():
            inputs: dict[int, torch.Tensor] = {}
            for index, activation in enumerate(network.activations(x, None, inputs)):
                name = str(index)
                found[name, "pre"] = activation
                layer = network.layer(index)
                if layer.position == "output":
                    found[name, "post"] = layer.pass_on(activation)
                elif index + 1 < network.depth:
                    passed = network.pass_on(index, activation, inputs)
                    found[name, "post"] = network.layer(index + 1).normalize_input(passed)
            if self._labels is not None:
                labels = self._labels[rows].to(parameter.device)
                for index, activation in enumerate(network.activations(x, labels)):
                    found[str(index), "random"] = activation
        network.train(mode)
        return found


def reduction(shape: Shape, limit: int) -> tuple[int, str, Callable[[torch.Tensor], torch.Tensor]]:
    """How to bring activations of ``shape`` down to ``limit`` numbers or fewer.

    Maps are average-pooled to the largest square grid that fits; where even one number a channel is too many, and for
    vectors, every n-th unit is kept, so that a recorded unit is a unit.

    Returns:
        (numbers kept, the reduction in words, a function from ``[B, *shape]`` to ``[B, numbers]``).
    """
    size = int(torch.Size(shape).numel())
    if size <= limit:
        return size, "none", lambda x: x.flatten(1)
    if len(shape) == 3 and shape[0] <= limit:
        side = max(s for s in range(1, max(shape[1:]) + 1) if s == 1 or shape[0] * s * s <= limit)
        grid = min(side, shape[1]), min(side, shape[2])
        pool = nn.AdaptiveAvgPool2d(grid)
        return shape[0] * grid[0] * grid[1], f"average-pool {grid[0]}x{grid[1]}", lambda x: pool(x).flatten(1)
    stride = -(-size // limit)
    return -(-size // stride), f"every {stride}th unit", lambda x: x.flatten(1)[:, ::stride]
