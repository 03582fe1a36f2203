"""Whitens 2x2 patches of the image, without a label."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe


class Whitening(ffprobe.Encoder):
    """Whitens the 2x2 patches of each image with fixed filters: y = norm(W * x), output = relu([y, -y]).

    W is the product of two orthogonal transforms: of the four pixels, Haar's (mean, horizontal, vertical and diagonal
    difference); of three colours, (1, 1, 1), (1, 0, -1) and (1, -2, 1), scaled to length 1. Those are nearly the
    principal components of 2x2 patches of photographs, so that scaling each one to variance 1 nearly whitens them
    (mean absolute correlation of CIFAR-10's: 0.04). ``norm`` is batch normalization without parameters: over the batch
    in training, with running statistics in evaluation. ``epsilon``, added to the variance, keeps the noise of the
    finest components small.

    It learns nothing by gradients and sees no labels, so it keeps any method local. The output has 8 channels for each
    channel of the image, and one row and column less.

    Deviation: the source computes W from the patches of 5,000 training images, and learns a bias for some epochs. Fixed
    filters need no pass over the data, and give the same network on every process and in every sandbox. Images with
    other than three channels are transformed by pixels only.
    """

    name = "whitening"
    shows_label = False
    source = "whitened first convolution of Page 2019 and of Jordan 2024, arXiv:2404.00498, with fixed filters"

    class Params(ffprobe.Params):
        """The smallest variance."""

        epsilon: float = Field(
            5e-4, gt=0, description="added to the variance of each component, in squared units of the normalized image"
        )

    @property
    def learned(self) -> bool | None:
        """Always False: this encoder has no parameters."""
        return False

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, C, H, W]`` to ``[B, 8C, H - 1, W - 1]`` and ignores the labels.

        Raises:
            UsageError: the input is no image of at least 2x2 pixels.
        """
        if len(shape) != 3 or min(shape[1:]) < 2:
            raise ffprobe.UsageError(
                f"The encoder {self.name!r} needs images of at least 2x2 pixels; the input is {list(shape)}.",
                hint="Use --plugin no-label.",
            )
        epsilon = self.params.epsilon

        class Module(nn.Module):
            filters: torch.Tensor

            def __init__(self) -> None:
                super().__init__()
                self.register_buffer("filters", filters(shape[0]), persistent=False)
                self.norm = nn.BatchNorm2d(4 * shape[0], eps=epsilon, affine=False)

            def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
                return self.neutral(images)

            def neutral(self, images: torch.Tensor) -> torch.Tensor:
                # the finest components are a hundred times smaller than the coarsest: bf16 would round them away
                kind = images.device.type
                exact = torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()
                with exact:
                    y = self.norm(functional.conv2d(images.to(self.filters.dtype), self.filters))
                return torch.cat([y, -y], dim=1).relu_()

        return Module()


def filters(channels: int) -> torch.Tensor:
    """The filters W, float32 ``[4 * channels, channels, 2, 2]``; their rows are orthonormal."""
    pixels = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2  # [4, 2 x 2]
    colours = torch.eye(channels)
    if channels == 3:
        colours = functional.normalize(torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]]), dim=1)
    return torch.einsum("ac,bp->abcp", colours, pixels).reshape(4 * channels, channels, 2, 2)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Whitening]
