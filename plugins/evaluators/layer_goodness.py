"""The label whose goodness, averaged over some layers, is largest."""

from __future__ import annotations

import re

import torch
from pydantic import Field, field_validator

import ffprobe


class LayerGoodness(ffprobe.Evaluator):
    """Mean goodness over the last layer, the last k, all but the first, or all layers.

    The paper reports the last layer (Sec. 5) and finds the last three a little better (Table 3); Hinton sums all but
    the first.
    """

    name = "layer-goodness"
    source = "Trifecta, arXiv:2311.18130, Sec. 5 and Table 3; Hinton 2022, arXiv:2212.13345, Sec. 3.3"

    class Params(ffprobe.Params):
        """Which layers have a say."""

        layers: str = Field("last", description="last, last-K (K layers), all-but-first, or all")

        @field_validator("layers")
        @classmethod
        def _known(cls, value: str) -> str:
            if not re.fullmatch(r"last|last-[1-9]\d{0,3}|all-but-first|all", value):
                raise ValueError("use last, last-K such as last-3, all-but-first, or all")
            return value

    def layers(self, depth: int) -> list[int]:
        """The layers that are averaged; a single layer is never left out as the first."""
        said = self.params.layers
        if said == "all" or depth == 1:
            return list(range(depth))
        if said == "all-but-first":
            return list(range(1, depth))
        count = int(said.partition("-")[2] or 1)
        return list(range(max(0, depth - count), depth))

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """``[L, N, K]`` to ``[N, K]``."""
        return goodness[self.layers(goodness.shape[0])].mean(dim=0)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LayerGoodness]
