"""The VGG5 of equilibrium propagation: five convolutions; the last one's goodness is the output layer."""

from __future__ import annotations

from pydantic import Field

import ffprobe


class VGG5(ffprobe.Network):
    """3x3 convolutions of 128, 256p, 512p, 512p and 512p channels with biases; p: 2x2 max pooling before the ReLU.

    The dense output layer is the head of the last layer (``linear-head``). The source describes the layers in words
    only; padding that keeps the size is assumed. Pooling that would leave nothing of a small image is left out: an 8x8
    image goes through three of the four.
    """

    name = "vgg5"
    learning_rate_steps = ()
    source = "EP-PCN, arXiv:2606.03584"

    class Params(ffprobe.Params):
        """The width."""

        width: float = Field(
            1.0, gt=0, le=16, description="factor on the number of channels of every layer, in (0, 16]"
        )

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """Five layers."""
        if len(shape) != 3:
            raise ffprobe.UsageError(
                f"The network {self.name!r} needs images as input; its input is {list(shape)}.",
                hint="Use --plugin fcn.",
            )
        side, layers = min(shape[1:]), []
        for channels, pool in ((128, 1), (256, 2), (512, 2), (512, 2), (512, 2)):
            pool = pool if side >= pool else 1
            side //= pool
            width = max(4, round(channels * self.params.width))
            layers.append(ffprobe.LayerSpec("conv", width, bias=True, pool=pool))
        return layers


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [VGG5]
