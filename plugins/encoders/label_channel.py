"""Appends the label as one more channel, with one picture, signal or block of features for each class."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import nn

import ffprobe


class LabelChannel(ffprobe.Encoder):
    """Appends a channel ``[1, H, W]`` to the image that holds the label: row ``y`` of an embedding ``[classes, H*W]``.

    A signal ``[C, T]`` gets a channel ``[1, T]``. A table ``[F]`` has no positions and gets a block of ``features``
    more features.

    The embedding is drawn from N(0, 1). The Trifecta trains it if update groups overlap and leaves it random otherwise
    (App. A); ``auto`` does the same. The neutral label is the mean of all rows. Signals and tables are our extension.
    """

    name = "label-channel"
    aliases = ("channel",)
    source = "Trifecta, arXiv:2311.18130, App. A and H"

    class Params(ffprobe.Params):
        """Whether the embedding is trained, and its size for a table."""

        learned: Literal["auto", "yes", "no"] | bool = Field(
            "auto",
            description="train the label embedding: yes, no, or auto (only if an update group spans more than "
            "one layer)",
        )
        features: int = Field(
            32,
            ge=1,
            le=65536,
            description="number of label features that a table gets, at least 1; with few, random labels differ in "
            "their distance to the neutral label; images and signals ignore it",
        )

    @property
    def learned(self) -> bool | None:
        """True or False as set; None for auto."""
        setting = self.params.learned
        return setting if isinstance(setting, bool) else {"auto": None, "yes": True, "no": False}[setting]

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, C, *positions]`` and labels ``[B]`` to ``[B, C + 1, *positions]``, and
        ``[B, F]`` to ``[B, F + features]``.
        """
        positions = shape[1:]
        size = math.prod(positions) if positions else self.params.features
        # a table's features are its channels: the label block has several
        block = (1, *positions) if positions else (size,)

        class Module(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.embedding = nn.Parameter(torch.randn(classes, size))

            def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
                return self._append(images, self.embedding[labels])

            def neutral(self, images: torch.Tensor) -> torch.Tensor:
                return self._append(images, self.embedding.mean(dim=0).expand(len(images), -1))

            def parts(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
                empty = self.embedding.new_zeros(1, size)
                pictures = self.embedding.to(images.dtype).view(classes, *block)
                colours = pictures.new_zeros(classes, *shape)
                return self._append(images, empty.expand(len(images), -1)), torch.cat([colours, pictures], dim=1), None

            def _append(self, images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
                channel = rows.to(images.dtype).view(-1, *block)  # [B, 1, H, W]
                return torch.cat([images, channel], dim=1)

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LabelChannel]
