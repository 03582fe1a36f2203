"""Tokens of an image or signal: patches or windows of time, each mapped to a vector."""

from __future__ import annotations

import torch
from torch import nn

import ffprobe


def token_shape(name: str, shape: ffprobe.Shape, patch: int, window: int) -> tuple[int, int]:
    """The number of tokens and the number of values in each.

    Args:
        name: name of the network, for the error message.
        shape: of one input: ``(C, H, W)`` or ``(C, T)``.
        patch: side of a patch of an image, in pixels.
        window: length of a window of a signal, in time steps.

    Raises:
        UsageError: the input is a table, or its sides are not multiples of the patch or window.
    """
    if len(shape) not in (2, 3):
        raise ffprobe.UsageError(
            f"The network {name!r} needs images [C, H, W] or signals [C, T]; its input is {list(shape)}.",
            hint="Use --plugin mlp, which takes any input.",
        )
    side, setting = (patch, "patch") if len(shape) == 3 else (window, "window")
    if any(length % side for length in shape[1:]):
        raise ffprobe.UsageError(
            f"The network {name!r} cannot cut an input of shape {list(shape)} into pieces of {side}.",
            hint=f"Use a divisor of {' and '.join(map(str, shape[1:]))} as --set network.{setting}.",
        )
    count = torch.Size(length // side for length in shape[1:]).numel()
    return count, shape[0] * side ** len(shape[1:])


def cut(x: torch.Tensor, side: int) -> torch.Tensor:
    """Cut ``[B, C, H, W]`` into patches, or ``[B, C, T]`` into windows: ``[B, tokens, values]``.

    Tokens are in reading order, row by row; the values of a token are ordered by channel first.
    """
    if x.dim() == 3:
        return x.unflatten(2, (-1, side)).transpose(1, 2).flatten(2)
    pieces = x.unflatten(3, (-1, side)).unflatten(2, (-1, side))  # [B, C, rows, side, columns, side]
    return pieces.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


class TokenLayer(nn.Module):
    """A block on tokens as a layer: channels first outside, ``[B, D, T]``, tokens first inside, ``[B, T, D]``.

    Channels are the D features of a token, positions the T tokens, so that goodness, normalizers and heads treat the
    activation as they treat a signal.

    Args:
        block: maps ``[B, T, D]`` to the same shape.
        embedding: in the first layer, maps the input ``[B, C, ...]`` to ``[B, T, D]``; None for an input ``[B, D, T]``.
    """

    def __init__(self, block: nn.Module, embedding: nn.Module | None = None) -> None:
        super().__init__()
        self.embedding = embedding
        self.block = block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activation ``[B, D, T]``."""
        tokens = x.transpose(1, 2) if self.embedding is None else self.embedding(x)
        return self.block(tokens).transpose(1, 2)


class Embedding(nn.Module):
    """A linear map of each piece of the input, with learned positions: ``[B, C, ...]`` to ``[B, T, D]``.

    For one-hot tokens ``[V, T]`` and a window of 1, the map is an embedding table.

    Args:
        tokens: number of pieces.
        values: number of values in each piece.
        features: D.
        side: side of a patch in pixels, or length of a window in time steps.
        positions: whether a learned vector, drawn from N(0, 0.02^2), is added at each position.
        class_token: whether a learned token, drawn from N(0, 0.02^2), precedes the others, which makes T = tokens + 1.
    """

    def __init__(
        self, tokens: int, values: int, features: int, side: int, positions: bool = True, class_token: bool = False
    ) -> None:
        super().__init__()
        self.side = side
        self.map = nn.Linear(values, features)
        self.token = nn.Parameter(0.02 * torch.randn(1, features)) if class_token else None
        count = tokens + class_token
        self.positions = nn.Parameter(0.02 * torch.randn(count, features)) if positions else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the tokens ``[B, T, D]``."""
        tokens = self.map(cut(x, self.side))
        if self.token is not None:
            first = self.token.to(tokens.dtype).expand(len(tokens), 1, -1)
            tokens = torch.cat([first, tokens], dim=1)
        return tokens if self.positions is None else tokens + self.positions.to(tokens.dtype)
