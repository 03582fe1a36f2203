"""Nokland and Eidnes' VGG8b: six convolutions and one fully connected layer."""

from __future__ import annotations

from pydantic import Field

import ffprobe


class VGG8b(ffprobe.Network):
    """Nokland and Eidnes' VGG8b: 3x3 convolutions of 128, 256p, 256, 512p, 512p and 512p channels and a linear layer of
    1,024 units.

    p: the output is halved by 2x2 max pooling; goodness and local losses use the map before pooling. All layers have
    biases. The linear head of the last layer (``local-classifier``) replaces the original's output layer.

    Pooling that would leave nothing of a small image is left out: an 8x8 image goes through three of the four.
    """

    name = "vgg8b"
    source = "Nokland & Eidnes 2019, arXiv:1901.06656; plan as in the authors' code"

    class Params(ffprobe.Params):
        """The width."""

        width: float = Field(
            1.0, gt=0, le=16, description="factor on the number of channels and units of every layer, in (0, 16]"
        )

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """Seven layers."""
        plan = [(128, 1), (256, 2), (256, 1), (512, 2), (512, 2), (512, 2)]
        if len(shape) != 3:
            raise ffprobe.UsageError(
                f"The network {self.name!r} needs images as input; its input is {list(shape)}.",
                hint="Use --plugin fcn.",
            )
        side, layers = min(shape[1:]), []
        for channels, pool in plan:
            pool = pool if side >= pool else 1
            side //= pool
            width = max(4, round(channels * self.params.width))
            layers.append(ffprobe.LayerSpec("conv", width, bias=True, output_max_pool=pool))
        units = max(8, round(1024 * self.params.width))
        return [*layers, ffprobe.LayerSpec("linear", units, bias=True)]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [VGG8b]
