"""Goodness handed out layer after layer, for the pairs of image and label that still matter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch


class LabelScan(ABC):
    """N images on their way through L layers with K labels each, and what that costs.

    An evaluator that reads from a sweep works on a recorded tensor and on a live network alike. It must treat every
    image by itself: how many images stand in one sweep must not decide anything.

    Args:
        images: N.
        depth: L.
        classes: K.
        form: ``pair``: every label is a pass of its own; ``class``: one pass gives all labels.

    Attributes:
        evaluations: how many inputs have gone through each layer so far, ints ``[L]``: in form ``pair`` one for each
            pair of image and label, in form ``class`` one for each image; the pass with the neutral label counts too.
    """

    def __init__(self, images: int, depth: int, classes: int, form: Literal["pair", "class"] = "pair") -> None:
        self.images, self.depth, self.classes, self.form = images, depth, classes, form
        self.evaluations = [0] * depth
        self._layer = 0
        self._alive: torch.Tensor | None = None

    def everyone(self) -> torch.Tensor:
        """All pairs: bool ``[N, K]``, true."""
        return torch.ones(self.images, self.classes, dtype=torch.bool)

    def advance(self, alive: torch.Tensor) -> torch.Tensor:
        """Let the living pairs through the next layer.

        Args:
            alive: bool ``[N, K]`` on the CPU. A pair that was left out once does not come back.

        Returns:
            Goodness of that layer, float ``[N, K]`` on the CPU, NaN where a pair is not alive.

        Raises:
            ValueError: the shape or dtype is another, a dead pair is asked for, or there is no layer left.
        """
        if alive.dtype != torch.bool or alive.shape != (self.images, self.classes):
            raise ValueError(f"alive must be bool {[self.images, self.classes]}, not {alive.dtype} {list(alive.shape)}")
        if self._layer == self.depth:
            raise ValueError(f"all {self.depth} layers have been handed out")
        if self._alive is not None and bool((alive & ~self._alive).any()):
            raise ValueError("a pair that was left out does not come back")
        goodness = self._advance(self._layer, alive)
        self.evaluations[self._layer] += self._count(alive)
        self._alive = alive.clone()
        self._layer += 1
        return goodness

    def full(self, layers: Sequence[int]) -> torch.Tensor:
        """Goodness of every pair in these layers: float ``[L, N, K]`` on the CPU, NaN in the other layers.

        It costs every layer down to the deepest of them, and stands instead of ``advance``, not beside it.
        """
        if self._layer:
            raise ValueError("a sweep that has advanced cannot start over")
        deepest = max(layers) + 1
        self._layer = self.depth
        self._pay(deepest, self._count(self.everyone()))
        return self._full(sorted(set(layers)))

    def features(self, layers: Sequence[int]) -> dict[int, torch.Tensor]:
        """Features of one pass with the neutral label, by layer: float32 ``[N, units]`` on the CPU.

        They are the layer's activation, reduced as in the run file (``activations/<layer>/pre``). It costs every layer
        down to the deepest of them, once for each image.

        Raises:
            FileError: no activations were recorded.
        """
        found = self._features(sorted(set(layers)))
        self._pay(max(layers) + 1, self.images)
        return found

    def _pay(self, deep: int, count: int) -> None:
        for layer in range(deep):
            self.evaluations[layer] += count

    def _count(self, alive: torch.Tensor) -> int:
        return int((alive.any(dim=1) if self.form == "class" else alive).sum())

    @abstractmethod
    def _advance(self, layer: int, alive: torch.Tensor) -> torch.Tensor: ...

    @abstractmethod
    def _full(self, layers: Sequence[int]) -> torch.Tensor: ...

    @abstractmethod
    def _features(self, layers: Sequence[int]) -> dict[int, torch.Tensor]: ...
