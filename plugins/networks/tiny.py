"""A small network of three convolutions for experiments and tests."""

from __future__ import annotations

from pydantic import Field

import ffprobe


class Tiny(ffprobe.Network):
    """A small network for experiments and tests: 3x3 convolutions of 32p, 64p and 64 channels (p: followed by 2x2 max
    pooling).

    The paper calls networks of three layers or fewer tiny (Sec. 6) but gives no widths; these are our choice.
    """

    name = "tiny"
    source = "size class of the Trifecta, arXiv:2311.18130, Sec. 6; widths not from a paper"

    class Params(ffprobe.Params):
        """The width."""

        width: float = Field(
            1.0, gt=0, le=64, description="factor on the number of channels of every layer, in (0, 64]"
        )

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """Three layers."""
        return ffprobe.convolutions(self.name, [(32, 2), (64, 2), (64, 1)], self.params.width, shape)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Tiny]
