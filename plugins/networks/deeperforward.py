"""DeeperForward's residual network of 17 layers."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

import ffprobe

PLANES = (100, 200, 400, 800)


class DeeperForward(ffprobe.Network):
    """DeeperForward's network: a 3x3 convolution, then four stages of four 3x3 convolutions without bias, with 100,
    200, 400 and 800 channels.

    Stages 2, 3 and 4 begin with stride 2 (HCL-FF: only 2 and 3, ``halvings=2``). Shortcuts have no parameters and no
    gradient. After the second layer of a stage, the input of the stage is added; after the fourth layer, the output of
    the second is appended to the channels, so the next stage begins with twice as many. Goodness never includes a
    shortcut. Without ``residual``, it is the same sequence of layers without shortcuts (NoResnet in the code).

    Deviations: the number of channels is rounded to a multiple of the classes; a stage whose input has an odd side
    keeps its size (28x28 ends at 7x7), since a pooled shortcut would not fit; dropout is off by default (the code's
    script uses 0.2, its classes 0; as here, it acts on the activation before goodness); weights are initialized as in
    torch's layers, not from a normal distribution. HCL-FF's code appends channels class by class, which is another
    order of the same network.
    """

    name = "deeperforward"
    source = "DeeperForward (ICLR 2025); layers as in the copy of its code at BasitHussain5/project_1"
    learning_rate_steps = ()

    class Params(ffprobe.Params):
        """Width, depth, dropout and shortcuts."""

        width: float = Field(
            1.0, gt=0, le=16, description="factor on the number of channels of every layer, in (0, 16]"
        )
        stages: int = Field(4, ge=1, le=4, description="number of stages of four layers each, 1 to 4")
        dropout: float = Field(0.0, ge=0, lt=1, description="dropout probability of activations in training, in [0, 1)")
        halvings: int = Field(
            3, ge=0, le=3, description="number of stages, from stage 2 on, that begin with stride 2, 0 to 3"
        )
        residual: bool = Field(True, description="use shortcuts that add and append earlier outputs")

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """1 + 4 layers per stage."""
        if len(shape) != 3:
            raise ffprobe.UsageError(
                f"The network {self.name!r} needs images as input; its input is {list(shape)}.",
                hint="Use --plugin fcn.",
            )
        stages, residual = self.params.stages, self.params.residual
        base = classes * max(1, round(PLANES[0] * self.params.width / classes))
        specs = [ffprobe.LayerSpec("conv", base)]
        sides, source, pool = list(shape[1:]), 0, 1
        for stage in range(stages):
            halved = 0 < stage <= self.params.halvings and all(side % 2 == 0 for side in sides)
            sides = [side // 2 for side in sides] if halved else sides
            pool = 2 if halved else 1
            width = base * 2**stage
            first = len(specs)
            added = ffprobe.Shortcut(source, "add", pool) if residual else None
            appended = ffprobe.Shortcut(first + 1, "concat") if residual else None
            specs += [
                ffprobe.LayerSpec("conv", width, stride=pool),
                ffprobe.LayerSpec("conv", width, shortcut=added),
                ffprobe.LayerSpec("conv", width),
                # the last layer of the network has no output to join
                ffprobe.LayerSpec("conv", width, shortcut=appended if stage < stages - 1 else None),
            ]
            source = first + 3
        return [replace(spec, dropout=self.params.dropout) for spec in specs]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [DeeperForward]
