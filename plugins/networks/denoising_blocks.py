"""NoProp's network: blocks that each read the image and a noisy label, and denoise the label a little more."""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import nn

import ffprobe

OFFSET = 0.008
"""Of the cosine schedule (Nichol & Dhariwal 2021, arXiv:2102.09672)."""


class DenoisingBlocks(ffprobe.Network):
    """Blocks t = 1 ... T, each a small network of its own that reads the image x and the noisy label z_(t-1).

    A block has three 3x3 convolutions of 32, 64 and 128 channels with ReLU and 2x2 max pooling for the image, two
    linear layers with batch normalization, ReLU and a shortcut for the label, and three linear layers for both, which
    give one logit for each class. With p the softmax of the logits, the label that the next block reads is
    z_t = a_t p + b_t z_(t-1), the mean of the diffusion process: with s_t the share of signal after block t,
    r = s_(t-1) / s_t, a_t = sqrt(s_t) (1 - r) / (1 - s_(t-1)) and b_t = sqrt(r) (1 - s_t) / (1 - s_(t-1)). The shares
    follow a cosine, from no signal before the first block to hardly any noise after the last.

    The activation of a block is one row of numbers: the image, z_t, and the logits last. The rule ``noprop`` trains
    it; the goodness ``last-logits`` reads it. A linear readout of an activation therefore sees the image, too.

    Deviations: labels are one-hot vectors, one of the paper's three choices. In prediction the first block gets zeros,
    the mean of the noise z_0, and no noise is added between blocks, so that a prediction is not random. There is no
    output layer after the last block: its own logits predict, as in a public port that repeats the published numbers.
    No dropout, which that port has (0.2); widths are the port's. Sides that can no longer be halved are not pooled.
    """

    name = "denoising-blocks"
    learning_rate_steps = ()
    source = "NoProp-DT, Li, Teh & Pascanu 2025, arXiv:2503.24322; layers as in the port DanielHalachev/NoProp"

    class Params(ffprobe.Params):
        """Number and width of the blocks."""

        blocks: int = Field(10, ge=1, description="number of blocks T, at least 1")
        width: float = Field(1.0, gt=0, le=16, description="factor on all channels and hidden units, in (0, 16]")
        hidden: int = Field(256, ge=1, description="hidden units of the linear layers, before the factor; at least 1")

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """T blocks.

        Raises:
            UsageError: the input is no image.
        """
        if len(shape) != 3:
            raise ffprobe.UsageError(
                f"The network {self.name!r} needs images; its input is {list(shape)}.", hint="Use --plugin mlp."
            )
        width, count = self.params.width, self.params.blocks
        channels = [max(4, round(c * width)) for c in (32, 64, 128)]
        hidden = max(4, round(self.params.hidden * width))
        shares = signal_shares(count)
        return [_spec(shape, classes, channels, hidden, shares[t : t + 2]) for t in range(count)]


def _spec(
    image: ffprobe.Shape, classes: int, channels: list[int], hidden: int, shares: list[float]
) -> ffprobe.LayerSpec:
    return ffprobe.LayerSpec(
        "module", factory=lambda shape: DenoisingBlock(image, classes, channels, hidden, (shares[0], shares[1]))
    )


def signal_shares(blocks: int) -> list[float]:
    """The share of signal s_0 ... s_T in the variance of the noisy label, from 0 to nearly 1; T + 1 numbers."""
    angles = (math.pi / 2 * ((1 - t / blocks) + OFFSET) / (1 + OFFSET) for t in range(blocks + 1))
    return [0.0, *(math.cos(angle) ** 2 for angle in list(angles)[1:])]


class DenoisingBlock(nn.Module):
    """One block.

    Args:
        image: shape of the image, ``(C, H, W)``.
        classes: number of classes, K.
        channels: of the convolutions.
        hidden: units of the linear layers.
        shares: the share of signal in the label before and after this block.

    Attributes:
        signal: the share of signal before this block, in [0, 1); 0 for the first.
        keep: the weights (a, b) of the estimate and of the noisy label in the next label.
    """

    def __init__(
        self,
        image: ffprobe.Shape,
        classes: int,
        channels: list[int],
        hidden: int,
        shares: tuple[float, float],
    ) -> None:
        super().__init__()
        self.image, self.classes = tuple(image), classes
        self.signal, after = shares
        kept = self.signal / after
        self.keep = (
            math.sqrt(after) * (1 - kept) / (1 - self.signal),
            math.sqrt(kept) * (1 - after) / (1 - self.signal),
        )
        parts: list[nn.Module] = []
        inputs, *sides = self.image
        for width in channels:
            parts += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            if min(sides) > 1:
                parts.append(nn.MaxPool2d(2))
                sides = [side // 2 for side in sides]
            inputs = width
        self.see = nn.Sequential(
            *parts, nn.Flatten(), nn.Linear(inputs * math.prod(sides), hidden), nn.BatchNorm1d(hidden)
        )
        self.read = nn.Sequential(nn.Linear(classes, hidden), nn.BatchNorm1d(hidden), nn.ReLU())
        self.read_more = nn.Sequential(nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden), nn.ReLU())
        self.decide = nn.Sequential(
            *(nn.Linear(2 * hidden, hidden), nn.BatchNorm1d(hidden), nn.ReLU()),
            *(nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden), nn.ReLU()),
            nn.Linear(hidden, classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images ``[B, C, H, W]``, or rows of image, label and logits, to rows ``[B, C H W + 2 K]``."""
        flat = x.flatten(1)
        pixels = math.prod(self.image)
        images = flat[:, :pixels]
        label = flat[:, pixels : pixels + self.classes] if flat.shape[1] > pixels else flat.new_zeros(1)
        label = label.expand(len(x), self.classes)
        read = self.read(label)
        logits = self.decide(torch.cat([self.see(images.view(-1, *self.image)), read + self.read_more(read)], dim=1))
        logits = logits.to(flat.dtype)
        a, b = self.keep
        return torch.cat([images, a * logits.softmax(dim=1) + b * label, logits], dim=1)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [DenoisingBlocks]
