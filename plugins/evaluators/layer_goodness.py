"""Predicts the label with the largest mean goodness over some layers."""

from __future__ import annotations

import re

import torch
from pydantic import Field, field_validator

import ffprobe


class LayerGoodness(ffprobe.Evaluator):
    """Averages goodness over the last layer, the last k layers, all but the first, or all layers; the largest mean
    wins.

    The paper reports the last layer (Sec. 5) and finds the last three slightly better (Table 3); Hinton sums all but
    the first.
    """

    name = "layer-goodness"
    source = "Trifecta, arXiv:2311.18130, Sec. 5 and Table 3; Hinton 2022, arXiv:2212.13345, Sec. 3.3"

    class Params(ffprobe.Params):
        """Which layers are averaged."""

        layers: str = Field(
            "last",
            description="The layers that are averaged; if the network has only one layer, all-but-first uses it.",
        )

        @field_validator("layers")
        @classmethod
        def _known(cls, value: str) -> str:
            if not re.fullmatch(r"last|last-[1-9]\d{0,3}|all-but-first|all", value):
                raise ValueError("use last, last-K such as last-3, all-but-first, or all")
            return value

    def layers(self, depth: int) -> list[int]:
        """The layers that are averaged; if the network has only one layer, all-but-first uses it."""
        choice = self.params.layers
        if choice == "all" or depth == 1:
            return list(range(depth))
        if choice == "all-but-first":
            return list(range(1, depth))
        count = int(choice.partition("-")[2] or 1)
        return list(range(max(0, depth - count), depth))

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """Map ``[L, N, K]`` to ``[N, K]``."""
        return goodness[self.layers(goodness.shape[0])].mean(dim=0)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LayerGoodness]
