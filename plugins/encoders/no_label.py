"""No label enters the network."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe


class NoLabel(ffprobe.Encoder):
    """The image as it is, for methods in which goodness says something of every class at once (form ``class``).

    With ``standardize`` each image first gets mean 0 and variance 1 over all its numbers (layer normalization without
    parameters, epsilon 1e-5), as DeeperForward's input does.
    """

    name = "no-label"
    shows_label = False
    source = "CwComp, arXiv:2312.12668; DeeperForward; any method with local classifiers"

    class Params(ffprobe.Params):
        """What becomes of the image."""

        standardize: bool = Field(False, description="give each image mean 0 and variance 1")

    @property
    def learned(self) -> bool | None:
        """Never: there is nothing to learn."""
        return False

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """``[B, C, H, W]`` to the same; labels are not looked at."""
        standardize = self.params.standardize

        class Module(nn.Module):
            def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
                return self.neutral(images)

            def neutral(self, images: torch.Tensor) -> torch.Tensor:
                return functional.layer_norm(images, images.shape[1:]) if standardize else images

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [NoLabel]
