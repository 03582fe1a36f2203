"""The first layer of a label sweep: what does not depend on the label is computed once for all labels."""

from __future__ import annotations

from typing import Any

import torch

from ffprobe.network.layer import Layer
from ffprobe.network.network import LayeredNetwork

LEAST = 512
"""Products for each number of the first layer from which sharing pays; below, adding the parts costs as much, unless
what they add up to is pooled."""

CACHED = 2 << 20
"""Bytes of sums that are made at a time where they are pooled at once: they stay in the processor's cache."""


class FirstLayer:
    """Layer 0 of some images with whichever label, its products split into the image's part and the label's.

    The first map f (convolution or matrix product, behind a normalizer that is affine in evaluation) obeys
    f(u + s v) = f(u) + s (f(v) - f(0)), so that an encoder that says image and label apart (``Encoder``, parts) costs
    one f of every image and one f of every label, in the place of one f for every pair.

    Args:
        layer: the first one of a network for which ``can_share`` holds.
        common: the image's part, ``[N, *shape]``.
        labels: the labels' parts, ``[K, *shape]``.
        scale: each image's factor on them, ``[N]``; None for 1.
    """

    def __init__(self, layer: Layer, common: torch.Tensor, labels: torch.Tensor, scale: torch.Tensor | None) -> None:
        self._layer = layer
        self._common = self._map(common)
        self._labels = self._map(labels) - self._map(torch.zeros_like(labels[:1]))
        self._scale = None if scale is None else scale.view(-1, *([1] * (self._common.dim() - 1)))

    def grid(self, images: slice, labels: torch.Tensor) -> torch.Tensor:
        """The activation of some images with each of some labels: ``[n * k, *output_shape]``, an image's together.

        Args:
            images: n of them.
            labels: int64 ``[k]``.
        """
        common, label = self._common[images, None], self._labels[labels]
        scale = None if self._scale is None else self._scale[images, None]
        size = self._together(len(labels)) or max(1, len(common))
        made = []
        for start in range(0, max(1, len(common)), size):
            part = slice(start, start + size)
            some = self._sum(common[part], label, None if scale is None else scale[part])
            made.append(self._layer.after_map(some.flatten(0, 1)))
        return made[0] if len(made) == 1 else torch.cat(made)

    def pairs(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The activation of pairs of an image and a label, both int64 ``[P]``: ``[P, *output_shape]``."""
        scale = None if self._scale is None else self._scale[images]
        return self._layer.after_map(self._sum(self._common[images], self._labels[labels], scale))

    @staticmethod
    def _sum(common: torch.Tensor, label: torch.Tensor, scale: torch.Tensor | None) -> torch.Tensor:
        return common + label if scale is None else torch.addcmul(common, label, scale)

    def _together(self, labels: int) -> int:
        """Images at a time; 0 for all of them, as on a GPU, where what counts is the number of calls."""
        if self._layer.pool == 1 or self._common.device.type != "cpu":
            return 0
        return max(1, CACHED // (labels * self._common[:1].numel() * self._common.element_size()))

    def _map(self, x: torch.Tensor) -> torch.Tensor:
        return self._layer.map(self._layer.normalize_input(x))


def first_layer(network: LayeredNetwork, images: torch.Tensor) -> FirstLayer | None:
    """The first layer of a sweep over all labels; None where sharing would not be exact, or not pay.

    What decides is the network alone, so that the same run is evaluated the same way everywhere.

    Args:
        network: in evaluation mode.
        images: normalized, ``[N, C, H, W]``.
    """
    if not can_share(network):
        return None
    encoder: Any = network.encoder
    return FirstLayer(network.layer(0), *encoder.parts(images))


def can_share(network: LayeredNetwork) -> bool:
    """Whether the first layer of a label sweep is affine in the label, and dear enough to be shared."""
    layer = network.layer(0)
    weight = layer.weight
    if network.training or network.form != "pair" or not hasattr(network.encoder, "parts") or weight is None:
        return False
    joined = any(s is not None and s.source < 0 for s in (network.layer(i).spec.shortcut for i in range(network.depth)))
    return layer.affine_map and not joined and (weight[0].numel() >= LEAST or layer.pool > 1)
