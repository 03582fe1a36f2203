"""The Trifecta's update as a user would write it from the paper: eager, float32, channels first, no shared work."""

from __future__ import annotations

import torch
from torch import nn

CHANNELS = (128, 128, 256, 256, 256, 512)
POOLED = (0, 2, 5)


class Block(nn.Module):
    """Batch normalization, 3x3 convolution, ReLU, and pooling in some blocks (paper, App. A and Fig. 12)."""

    def __init__(self, inputs: int, outputs: int, pool: bool) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, C, H, W]`` to ``[B, outputs, H', W']``."""
        return self.pool(torch.relu(self.conv(self.norm(x))))


class PlainTrifecta:
    """TFF/s with SymBa, batch normalization and overlapping local updates.

    Args:
        width: factor for the number of channels.
        overlap: whether two layers share an update, alternately; otherwise each layer is updated alone.
        autocast: whether forward passes run in bfloat16; otherwise in float32.
        depth: number of blocks; beyond six, the last block is repeated without pooling.
        side: side of the images, in pixels.
    """

    def __init__(
        self, width: float = 1.0, overlap: bool = True, autocast: bool = False, depth: int = 6, side: int = 32
    ) -> None:
        channels = [max(1, round(c * width)) for c in CHANNELS]
        channels += [channels[-1]] * (depth - len(channels))
        inputs = [4, *channels[:-1]]
        self.embedding = nn.Embedding(10, side * side)
        self.blocks = nn.ModuleList(
            Block(i, o, n in POOLED) for n, (i, o) in enumerate(zip(inputs[:depth], channels[:depth], strict=True))
        )
        self.overlap, self.autocast, self.side, self.count = overlap, autocast, side, 0
        previous = [self.embedding, *list(self.blocks)[:-1]]
        self.optimizers = [
            torch.optim.Adam([*before.parameters(), *block.parameters()], lr=1e-3)
            for before, block in zip(previous, self.blocks, strict=True)
        ]

    def step(self, images: torch.Tensor, labels: torch.Tensor, wrong: torch.Tensor) -> None:
        """Update once on images ``[B, 3, side, side]`` with true and wrong labels, int64 ``[B]``."""
        both = torch.cat([images, images])
        shown = self.embedding(torch.cat([labels, wrong])).view(-1, 1, self.side, self.side)
        x = torch.cat([both, shown], dim=1)
        for index, (block, optimizer) in enumerate(zip(self.blocks, self.optimizers, strict=True)):
            with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
                x = block(x)
            if not self.overlap or (index % 2 == 0) == (self.count % 2 == 1):
                goodness = x.float().pow(2).flatten(1).mean(dim=1)
                positive, negative = goodness.chunk(2)
                loss = nn.functional.softplus(-4 * (positive - negative)).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                x = x.detach()
        self.count += 1
