"""The stem and the basic block of residual networks for small images."""

from __future__ import annotations

import torch
from torch import nn


class Stem(nn.Module):
    """relu(norm(conv(x))) with a 3x3 convolution without bias: ``[B, inputs, H, W]`` to ``[B, outputs, H', W']``.

    Args:
        inputs: number of input channels.
        outputs: number of output channels.
        stride: stride of the convolution, in pixels.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.normalizer1 = nn.BatchNorm2d(outputs)
        start(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activation of images ``[B, inputs, H, W]``."""
        return self.normalizer1(self.conv1(x)).relu()


class Shortcut(nn.Module):
    """norm(conv(x)) with a 1x1 convolution, where a block changes the shape of its input.

    Args:
        inputs: number of input channels.
        outputs: number of output channels.
        stride: stride of the convolution, in pixels.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.normalizer = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``[B, inputs, H, W]`` to ``[B, outputs, H', W']``."""
        return self.normalizer(self.conv(x))


class BasicBlock(nn.Module):
    """relu(norm2(conv2(relu(norm1(conv1(x))))) + shortcut) with 3x3 convolutions without bias.

    The shortcut is x itself, or norm(conv1x1(x)) if the stride or the number of channels changes.

    Args:
        inputs: number of input channels.
        outputs: number of output channels.
        stride: stride of the first convolution, in pixels.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.normalizer1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.normalizer2 = nn.BatchNorm2d(outputs)
        if stride != 1 or inputs != outputs:
            self.shortcut: nn.Module = Shortcut(inputs, outputs, stride)
        else:
            self.shortcut = nn.Identity()
        start(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``[B, inputs, H, W]`` to ``[B, outputs, H', W']``."""
        inner = self.normalizer1(self.conv1(x)).relu()
        return (self.normalizer2(self.conv2(inner)) + self.shortcut(x)).relu()


def start(module: nn.Module) -> None:
    """Draw the weights of convolutions from N(0, 2 / (kernel height * width * outputs)), as in the public codes."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            fan_out = part.kernel_size[0] * part.kernel_size[1] * part.out_channels
            nn.init.normal_(part.weight, 0, (2 / fan_out) ** 0.5)
