"""Prepends the label to a signal as one more time step, in channels of its own."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe


class LabelToken(ffprobe.Encoder):
    """Prepends a time step to a signal ``[C, T]`` that holds the label, as one-hot in K extra channels:
    ``[C + K, T + 1]``.

    The first step has ``value`` in channel C + y (counted from 0) and 0 elsewhere; all other steps have 0 in the extra
    channels. A 1x1 convolution, or the linear embedding of the network ``vit``, turns the extra channels into a learned
    embedding of the label beside that of the tokens, as a class token does. The neutral label has ``value / K`` in each
    extra channel.

    Tokens are one-hot signals ``[V, T]``, so this encoder extends the vocabulary by the K labels.
    """

    name = "label-token"
    source = "our choice; a token for the label as in conditional sequence models (CTRL, arXiv:1909.05858)"

    class Params(ffprobe.Params):
        """The size of the label."""

        value: float = Field(
            1.0, gt=0, description="value of the label's channel, in the units of the signal, above 0; tokens have 1"
        )

    @property
    def learned(self) -> bool | None:
        """Always False: this encoder has no parameters."""
        return False

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, C, T]`` and labels ``[B]`` to ``[B, C + K, T + 1]``.

        Raises:
            UsageError: the input is not a signal.
        """
        value = self.params.value
        if len(shape) != 2:
            raise ffprobe.UsageError(
                f"The encoder {self.name!r} needs signals or tokens [C, T], not an input of shape {list(shape)}.",
                hint="Use --plugin label-channel.",
            )

        class Module(nn.Module):
            def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
                return self._prepend(images, functional.one_hot(labels, classes).to(images.dtype))

            def neutral(self, images: torch.Tensor) -> torch.Tensor:
                return self._prepend(images, images.new_full((len(images), classes), 1 / classes))

            def parts(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
                hot = torch.eye(classes, dtype=images.dtype, device=images.device)
                bare = self._prepend(images, images.new_zeros(len(images), classes))
                return bare, self._prepend(images.new_zeros(classes, *shape), hot), None

            def _prepend(self, images: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
                longer = functional.pad(images, (1, 0, 0, classes))  # [B, C + K, T + 1]
                first = functional.pad(value * share, (shape[0], 0))[..., None]  # [B, C + K, 1]
                return torch.cat([first, longer[..., 1:]], dim=2)

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LabelToken]
