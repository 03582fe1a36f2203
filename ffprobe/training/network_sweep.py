"""A sweep over a live network: only living pairs go through it, only as far as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ffprobe.prediction.sweep import Sweep
from ffprobe.training.activations import reduction
from ffprobe.training.evaluate import swept_goodness
from ffprobe.training.first_layer import FirstLayer, first_layer
from ffprobe.training.network import Stack


class NetworkSweep(Sweep):
    """Goodness of a batch of images, computed when it is asked for.

    What is kept between two layers is the activation of every pair that was alive. Before each layer the living pairs
    are gathered into one dense batch, so what a dead pair would have cost is saved. To be used inside
    ``torch.inference_mode``, the network in evaluation mode.

    Args:
        stack: on its device.
        images: float ``[N, C, H, W]``, normalized, on that device.
        units: numbers that a layer keeps of each image as features; None when features are not to be asked for.
        autocast: maker of the precision's context.
        rows: inputs that go through a layer at once.
    """

    def __init__(
        self, stack: Stack, images: torch.Tensor, units: int | None, autocast: Callable[[], Any], rows: int = 512
    ) -> None:
        super().__init__(len(images), stack.depth, stack.classes, stack.form)
        self._stack, self._images, self._units, self._autocast, self._rows = stack, images, units, autocast, rows
        self._pairs = torch.empty(0, 2, dtype=torch.int64)  # on the CPU: (image, label), or (image, 0) in form class
        self._first: FirstLayer | None = None
        self._reached = torch.empty(0)  # the activation of each of them
        self._inputs: dict[int, torch.Tensor] = {}  # what those layers got that a later shortcut starts from
        shortcuts = [(i, stack.layer(i).spec.shortcut) for i in range(stack.depth)]
        self._needed = {short.source + 1: i for i, short in shortcuts if short is not None}  # by layer: until which one

    def _advance(self, layer: int, alive: torch.Tensor) -> torch.Tensor:
        pair = self.form == "pair"
        wanted = alive if pair else alive.any(dim=1, keepdim=True)
        if layer == 0:
            self._pairs = wanted.nonzero()
            with self._autocast():
                self._first = first_layer(self._stack, self._images) if len(self._pairs) else None
        else:
            self._first = None
            self._leave_behind(wanted)
        goodness = torch.full(alive.shape, torch.nan)
        if not len(self._pairs):
            return goodness
        inputs, activations, values = [], [], []
        with self._autocast():
            for start in range(0, len(self._pairs), self._rows):
                rows = slice(start, start + self._rows)
                if layer == 0 and pair and self._first is not None:
                    image, label = self._pairs[rows].to(self._images.device).unbind(dim=1)
                    activation = self._first.activation(label, image)
                else:
                    x = self._input(layer, rows)
                    activation = self._stack.layer(layer)(x)
                    if layer in self._needed:
                        inputs.append(x)
                values.append(self._stack.layer(layer).goodness(activation).float())
                if layer + 1 < self.depth:
                    activations.append(activation)
        self._reached = torch.cat(activations) if activations else torch.empty(0)
        self._inputs = {i: x for i, x in self._inputs.items() if self._needed[i] >= layer}
        if inputs:
            self._inputs[layer] = torch.cat(inputs)
        found = torch.cat(values).cpu()
        if pair:
            goodness[self._pairs[:, 0], self._pairs[:, 1]] = found
            return goodness
        goodness[self._pairs[:, 0]] = found
        return goodness.masked_fill(~alive, torch.nan)

    def _leave_behind(self, wanted: torch.Tensor) -> None:
        """Keep the pairs that are still wanted, in dense tensors."""
        stays = wanted[self._pairs[:, 0], self._pairs[:, 1]]
        if bool(stays.all()):
            return
        self._pairs = self._pairs[stays]
        on_device = stays.to(self._images.device)
        self._reached = self._reached[on_device]
        self._inputs = {i: x[on_device] for i, x in self._inputs.items()}

    def _input(self, layer: int, rows: slice) -> torch.Tensor:
        if layer:
            inputs = {i: x[rows] for i, x in self._inputs.items()}
            return self._stack.pass_on(layer - 1, self._reached[rows], inputs)
        image, label = self._pairs[rows].to(self._images.device).unbind(dim=1)
        return self._stack.encode(self._images[image], label if self.form == "pair" else None)

    def _full(self, layers: Sequence[int]) -> torch.Tensor:
        # as when the run was evaluated, to the last bit
        with self._autocast():
            return self._spread(layers, swept_goodness(self._stack, self._images, layers).float().cpu())

    def _spread(self, layers: Sequence[int], goodness: torch.Tensor) -> torch.Tensor:
        if len(layers) == self.depth:
            return goodness
        whole = torch.full((self.depth, self.images, self.classes), torch.nan)
        whole[list(layers)] = goodness
        return whole

    def _features(self, layers: Sequence[int]) -> dict[int, torch.Tensor]:
        if self._units is None:
            raise ValueError("this sweep was not told how features are reduced")
        found = {}
        with self._autocast():
            for index, activation in enumerate(self._stack.activations(self._images, None)):
                if index in layers:
                    reduce = reduction(tuple(activation.shape[1:]), self._units)[2]
                    found[index] = reduce(activation.float()).cpu()
                if index == layers[-1]:
                    break
        return found
