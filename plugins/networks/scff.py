"""The network of self-contrastive Forward-Forward on CIFAR-10: three wide convolutions."""

from __future__ import annotations

from pydantic import Field

import ffprobe

PLAN = ((96, 5), (384, 3), (1536, 3))


class SCFF(ffprobe.Network):
    """SCFF's network: convolutions with bias of 96 (5x5), 384 (3x3) and 1536 (3x3) channels, each followed by 2x2 max
    pooling except the last.

    Goodness is read before pooling, as in the authors' code.

    Deviations: pooling is 2x2 instead of 4x4 with stride 2; padding is with zeros instead of reflection; the second and
    third layers use a plain ReLU, while the code also offers relu(h - mean over channels) ("triangle"); weights are
    initialized as in torch's layers.
    """

    name = "scff"
    source = "SCFF (Chen et al. 2025, arXiv:2409.11593); channels and kernels as in its code"
    learning_rate_steps = ()

    class Params(ffprobe.Params):
        """The width."""

        width: float = Field(
            1.0, gt=0, le=16, description="factor on the number of channels of every layer, in (0, 16]"
        )

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """Three layers."""
        if len(shape) != 3 or min(shape[1:]) < 4:
            raise ffprobe.UsageError(
                f"The network {self.name!r} needs images of at least 4x4 pixels; its input is {list(shape)}.",
                hint="Use --plugin fcn, or larger images.",
            )
        return [
            ffprobe.LayerSpec(
                "conv",
                max(4, round(channels * self.params.width)),
                kernel=kernel,
                bias=True,
                output_max_pool=2 if index < len(PLAN) - 1 else 1,
            )
            for index, (channels, kernel) in enumerate(PLAN)
        ]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [SCFF]
