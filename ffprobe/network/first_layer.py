"""The first layer of a label scan: the part that does not depend on the label is computed once for all labels."""

from __future__ import annotations

from typing import Any

import torch

from ffprobe.network.layer import Layer
from ffprobe.network.network import LayeredNetwork

LEAST = 512
"""Minimum number of products per element of the first layer for which sharing pays; below it, adding the parts costs as
much, unless the sum is pooled."""

CACHED = 2 << 20
"""Bytes of sums computed at a time if they are pooled right away: they stay in the CPU cache."""


class FirstLayer:
    """The first layer for some images with any label, its products split into an image part and a label part.

    The first map f (convolution or matrix product, after a normalizer that is affine in evaluation) satisfies
    f(u + s v) = f(u) + s (f(v) - f(0)). With an encoder that separates image and label (``Encoder``, parts), this costs
    one f per image and one f per label instead of one f per pair.

    Args:
        layer: the first layer of a network for which ``can_share`` is true.
        common: the image part, ``[N, *shape]``.
        labels: the label parts, ``[K, *shape]``.
        scale: each image's factor on the label part, ``[N]``; None for 1.
    """

    def __init__(self, layer: Layer, common: torch.Tensor, labels: torch.Tensor, scale: torch.Tensor | None) -> None:
        self._layer = layer
        self._common = self._map(common)
        self._labels = self._map(labels) - self._map(torch.zeros_like(labels[:1]))
        self._scale = None if scale is None else scale.view(-1, *([1] * (self._common.dim() - 1)))

    def grid(self, images: slice, labels: torch.Tensor) -> torch.Tensor:
        """The activation of n images with each of k labels: ``[n * k, *output_shape]``, the rows of an image together.

        Args:
            images: slice of n images.
            labels: int64 ``[k]``.
        """
        common, label = self._common[images, None], self._labels[labels]
        scale = None if self._scale is None else self._scale[images, None]
        size = self._chunk_size(len(labels)) or max(1, len(common))
        activations = []
        for start in range(0, max(1, len(common)), size):
            rows = slice(start, start + size)
            total = self._sum(common[rows], label, None if scale is None else scale[rows])
            activations.append(self._layer.after_map(total.flatten(0, 1)))
        return activations[0] if len(activations) == 1 else torch.cat(activations)

    def pairs(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The activation of pairs (image, label), both int64 ``[P]``: ``[P, *output_shape]``."""
        scale = None if self._scale is None else self._scale[images]
        return self._layer.after_map(self._sum(self._common[images], self._labels[labels], scale))

    @staticmethod
    def _sum(common: torch.Tensor, label: torch.Tensor, scale: torch.Tensor | None) -> torch.Tensor:
        return common + label if scale is None else torch.addcmul(common, label, scale)

    def _chunk_size(self, labels: int) -> int:
        """Images at a time; 0 for all of them, as on a GPU, where the number of calls matters."""
        if self._layer.pool == 1 or self._common.device.type != "cpu":
            return 0
        return max(1, CACHED // (labels * self._common[:1].numel() * self._common.element_size()))

    def _map(self, x: torch.Tensor) -> torch.Tensor:
        return self._layer.map(self._layer.normalize_input(x))


def first_layer(network: LayeredNetwork, images: torch.Tensor) -> FirstLayer | None:
    """The first layer of a scan over all labels, or None if sharing would not be exact or would not pay.

    The decision depends on the network alone, so that the same run is evaluated the same way everywhere.

    Args:
        network: the network, in evaluation mode.
        images: normalized images ``[N, *shape]``.
    """
    if not can_share(network):
        return None
    encoder: Any = network.encoder
    return FirstLayer(network.layer(0), *encoder.parts(images))


def can_share(network: LayeredNetwork) -> bool:
    """Whether the first layer of a label scan is affine in the label, and expensive enough for sharing to pay."""
    layer = network.layer(0)
    weight = layer.weight
    if network.training or network.form != "pair" or not hasattr(network.encoder, "parts") or weight is None:
        return False
    joined = any(s is not None and s.source < 0 for s in (network.layer(i).spec.shortcut for i in range(network.depth)))
    return layer.affine_map and not joined and (weight[0].numel() >= LEAST or layer.pool > 1)
