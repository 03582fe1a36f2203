"""Appends the label to a table as a one-hot block of features."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe


class LabelFeatures(ffprobe.Encoder):
    """Appends K features to a table ``[F]``: feature F + y (counted from 0) is ``scale``, the other new ones are 0.

    No feature of the table is overwritten, unlike with ``pixel-overlay``. The neutral label has ``scale / K`` in each
    of the K features. The default of 3 is about the largest value of a standardized feature, as ``pixel-overlay`` uses
    the largest value of the input; with a normalizer that keeps every feature apart (``batchnorm``), the scale cancels.
    """

    name = "label-features"
    source = "Hinton 2022, arXiv:2212.13345, Sec. 3.3, with features of its own for the label"

    class Params(ffprobe.Params):
        """The size of the label."""

        scale: float = Field(
            3.0, gt=0, description="value of the label's feature, in standard deviations of the features, above 0"
        )

    @property
    def learned(self) -> bool | None:
        """Always False: this encoder has no parameters."""
        return False

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, F]`` and labels ``[B]`` to ``[B, F + K]``.

        Raises:
            UsageError: the input is not a table.
        """
        scale = self.params.scale
        if len(shape) != 1:
            raise ffprobe.UsageError(
                f"The encoder {self.name!r} needs tables [F], not an input of shape {list(shape)}.",
                hint="Use --plugin label-channel.",
            )

        class Module(nn.Module):
            def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
                hot = functional.one_hot(labels, classes).to(images.dtype)
                return torch.cat([images, scale * hot], dim=1)

            def neutral(self, images: torch.Tensor) -> torch.Tensor:
                return functional.pad(images, (0, classes), value=scale / classes)

            def parts(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
                hot = scale * torch.eye(classes, dtype=images.dtype, device=images.device)
                return functional.pad(images, (0, classes)), functional.pad(hot, (shape[0], 0)), None

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LabelFeatures]
