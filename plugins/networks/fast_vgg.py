"""A small VGG whose cost is spread evenly, for training in minutes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

import ffprobe


class FastVGG(ffprobe.Network):
    """Stages of 3x3 convolutions with ReLU; the first convolution of a stage halves the map by 2x2 max pooling.

    The default plan (64, 64), (256, 256), (256, 256) is that of networks that reach 94 % on CIFAR-10 within minutes:
    few channels on the large maps, so that no layer dominates the cost. It is meant for ``--plugin whitening``, and
    for the normalizer ``batchnorm`` at the preactivation.

    Deviation: the source's network has GELU, pools before it normalizes, has no bias in the convolutions but in the
    normalization alone, and a global max pooling before a linear output. Here each layer has a local head.

    Pooling that would leave nothing of a small image is left out.
    """

    name = "fast-vgg"
    source = "plan of airbench94, Jordan 2024, arXiv:2404.00498"

    class Params(ffprobe.Params):
        """The stages."""

        channels: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
            (64, 256, 256), min_length=1, description="channels of the convolutions of each stage, first to last"
        )
        convolutions: int = Field(2, ge=1, le=16, description="convolutions in each stage")
        width: float = Field(1.0, gt=0, le=16, description="factor on the channels of every stage, in (0, 16]")

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """One layer for each convolution, stage by stage."""
        if len(shape) != 3:
            raise ffprobe.UsageError(
                f"The network {self.name!r} needs images as input; its input is {list(shape)}.",
                hint="Use --plugin mlp or --plugin cnn1d.",
            )
        side, layers = min(shape[1:]), []
        for channels in self.params.channels:
            width = max(4, round(channels * self.params.width))
            for index in range(self.params.convolutions):
                pool = 2 if index == 0 and side >= 2 else 1
                side //= pool
                layers.append(ffprobe.LayerSpec("conv", width, pool=pool))
        return layers


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [FastVGG]
