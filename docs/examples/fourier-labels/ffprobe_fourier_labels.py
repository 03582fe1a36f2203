"""Adds the label to the whole image as a plane wave, with one direction and frequency for each class."""

import torch
from pydantic import Field
from torch import nn

import ffprobe


class FourierLabels(ffprobe.Encoder):
    """Adds wave ``y`` to every channel: the K lowest frequencies of the image's own Fourier grid, cosine then sine.

    The waves of the grid are orthogonal, so no label hides another, and every patch of the image contains part of its
    label, which a convolution needs. The paper draws frequency, phase and orientation at random; here, they are
    enumerated. The neutral label is the mean of all waves.
    """

    name = "fourier-labels"
    source = "Scodellaro et al. 2023, arXiv:2312.14924 (spatially extended labels)"

    class Params(ffprobe.Params):
        """The strength of the label."""

        strength: float = Field(
            1.0, gt=0, description="amplitude of the waves, in standard deviations of the images, above 0"
        )

    def build(self, shape, classes):  # the shape of one image, (C, H, W); the output has the same shape
        if len(shape) != 3:
            raise ffprobe.UsageError("Waves have two directions: this encoder needs images [C, H, W].")
        _, height, width = shape
        if classes > height * width // 2:  # cosine and sine of half the grid; the other half has the same waves
            raise ffprobe.UsageError(f"An image of {height}x{width} pixels has too few waves for {classes} classes.")
        up, right = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
        grid = [(u, v) for u in range(height // 2 + 1) for v in range(-((width - 1) // 2), width // 2 + 1)]
        grid = sorted(((u, v) for u, v in grid if (u, v) > (0, 0)), key=lambda f: (f[0] ** 2 + f[1] ** 2, f))
        phases = [2 * torch.pi * (u * up + v * right) for u, v in grid]
        waves = [wave for phase in phases for wave in (phase.cos(), phase.sin()) if wave.norm() > 1e-3]
        pictures = self.params.strength * torch.stack(waves[:classes])  # [K, H, W]

        class Module(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer("pictures", pictures)

            def forward(self, images, labels):  # [B, C, H, W], [B]
                return images + self.pictures[labels][:, None].to(images.dtype)

            def neutral(self, images):
                return images + self.pictures.mean(dim=0).to(images.dtype)

        return Module()


@ffprobe.hookimpl
def ffprobe_components():
    return [FourierLabels]
