"""A sweep over a live network: only living pairs go through it, only as far as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from ffprobe.inference.activations import reduction
from ffprobe.inference.evaluate import scanned_goodness
from ffprobe.network.first_layer import first_layer
from ffprobe.network.network import LayeredNetwork
from ffprobe.prediction.label_scan import LabelScan


class NetworkLabelScan(LabelScan):
    """Goodness of a batch of images, computed when it is asked for.

    What is kept between two layers is the activation of every pair that was alive. Before each layer the living pairs
    are gathered into one dense batch, so what a dead pair would have cost is saved. To be used inside
    ``torch.inference_mode``, the network in evaluation mode.

    Args:
        network: on its device.
        images: float ``[N, C, H, W]``, normalized, on that device.
        units: numbers that a layer keeps of each image as features; None when features are not to be asked for.
        autocast: maker of the precision's context.
        rows: inputs that go through a layer at once.
    """

    def __init__(
        self,
        network: LayeredNetwork,
        images: torch.Tensor,
        units: int | None,
        autocast: Callable[[], Any],
        rows: int = 512,
    ) -> None:
        super().__init__(len(images), network.depth, network.classes, network.form)
        self._stack, self._images, self._units, self._autocast, self._rows = network, images, units, autocast, rows
        self._pairs = torch.empty(0, 2, dtype=torch.int64)  # on the CPU: (image, label), or (image, 0) in form class
        self._reached: list[torch.Tensor] = []  # the activation of each of them, in pieces
        self._inputs: dict[int, list[torch.Tensor]] = {}  # what those layers got that a later shortcut starts from
        shortcuts = [(i, network.layer(i).spec.shortcut) for i in range(network.depth)]
        self._needed = {short.source + 1: i for i, short in shortcuts if short is not None}  # by layer: until which one

    def _advance(self, layer: int, alive: torch.Tensor) -> torch.Tensor:
        pair = self.form == "pair"
        wanted = alive if pair else alive.any(dim=1, keepdim=True)
        if layer == 0:
            self._pairs = wanted.nonzero()
        else:
            self._leave_behind(wanted)
        goodness = torch.full(alive.shape, torch.nan)
        if not len(self._pairs):
            return goodness
        inputs, activations, values = [], [], []
        with self._autocast():
            for x, activation in self._passes(layer):
                if layer in self._needed and x is not None:
                    inputs.append(x)
                values.append(self._stack.layer(layer).goodness(activation).float())
                if layer + 1 < self.depth:
                    activations.append(activation)
        self._reached = activations
        self._inputs = {i: x for i, x in self._inputs.items() if self._needed[i] >= layer}
        if inputs:
            self._inputs[layer] = inputs
        found = torch.cat(values).cpu()
        if pair:
            goodness[self._pairs[:, 0], self._pairs[:, 1]] = found
            return goodness
        goodness[self._pairs[:, 0]] = found
        return goodness.masked_fill(~alive, torch.nan)

    def _passes(self, layer: int) -> Iterator[tuple[torch.Tensor | None, torch.Tensor]]:
        """Input and activation of the living pairs, in pieces; no input where the first layer is shared."""
        shared = first_layer(self._stack, self._images) if layer == 0 else None
        if shared and len(self._pairs) == self.images * self.classes:
            size = max(1, self._rows // self.classes)
            labels = torch.arange(self.classes, device=self._images.device)
            for start in range(0, self.images, size):
                yield None, shared.grid(slice(start, start + size), labels)
            return
        for start in range(0, len(self._pairs), self._rows):
            rows = slice(start, start + self._rows)
            if shared:
                yield None, shared.pairs(*self._pairs[rows].to(self._images.device).unbind(dim=1))
            else:
                x = self._input(layer, rows)
                yield x, self._stack.layer(layer)(x)

    def _leave_behind(self, wanted: torch.Tensor) -> None:
        """Keep the pairs that are still wanted, in dense tensors; each is copied once, those that go not at all."""
        stays = wanted[self._pairs[:, 0], self._pairs[:, 1]]
        self._pairs = self._pairs[stays]
        self._reached = _dense(self._reached, stays)
        self._inputs = {i: _dense(x, stays) for i, x in self._inputs.items()}

    def _input(self, layer: int, rows: slice) -> torch.Tensor:
        if layer:
            inputs = {i: x[rows] for i, (x,) in self._inputs.items()}
            return self._stack.pass_on(layer - 1, self._reached[0][rows], inputs)
        image, label = self._pairs[rows].to(self._images.device).unbind(dim=1)
        return self._stack.encode(self._images[image], label if self.form == "pair" else None)

    def _full(self, layers: Sequence[int]) -> torch.Tensor:
        # as when the run was evaluated, to the last bit
        with self._autocast():
            return self._spread(layers, scanned_goodness(self._stack, self._images, layers).float().cpu())

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


def _dense(pieces: list[torch.Tensor], stays: torch.Tensor) -> list[torch.Tensor]:
    """The rows that stay, ``stays`` bool over all of them on the CPU, of a tensor in pieces, as one piece."""
    if len(pieces) == 1 and bool(stays.all()):
        return pieces
    kept = stays.split([len(piece) for piece in pieces])
    found = [x if bool(s.all()) else x[s.to(x.device)] for x, s in zip(pieces, kept, strict=True)]
    return [found[0] if len(found) == 1 else torch.cat(found)] if found else []
