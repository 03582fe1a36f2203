"""Residual networks for small images, with auxiliary networks that copy later layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ffprobe_plugins.goodness.auxiliary_blocks import AuxiliaryBlocks
from ffprobe_plugins.networks.residual_blocks import BasicBlock, Stem
from pydantic import Field
from torch import nn

import ffprobe


class ResNet(ffprobe.Network):
    """He et al.'s residual network for 32x32 images: a stem of 16 channels and three stages of ``blocks`` basic blocks
    with 16, 32 and 64 channels; stages two and three begin with stride 2.

    Stem and blocks are one layer each, so 5 blocks per stage (ResNet-32) are 16 layers, the 16 local modules of the
    published comparisons. Batch normalization is part of the blocks, so the run's normalizer should be ``none``. The
    head of the last layer is the output layer: ``linear-head:average=1``.

    ``auxiliary_depth`` d gives every layer but the last the auxiliary network of AugLocal as its goodness: d basic
    blocks with the widths of later layers, chosen at equal distances, then the mean over positions and a linear map.
    With ``pyramid``, the depth falls from d to d / 2 towards the output. At 0 the run's goodness is used.

    Deviation: shortcuts that change the shape are 1x1 convolutions, as in AugLocal's code (He et al. pad with zeros).
    """

    name = "resnet"
    learning_rate_steps = ((0.5, 0.1), (0.75, 0.01))
    source = (
        "He et al. 2016, arXiv:1512.03385, Sec. 4.2; auxiliary networks: AugLocal, Ma et al. 2024, arXiv:2402.17318"
    )

    class Params(ffprobe.Params):
        """Depth, width and auxiliary networks."""

        blocks: int = Field(5, ge=1, le=64, description="basic blocks in each stage; 5 is ResNet-32, 18 is ResNet-110")
        width: float = Field(
            1.0, gt=0, le=16, description="factor on the number of channels of every layer, in (0, 16]"
        )
        auxiliary_depth: int = Field(
            0, ge=0, le=64, description="basic blocks of each layer's auxiliary network; 0 uses the run's goodness"
        )
        pyramid: bool = Field(False, description="let the depth of auxiliary networks fall to half towards the output")

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """The stem and the blocks."""
        if len(shape) != 3:
            raise ffprobe.UsageError(
                f"The network {self.name!r} needs images as input; its input is {list(shape)}.",
                hint="Use --plugin fcn.",
            )
        widths = [max(4, round(channels * self.params.width)) for channels in (16, 32, 64)]
        plan = [(widths[0], 1)]
        for stage, width in enumerate(widths):
            plan += [(width, 2 if stage and not block else 1) for block in range(self.params.blocks)]
        specs = []
        for index, (width, stride) in enumerate(plan):
            goodness = self._auxiliary(index, plan) if self.params.auxiliary_depth and index < len(plan) - 1 else None
            factory = _factory(Stem if index == 0 else BasicBlock, width, stride)
            specs.append(ffprobe.LayerSpec("module", factory=factory, goodness=goodness))
        return specs

    def _auxiliary(self, index: int, plan: list[tuple[int, int]]) -> AuxiliaryBlocks:
        depth, modules = self.params.auxiliary_depth, len(plan)
        if self.params.pyramid and modules > 2:
            share = index / (modules - 2)
            depth = max(1, round(depth * (1 - 0.5 * share) + 0.5 * share))
        chosen = copied_layers(index, modules, depth)
        width, blocks = plan[index][0], []
        for layer in chosen:
            later = plan[layer][0]
            blocks.append((later, 2 if later > width else 1))
            width = later
        settings = AuxiliaryBlocks.Params(blocks=tuple(blocks), normalized=self.params.auxiliary_depth == 1)
        return AuxiliaryBlocks(settings)


def copied_layers(index: int, layers: int, depth: int) -> list[int]:
    """The layers whose widths an auxiliary network of ``depth`` blocks has, by AugLocal's rule.

    All later layers if there are at most ``depth``; otherwise layer round(l + (n - 1 - l) / depth * i) for i = 1 to
    depth, halves rounded to the even number.

    Args:
        index: index l of the layer that the auxiliary network belongs to, from 0.
        layers: number n of layers.
        depth: number of blocks, at least 1.
    """
    later = layers - 1 - index
    if depth >= later:
        return list(range(index + 1, layers))
    return [round(index + later / depth * i) for i in range(1, depth + 1)]


def _factory(kind: type[nn.Module], width: int, stride: int) -> Callable[[ffprobe.Shape], nn.Module]:
    return partial(_made, kind, width, stride)


def _made(kind: type[nn.Module], width: int, stride: int, shape: ffprobe.Shape) -> nn.Module:
    return kind(shape[0], width, stride)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [ResNet]
