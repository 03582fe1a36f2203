"""Vision transformer for images, signals and tokens, each block a layer with a local loss."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from ffprobe_plugins.networks.tokens import Embedding, TokenLayer, token_shape
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe

Build = Callable[[], nn.Module]


class ViT(ffprobe.Network):
    """A transformer with one layer for each pre-norm encoder block: x + attention(ln(x)), then x + mlp(ln(x)), where
    mlp is linear, GELU, linear.

    Images are cut into patches, signals into windows of time; the first layer contains the linear embedding of the
    pieces, learned positions and the first block. One-hot tokens ``[V, T]`` are signals: with a window of 1, their
    embedding is a table. Activations are ``[D, T]`` with D features (channels) and T tokens (positions); every position
    attends to every other.

    A label enters tokens as a token of its own (encoder ``label-token``) and images as a channel (``label-channel``).
    Layer normalization is part of the blocks, so the run's normalizer should be ``none``, or ``rms`` for goodness of
    form pair; ``linear-head:average=1`` reads the mean over tokens.

    Deviations: no dropout, and no layer normalization after the last block. The mean over tokens is read instead of a
    class token (as in Beyer, Zhai & Kolesnikov 2022, arXiv:2205.01580); ``class_token`` adds one.
    """

    name = "vit"
    source = "Dosovitskiy et al. 2021, arXiv:2010.11929, Eq. 1 to 4; the default sizes are ours"

    class Params(ffprobe.Params):
        """Width, depth, heads and the size of a token."""

        width: float = Field(
            1.0, gt=0, le=64, description="factor on the 128 features of a token, in (0, 64], rounded to whole heads"
        )
        depth: int = Field(4, ge=1, le=100, description="number of blocks, 1 to 100; 12 and more in the paper")
        heads: int = Field(4, ge=1, le=64, description="number of attention heads of a block, 1 to 64")
        mlp_ratio: float = Field(
            4.0, gt=0, le=16, description="hidden units of a block's perceptron for each feature, in (0, 16]"
        )
        patch: int = Field(4, ge=1, description="side of a patch of an image, in pixels; must divide its sides")
        window: int = Field(1, ge=1, description="time steps of a token of a signal; must divide its length")
        class_token: bool = Field(False, description="put a learned token in front of the others")

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """``depth`` blocks, the first with the embedding."""
        params = self.params
        tokens, values = token_shape(self.name, shape, params.patch, params.window)
        side = params.patch if len(shape) == 3 else params.window
        features = params.heads * max(1, round(128 * params.width / params.heads))
        embedding = partial(Embedding, tokens, values, features, side, class_token=params.class_token)
        block = partial(TransformerBlock, features, params.heads, max(1, round(params.mlp_ratio * features)))
        return [
            ffprobe.LayerSpec("module", factory=partial(_layer, block, None if index else embedding))
            for index in range(params.depth)
        ]


class TransformerBlock(nn.Module):
    """One pre-norm encoder block on tokens ``[B, T, D]``.

    Args:
        features: D, a multiple of ``heads``.
        heads: number of attention heads.
        hidden: units of the perceptron.
    """

    def __init__(self, features: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(features), nn.LayerNorm(features)
        self.qkv = nn.Linear(features, 3 * features)
        self.out = nn.Linear(features, features)
        self.mlp = nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the tokens ``[B, T, D]``."""
        x = x + self._attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def _attention(self, x: torch.Tensor) -> torch.Tensor:
        # three tensors [B, heads, T, D / heads]
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def _layer(block: Build, embedding: Build | None, shape: ffprobe.Shape) -> nn.Module:
    return TokenLayer(block(), None if embedding is None else embedding())


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [ViT]
