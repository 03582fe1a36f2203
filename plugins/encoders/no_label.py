"""Passes the input on without a label."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe


class NoLabel(ffprobe.Encoder):
    """Passes the image to the network without a label, for methods whose goodness covers all classes at once (form
    ``class``).

    With ``standardize``, each image is first normalized to mean 0 and variance 1 over all its values (layer
    normalization without parameters, epsilon 1e-5), as DeeperForward normalizes its input.
    """

    name = "no-label"
    shows_label = False
    source = "CwComp, arXiv:2312.12668; DeeperForward; any method with local classifiers"

    class Params(ffprobe.Params):
        """Whether images are standardized."""

        standardize: bool = Field(
            False, description="normalize each image to mean 0 and variance 1 over all its values"
        )

    @property
    def learned(self) -> bool | None:
        """Always False: this encoder has no parameters."""
        return False

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to the same shape and ignores the labels."""
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
