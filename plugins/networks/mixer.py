"""MLP-Mixer: perceptrons across tokens and across features, each block a layer with a local loss."""

from __future__ import annotations

from functools import partial

import torch
from ffprobe_plugins.networks.tokens import Embedding, TokenLayer, token_shape
from pydantic import Field
from torch import nn

import ffprobe


class Mixer(ffprobe.Network):
    """MLP-Mixer with one layer for each block: x + mix over tokens(ln(x)), then x + mix over features(ln(x)), where
    each mix is linear, GELU, linear.

    Images are cut into patches, signals into windows of time; the first layer contains the linear embedding of the
    pieces and the first block. Activations are ``[D, T]`` with D features (channels) and T tokens (positions). Layer
    normalization is part of the blocks, so the run's normalizer should be ``none``, or ``rms`` for goodness of form
    pair; ``linear-head:average=1`` is the paper's mean over tokens in front of the output layer.

    Deviation: the layer normalization in front of the output layer is left out.
    """

    name = "mixer"
    source = "Tolstikhin et al. 2021, arXiv:2105.01601, Sec. 2; the default sizes are ours (S/32: width 4, depth 8)"

    class Params(ffprobe.Params):
        """Width, depth and the size of a token."""

        width: float = Field(
            1.0, gt=0, le=64, description="factor on the 128 features of a token, in (0, 64]; 4 and more in the paper"
        )
        depth: int = Field(4, ge=1, le=100, description="number of blocks, 1 to 100; 8 and more in the paper")
        patch: int = Field(4, ge=1, description="side of a patch of an image, in pixels; must divide its sides")
        window: int = Field(1, ge=1, description="time steps of a token of a signal; must divide its length")

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """``depth`` blocks, the first with the embedding."""
        tokens, values = token_shape(self.name, shape, self.params.patch, self.params.window)
        side = self.params.patch if len(shape) == 3 else self.params.window
        features = max(4, round(128 * self.params.width))
        first = partial(_first, tokens, values, features, side)
        later = partial(_later, tokens, features)
        return [ffprobe.LayerSpec("module", factory=later if index else first) for index in range(self.params.depth)]


class MixerBlock(nn.Module):
    """One block on tokens ``[B, T, D]``.

    Args:
        tokens: T.
        features: D; the hidden layer across tokens has D / 2 units, that across features 4 D, as in the paper.
    """

    def __init__(self, tokens: int, features: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(features), nn.LayerNorm(features)
        self.across_tokens = _perceptron(tokens, max(1, features // 2))
        self.across_features = _perceptron(features, 4 * features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the tokens ``[B, T, D]``."""
        x = x + self.across_tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.across_features(self.norm2(x))


def _perceptron(size: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, size))


def _first(tokens: int, values: int, features: int, side: int, shape: ffprobe.Shape) -> nn.Module:
    embedding = Embedding(tokens, values, features, side, positions=False)
    return TokenLayer(MixerBlock(tokens, features), embedding)


def _later(tokens: int, features: int, shape: ffprobe.Shape) -> nn.Module:
    return TokenLayer(MixerBlock(tokens, features))


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Mixer]
