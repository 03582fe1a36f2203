"""The network of self-contrastive Forward-Forward on CIFAR-10: three wide convolutions."""

from __future__ import annotations

from pydantic import Field

import ffprobe

PLAN = ((96, 5), (384, 3), (1536, 3))


class SCFF(ffprobe.Network):
    """Convolutions with bias of 96 (5x5), 384 (3x3) and 1536 (3x3) channels; what is passed on is max-pooled by two.

    Goodness is read before pooling, as in the authors' code.

    Deviations: pools are 2x2 where theirs are 4x4 at stride 2; edges are padded with zeros, not mirrored; the second
    and third layers pass on a plain ReLU, where the code offers relu(h - mean over channels) too ("triangle"); weights
    start as torch's layers do.
    """

    name = "scff"
    source = "SCFF (Chen et al. 2025, arXiv:2409.11593); channels and kernels as in its code"
    learning_rate_steps = ()

    class Params(ffprobe.Params):
        """How wide."""

        width: float = Field(1.0, gt=0, le=16, description="factor on the channels of every layer")

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """Three layers."""
        if len(shape) != 3 or min(shape[1:]) < 4:
            raise ffprobe.UsageError(
                f"The network {self.name!r} needs images of 4x4 or more, not {list(shape)}.", hint="Use --plugin fcn."
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
