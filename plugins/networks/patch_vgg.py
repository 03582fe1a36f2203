"""CLAPP's network: six convolutions that encode overlapping patches of an image as if each were an image."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe

PLAN = ((128, False), (256, True), (256, False), (512, True), (1024, True), (1024, True))
"""Channels of each layer, and whether 2x2 max pooling follows."""


class PatchVGG(ffprobe.Network):
    """3x3 convolutions of 128, 256p, 256, 512p, 1024p and 1024p channels with biases and ReLU, on patches; p: 2x2 max
    pooling after the ReLU.

    The image is cut into overlapping patches, which lie side by side in every layer's activation, without seeing each
    other: a map of 3x3 patches of 16x16 pixels has 48x48 positions. A patch is at most half as large as the image, and
    pooling that would leave nothing of a patch is left out. The rule ``clapp`` trains it.

    Deviation: in the authors' code the images are gray.
    """

    name = "patch-vgg"
    learning_rate_steps = ()
    source = "CLAPP, Illing et al. 2021, arXiv:2010.08262; EPFL-LCN/pub-illing2021-neurips"

    class Params(ffprobe.Params):
        """Width and patches."""

        width: float = Field(
            1.0, gt=0, le=16, description="factor on the number of channels of every layer, in (0, 16]"
        )
        patch: int = Field(16, ge=2, description="side of a patch, in pixels; at most half the image")

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """Six layers.

        Raises:
            UsageError: the input is no image, or too small for three rows of patches.
        """
        if len(shape) != 3 or min(shape[1:]) < 4:
            raise ffprobe.UsageError(
                f"The network {self.name!r} needs images of at least 4x4 pixels; its input is {list(shape)}.",
                hint="Use --plugin fcn.",
            )
        side = min(self.params.patch, min(shape[1:]) // 2)
        stride = max(1, side // 2)
        rows, columns = ((length - side) // stride + 1 for length in shape[1:])
        channels, specs = shape[0], []
        for index, (width, pools) in enumerate(PLAN):
            width = max(4, round(width * self.params.width))
            pool = 2 if pools and side > 1 else 1
            cut = (side, stride) if index == 0 else None
            specs.append(_spec(channels, width, (rows, columns), pool, cut))
            channels, side = width, side // pool
        return specs


def _spec(
    channels: int, width: int, grid: tuple[int, int], pool: int, cut: tuple[int, int] | None
) -> ffprobe.LayerSpec:
    return ffprobe.LayerSpec("module", factory=lambda shape: PatchLayer(channels, width, grid, pool, cut))


class PatchLayer(nn.Module):
    """A convolution within each patch, ReLU and pooling.

    Args:
        channels: of the input.
        width: channels of the output.
        grid: rows and columns of patches.
        pool: side of the max pooling window; 1 for none.
        cut: side of the patches and their distance, for the first layer, whose input is the image; None otherwise.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        grid: tuple[int, int],
        pool: int,
        cut: tuple[int, int] | None,
    ) -> None:
        super().__init__()
        self.grid, self.pool, self.cut = grid, pool, cut
        self.conv = nn.Conv2d(channels, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map the image, or patches side by side ``[B, C, rows * side, columns * side]``, to patches side by side."""
        patches = self.patches(x)
        y = self.conv(patches).relu()
        y = functional.max_pool2d(y, self.pool) if self.pool > 1 else y
        rows, columns = self.grid
        y = y.view(-1, rows, columns, *y.shape[1:]).permute(0, 3, 1, 4, 2, 5)  # [B, C, rows, side, columns, side]
        return y.reshape(len(x), y.shape[1], rows * y.shape[3], columns * y.shape[5])

    def patches(self, x: torch.Tensor) -> torch.Tensor:
        """The patches, ``[B * rows * columns, C, side, side]``."""
        rows, columns = self.grid
        if self.cut:
            side, stride = self.cut
            cut = x.unfold(2, side, stride).unfold(3, side, stride)  # [B, C, rows, columns, side, side]
            return cut.permute(0, 2, 3, 1, 4, 5).reshape(-1, x.shape[1], side, side)
        tall, wide = x.shape[2] // rows, x.shape[3] // columns
        tiles = x.reshape(len(x), x.shape[1], rows, tall, columns, wide)
        return tiles.permute(0, 2, 4, 1, 3, 5).reshape(-1, x.shape[1], tall, wide)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [PatchVGG]
