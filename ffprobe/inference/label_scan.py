"""A label scan over a network: only active pairs of image and label are computed, layer by layer, on demand."""

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
    """Goodness of a batch of images, computed on demand.

    Between two layers the activation of every active pair is kept. Before each layer the active pairs are gathered into
    one dense batch, so that pairs that were dropped cost nothing. Use it inside ``torch.inference_mode``, with the
    network in evaluation mode.

    Args:
        network: the network, on its device.
        images: normalized images, float ``[N, C, H, W]``, on the same device.
        max_features: maximum number of features per image and layer; None if features are not used.
        autocast: returns a context manager for the run's precision.
        rows: inputs per forward pass of a layer.
        flip: whether goodness is the mean with that of the mirror images; None for ``network.flip_evaluation``.
    """

    def __init__(
        self,
        network: LayeredNetwork,
        images: torch.Tensor,
        max_features: int | None,
        autocast: Callable[[], Any],
        rows: int = 512,
        flip: bool | None = None,
    ) -> None:
        super().__init__(len(images), network.depth, network.classes, network.form)
        self._network, self._images, self._max_features = network, images, max_features
        self._autocast, self._rows = autocast, rows
        self._pairs = torch.empty(0, 2, dtype=torch.int64)  # on the CPU: (image, label), or (image, 0) in form class
        self._activations: list[torch.Tensor] = []  # the activation of each pair, in chunks
        self._inputs: dict[int, list[torch.Tensor]] = {}  # the inputs of layers from which a later shortcut starts
        shortcuts = [(i, network.layer(i).spec.shortcut) for i in range(network.depth)]
        self._needed = {
            short.source + 1: i for i, short in shortcuts if short is not None
        }  # by layer: last layer to use it

        self._mirrored: NetworkLabelScan | None = None
        if network.flip_evaluation if flip is None else flip:
            self._mirrored = NetworkLabelScan(network, images.flip(-1), max_features, autocast, rows, flip=False)

    def _advance(self, layer: int, alive: torch.Tensor) -> torch.Tensor:
        goodness = self._own_goodness(layer, alive)
        return goodness if self._mirrored is None else (goodness + self._mirrored._own_goodness(layer, alive)) / 2

    def _own_goodness(self, layer: int, alive: torch.Tensor) -> torch.Tensor:
        pair = self.form == "pair"
        wanted = alive if pair else alive.any(dim=1, keepdim=True)
        if layer == 0:
            self._pairs = wanted.nonzero()
        else:
            self._drop_pairs(wanted)
        goodness = torch.full(alive.shape, torch.nan)
        if not len(self._pairs):
            return goodness
        inputs, activations, values = [], [], []
        with self._autocast():
            for x, activation in self._passes(layer):
                if layer in self._needed and x is not None:
                    inputs.append(x)
                values.append(self._network.layer(layer).goodness(activation).float())
                if layer + 1 < self.depth:
                    activations.append(activation)
        self._activations = activations
        self._inputs = {i: x for i, x in self._inputs.items() if self._needed[i] >= layer}
        if inputs:
            self._inputs[layer] = inputs
        computed = torch.cat(values).cpu()
        if pair:
            goodness[self._pairs[:, 0], self._pairs[:, 1]] = computed
            return goodness
        goodness[self._pairs[:, 0]] = computed
        return goodness.masked_fill(~alive, torch.nan)

    def _passes(self, layer: int) -> Iterator[tuple[torch.Tensor | None, torch.Tensor]]:
        """Input and activation of the active pairs, in chunks; the input is None if the first layer is shared."""
        shared = first_layer(self._network, self._images) if layer == 0 else None
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
                yield x, self._network.layer(layer)(x)

    def _drop_pairs(self, wanted: torch.Tensor) -> None:
        """Keep the wanted pairs in dense tensors; each kept row is copied once, dropped rows are not copied."""
        keep = wanted[self._pairs[:, 0], self._pairs[:, 1]]
        self._pairs = self._pairs[keep]
        self._activations = _dense(self._activations, keep)
        self._inputs = {i: _dense(x, keep) for i, x in self._inputs.items()}

    def _input(self, layer: int, rows: slice) -> torch.Tensor:
        if layer:
            inputs = {i: x[rows] for i, (x,) in self._inputs.items()}
            return self._network.pass_on(layer - 1, self._activations[0][rows], inputs)
        image, label = self._pairs[rows].to(self._images.device).unbind(dim=1)
        return self._network.encode(self._images[image], label if self.form == "pair" else None)

    def _full(self, layers: Sequence[int]) -> torch.Tensor:
        # the same computation as in the run's evaluation, bit for bit
        with self._autocast():
            return self._spread(layers, scanned_goodness(self._network, self._images, layers).float().cpu())

    def _spread(self, layers: Sequence[int], goodness: torch.Tensor) -> torch.Tensor:
        if len(layers) == self.depth:
            return goodness
        spread = torch.full((self.depth, self.images, self.classes), torch.nan)
        spread[list(layers)] = goodness
        return spread

    def _features(self, layers: Sequence[int]) -> dict[int, torch.Tensor]:
        if self._max_features is None:
            raise ValueError("features need max_features, which this label scan was created without")
        features = {}
        with self._autocast():
            for index, activation in enumerate(self._network.activations(self._images, None)):
                if index in layers:
                    reduce = reduction(tuple(activation.shape[1:]), self._max_features)[2]
                    features[index] = reduce(activation.float()).cpu()
                if index == layers[-1]:
                    break
        return features


def _dense(chunks: list[torch.Tensor], keep: torch.Tensor) -> list[torch.Tensor]:
    """The kept rows of a tensor in chunks, as one chunk; ``keep`` is a bool mask over all rows, on the CPU."""
    if len(chunks) == 1 and bool(keep.all()):
        return chunks
    masks = keep.split([len(chunk) for chunk in chunks])
    kept = [x if bool(mask.all()) else x[mask.to(x.device)] for x, mask in zip(chunks, masks, strict=True)]
    return [kept[0] if len(kept) == 1 else torch.cat(kept)] if kept else []
