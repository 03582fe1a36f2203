"""DeeperForward's residual network of 17 layers."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

import ffprobe

PLANES = (100, 200, 400, 800)


class DeeperForward(ffprobe.Network):
    """A 3x3 convolution, then four stages of four 3x3 convolutions without bias: 100, 200, 400, 800 channels.

    Stages 2, 3 and 4 begin with stride 2 (HCL-FF: 2 and 3 only, ``halvings=2``). Shortcuts have no parameters and no
    gradient: after the second layer of a stage what the stage began from is added, after the fourth what the second
    passed on is appended to the channels, so that the next stage begins with twice as many. Goodness never sees a
    shortcut. Without ``residual`` it is the same stack without shortcuts (the code's NoResnet).

    Deviations: channels are rounded to a multiple of the classes; a stage whose image has an odd side keeps its size
    (28x28 ends at 7x7), since a pooled shortcut would not fit; no dropout unless asked (the code's script has 0.2 by
    default, its classes 0; it stands on the activation, before goodness, as here); weights start as torch's layers do,
    not from a normal distribution. HCL-FF's code appends channels class by class: another order, the same network.
    """

    name = "deeperforward"
    source = "DeeperForward (ICLR 2025); layers as in the copy of its code at BasitHussain5/project_1"
    learning_rate_steps = ()

    class Params(ffprobe.Params):
        """How wide and how deep, with shortcuts or without."""

        width: float = Field(1.0, gt=0, le=16, description="factor on the channels of every layer")
        stages: int = Field(4, ge=1, le=4, description="stages of four layers")
        dropout: float = Field(0.0, ge=0, lt=1, description="share of each activation set to zero in training")
        halvings: int = Field(3, ge=0, le=3, description="how many of stages 2, 3 and 4 begin with stride 2")
        residual: bool = Field(True, description="whether shortcuts are added and appended")

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """1 + 4 layers a stage."""
        if len(shape) != 3:
            raise ffprobe.UsageError(f"The network {self.name!r} needs images.", hint="Use --plugin fcn.")
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
                # the last layer of all passes nothing on
                ffprobe.LayerSpec("conv", width, shortcut=appended if stage < stages - 1 else None),
            ]
            source = first + 3
        return [replace(spec, dropout=self.params.dropout) for spec in specs]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [DeeperForward]
