"""CwComp's network: four convolutions, every second one split into one feature extractor for each class."""

from __future__ import annotations

from pydantic import Field, field_validator

import ffprobe

CHANNELS = (20, 80, 240, 480)


def multiple(channels: float, classes: int) -> int:
    """The nearest multiple of the number of classes, at least once that number."""
    return classes * max(1, round(channels / classes))


class CFSE(ffprobe.Network):
    """CwComp's network of four 3x3 convolutions with bias: 20, 80p, 240 and 480p channels (p: 2x2 max pooling).

    Layers 2 and 4 have one convolution group for each class (channel-wise feature separator and extractor). The number
    of channels is rounded to a multiple of the classes.

    Deviation: CwComp also trains a softmax classifier on the last layer, without effect on that layer; here, the probe
    ``probes`` measures this.
    """

    name = "cfse"
    source = "CwComp, arXiv:2312.12668; channels and pools as in its code andreaspapac/CwComp"
    learning_rate_steps = ()
    grouped = True

    class Params(ffprobe.Params):
        """The width; ``channels`` also sets the number of layers."""

        width: float = Field(
            1.0, gt=0, le=16, description="factor on the number of channels of every layer, in (0, 16]"
        )
        channels: tuple[int, ...] = Field(
            CHANNELS,
            min_length=1,
            description="number of channels of each layer, before the factor width; one layer for each entry",
        )

        @field_validator("channels")
        @classmethod
        def _positive(cls, value: tuple[int, ...]) -> tuple[int, ...]:
            if any(channels < 1 for channels in value):
                raise ValueError("a layer needs at least one channel")
            return value

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """One layer for each entry of ``channels``, with max pooling in every second one."""
        wanted = self.params.channels
        side = 2 ** (len(wanted) // 2)
        if len(shape) != 3 or min(shape[1:]) < side:
            raise ffprobe.UsageError(
                f"The network {self.name!r} needs images of at least {side}x{side} pixels; its input is {list(shape)}.",
                hint="Use --plugin fcn, or larger images.",
            )
        return [
            ffprobe.LayerSpec(
                "conv",
                multiple(channels * self.params.width, classes),
                pool=1 + index % 2,
                bias=True,
                groups=classes if self.grouped and index % 2 else 1,
            )
            for index, channels in enumerate(wanted)
        ]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [CFSE]
