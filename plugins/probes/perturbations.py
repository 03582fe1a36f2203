"""Changes to images and weights that a robust network should not mind: noise, corruptions, quantization."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class Perturbation:
    """One kind of change at several strengths.

    Attributes:
        name: as in the table.
        unit: what the strength is, for the table's notes.
        of: whether pixels or weights change.
        strengths: from the weakest.
        change: ``(values, strength, generator)`` to changed values of the same shape: pixels on the scale 0 to 1,
            float ``[N, C, H, W]``, or one weight.
        random: whether draws differ.
    """

    name: str
    unit: str
    of: Literal["pixels", "weights"]
    strengths: tuple[float, ...]
    change: Callable[[torch.Tensor, float, torch.Generator], torch.Tensor]
    random: bool = False


def pixel_noise(x: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Add normal noise with this standard deviation, on the scale 0 to 1."""
    import torch

    return x + strength * torch.randn(x.shape, generator=generator)


def blur(x: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Gaussian blur with this standard deviation in pixels; the kernel ends at three of them."""
    from torchvision.transforms.v2 import functional

    size = min(2 * round(3 * strength) + 1, 2 * min(x.shape[-2:]) - 1)  # reflection needs at least half of it
    return functional.gaussian_blur(x, [size, size], [strength, strength])


def contrast(x: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Move every pixel towards the image's mean gray by this share."""
    from torchvision.transforms.v2 import functional

    return functional.adjust_contrast(x, 1 - strength)


def brightness(x: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Multiply every pixel by 1 + strength."""
    from torchvision.transforms.v2 import functional

    return functional.adjust_brightness(x, 1 + strength)


def weight_noise(weight: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Add normal noise whose standard deviation is this share of the weight's own."""
    import torch

    noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
    return weight + (strength * weight.double().std() * noise).to(weight.dtype)


def quantized(weight: torch.Tensor, bits: float, generator: torch.Generator) -> torch.Tensor:
    """Round to ``2^bits - 1`` evenly spaced values that include 0 and the weight of largest size, for each tensor."""
    step = weight.abs().max() / (2 ** (int(bits) - 1) - 1)
    return weight if step == 0 else (weight / step).round() * step


PERTURBATIONS = (
    Perturbation(
        "pixel noise", "standard deviation, of the range of a pixel", "pixels", (0.05, 0.1, 0.2), pixel_noise, True
    ),
    Perturbation("blur", "standard deviation in pixels", "pixels", (0.5, 1.0, 2.0), blur),
    Perturbation("contrast", "share of contrast removed", "pixels", (0.25, 0.5, 0.75), contrast),
    Perturbation("brightness", "pixels times 1 + strength", "pixels", (0.25, 0.5, 1.0), brightness),
    Perturbation(
        "weight noise", "standard deviation, of that of the weight", "weights", (0.1, 0.2, 0.5), weight_noise, True
    ),
    Perturbation("quantization", "bits of every weight", "weights", (8, 6, 4, 3, 2), quantized),
)


def possible(channels: int) -> Iterator[Perturbation]:
    """The perturbations of images with so many channels: contrast and brightness are defined for gray and RGB."""
    for one in PERTURBATIONS:
        if channels in (1, 3) or one.name not in ("contrast", "brightness"):
            yield one


def changed_pixels(one: Perturbation, strength: float, pixels: torch.Tensor, draw: int) -> torch.Tensor:
    """Changed pixels, uint8 ``[N, C, H, W]``: clipped to the range and rounded, as a file of images would have them."""
    import torch

    generator = torch.Generator().manual_seed(draw)
    x = one.change(pixels.float() / 255, strength, generator)
    return (x.clamp(0, 1) * 255).round().to(torch.uint8)


def change_weights(one: Perturbation, strength: float, network: nn.Module, draw: int) -> Callable[[], None]:
    """Change every parameter of two or more dimensions in place; returns a function that undoes it.

    Biases, and gains and offsets of normalizers, stay.
    """
    import torch

    generator = torch.Generator().manual_seed(draw)
    weights = [p for p in network.parameters() if p.dim() > 1]
    before = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight in weights:
            weight.copy_(one.change(weight, strength, generator))

    def undo() -> None:
        with torch.no_grad():
            for weight, old in zip(weights, before, strict=True):
                weight.copy_(old)

    return undo
