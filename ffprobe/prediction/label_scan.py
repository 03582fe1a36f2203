"""Goodness layer by layer, for the pairs of image and label that can still win."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch


class LabelScan(ABC):
    """A pass of N images with K labels each through L layers, which counts its cost.

    An evaluator that reads from a label scan works the same on recorded goodness and on a network. It must treat every
    image independently: the number of images in a scan must not change a result.

    Args:
        images: number of images, N.
        depth: number of layers, L.
        classes: number of classes, K.
        form: ``pair``: every label needs its own forward pass; ``class``: one forward pass gives all labels.

    Attributes:
        evaluations: number of inputs that have gone through each layer so far, ints ``[L]``: one per pair of image and
            label in form ``pair``, one per image in form ``class``; the pass with the neutral label counts too.
    """

    def __init__(self, images: int, depth: int, classes: int, form: Literal["pair", "class"] = "pair") -> None:
        self.images, self.depth, self.classes, self.form = images, depth, classes, form
        self.evaluations = [0] * depth
        self._layer = 0
        self._alive: torch.Tensor | None = None

    def everyone(self) -> torch.Tensor:
        """A mask of all pairs: bool ``[N, K]``, all True."""
        return torch.ones(self.images, self.classes, dtype=torch.bool)

    def advance(self, alive: torch.Tensor) -> torch.Tensor:
        """Run the active pairs through the next layer.

        Args:
            alive: mask of the active pairs, bool ``[N, K]`` on the CPU. A pair that was dropped cannot become active
                again.

        Returns:
            Goodness of that layer, float ``[N, K]`` on the CPU, NaN for pairs that are not active.

        Raises:
            ValueError: the shape or dtype is wrong, a dropped pair is active, or no layer is left.
        """
        if alive.dtype != torch.bool or alive.shape != (self.images, self.classes):
            raise ValueError(f"alive must be bool {[self.images, self.classes]}, not {alive.dtype} {list(alive.shape)}")
        if self._layer == self.depth:
            raise ValueError(f"all {self.depth} layers have been read")
        if self._alive is not None and bool((alive & ~self._alive).any()):
            raise ValueError("a pair that was dropped cannot become active again")
        goodness = self._advance(self._layer, alive)
        self.evaluations[self._layer] += self._count(alive)
        self._alive = alive.clone()
        self._layer += 1
        return goodness

    def full(self, layers: Sequence[int]) -> torch.Tensor:
        """Goodness of every pair in these layers: float ``[L, N, K]`` on the CPU, NaN in the other layers.

        It costs every layer up to the deepest of them. Use it instead of ``advance``, not after it.

        Raises:
            ValueError: ``advance`` or ``full`` was called before.
        """
        if self._layer:
            raise ValueError("a label scan that has advanced cannot start over")
        deepest = max(layers) + 1
        self._layer = self.depth
        self._add_cost(deepest, self._count(self.everyone()))
        return self._full(sorted(set(layers)))

    def features(self, layers: Sequence[int]) -> dict[int, torch.Tensor]:
        """Features from one forward pass with the neutral label, by layer: float32 ``[N, features]`` on the CPU.

        They are the layer's activation, reduced as in the run file (``activations/<layer>/pre``). It costs every layer
        up to the deepest of them, once per image.

        Raises:
            FileError: no activations were recorded.
        """
        features = self._features(sorted(set(layers)))
        self._add_cost(max(layers) + 1, self.images)
        return features

    def _add_cost(self, depth: int, count: int) -> None:
        for layer in range(depth):
            self.evaluations[layer] += count

    def _count(self, alive: torch.Tensor) -> int:
        return int((alive.any(dim=1) if self.form == "class" else alive).sum())

    @abstractmethod
    def _advance(self, layer: int, alive: torch.Tensor) -> torch.Tensor: ...

    @abstractmethod
    def _full(self, layers: Sequence[int]) -> torch.Tensor: ...

    @abstractmethod
    def _features(self, layers: Sequence[int]) -> dict[int, torch.Tensor]: ...
