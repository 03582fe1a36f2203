"""Batched random crop, rotation and mirroring, with a separate offset, angle and draw for every image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

CropFill = Literal["zeros", "reflect"]
"""What a crop shows outside the image: black, or the image mirrored at its edges."""

_ONE = 1 << 16  # 1.0 in 16.16 fixed point
_LARGEST = 1 << 14


def augment(
    pixels: torch.Tensor,
    generator: torch.Generator,
    shift: int,
    degrees: float,
    part: tuple[int, slice] | None = None,
    *,
    flip: bool = False,
    fill: CropFill = "zeros",
) -> torch.Tensor:
    """The paper's augmentation: torchvision's ``RandomCrop(size, padding=shift)``, then ``RandomRotation(degrees)``.

    Each image is shifted by whole pixels, uniform in [-shift, shift] on each axis, and then rotated about its centre by
    an angle uniform in [-degrees, degrees], with nearest-neighbour interpolation. Pixels from outside the image are 0.

    Beyond the paper: with ``flip``, each image is at last mirrored left to right with probability 1/2, as by
    torchvision's ``RandomHorizontalFlip``; with ``fill="reflect"``, the crop sees the image mirrored at its edges, as
    with ``padding_mode="reflect"``. What a rotation uncovers is 0 in any case.

    Args:
        pixels: uint8 ``[B, C, H, W]``, on any device; not changed.
        generator: a CPU generator, the only source of randomness.
        shift: largest shift in pixels; 0 draws no offsets.
        degrees: largest rotation in degrees; 0 draws no angles.
        flip: whether images are mirrored; False draws nothing.
        fill: pixels from outside the image in the crop; ``reflect`` needs a shift below both sides.
        part: (number of images in the whole batch, rows of these images in it): offsets and angles are drawn for the
            whole batch, also if other processes have the rest; None if ``pixels`` is the whole batch.

    Returns:
        uint8 ``[B, C, H, W]`` on the device of ``pixels``; the same result on every device.
    """
    count, rows = part or (pixels.shape[0], slice(None))
    offsets = torch.zeros(count, 2, dtype=torch.int64)
    angles = torch.zeros(count, dtype=torch.float64)
    if shift:
        offsets = torch.randint(-shift, shift + 1, (count, 2), generator=generator)
    if degrees:
        angles = (torch.rand(count, generator=generator, dtype=torch.float64) * 2 - 1) * degrees
    moved = move(pixels, offsets[rows], angles[rows], fill) if shift or degrees else pixels
    if not flip:
        return moved
    mirrored = (torch.rand(count, generator=generator) < 0.5)[rows].to(pixels.device, non_blocking=True)
    return torch.where(mirrored[:, None, None, None], moved.flip(-1), moved)


def move(pixels: torch.Tensor, offsets: torch.Tensor, angles: torch.Tensor, fill: CropFill = "zeros") -> torch.Tensor:
    """Shift each image, then rotate it about its centre, by one gather.

    The arithmetic is that of Pillow's ``rotate`` with nearest neighbour: 16.16 fixed point, so the result is exact and
    the same on every device.

    Args:
        pixels: uint8 ``[B, C, H, W]``, sides up to 16,384.
        offsets: int64 ``[B, 2]`` on the CPU: before the rotation, output row y and column x show row
            ``y + offsets[0]`` and column ``x + offsets[1]``.
        angles: float64 ``[B]`` on the CPU, in degrees, counter-clockwise.
        fill: what the shift shows outside the image: 0, or the image mirrored at its edges.

    Returns:
        uint8 ``[B, C, H, W]``.

    Raises:
        ValueError: a side is longer than 16,384.
    """
    count, channels, height, width = pixels.shape
    if max(height, width) > _LARGEST:
        raise ValueError(f"images of {height}x{width} are too large; the maximum side is {_LARGEST}")
    radians = torch.deg2rad(-angles)
    cos, sin = radians.cos(), radians.sin()
    half_w, half_h = width / 2, height / 2
    # the source position of the centre of output pixel (0, 0)
    start_x = cos * (0.5 - half_w) + sin * (0.5 - half_h) + half_w
    start_y = -sin * (0.5 - half_w) + cos * (0.5 - half_h) + half_h
    fixed = torch.stack((cos, sin, start_x, start_y)).mul(_ONE).add(0.5).floor().to(torch.int32)
    per_image = torch.cat((fixed, offsets.T.to(torch.int32))).to(pixels.device, non_blocking=True)
    cos, sin, start_x, start_y, down, right = per_image.view(6, count, 1, 1)

    row = torch.arange(height, device=pixels.device, dtype=torch.int32).view(1, height, 1)
    column = torch.arange(width, device=pixels.device, dtype=torch.int32).view(1, 1, width)
    x = ((cos * column + start_x) + sin * row) >> 16
    y = ((cos * row + start_y) - sin * column) >> 16
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    x, y = x + right, y + down
    if fill == "reflect":
        x, y = _reflected(x, width), _reflected(y, height)
    else:
        inside &= (x >= 0) & (x < width) & (y >= 0) & (y < height)
    source = torch.where(inside, y * width + x, 0).long().view(count, 1, -1).expand(-1, channels, -1)
    moved = pixels.reshape(count, channels, -1).gather(2, source)
    return moved.view(count, channels, height, width).mul_(inside.unsqueeze(1))


def _reflected(index: torch.Tensor, size: int) -> torch.Tensor:
    # -1 is 1 and size is size - 2: the edge itself is not repeated
    return (size - 1 - (size - 1 - index.abs()).abs()).clamp(min=0)


def images_augmented(shape: Sequence[int], setting: bool | Literal["auto"]) -> bool:
    """Whether images ``[C, H, W]`` are augmented; ``auto`` is from 16 pixels on.

    A rotation to the nearest pixel distorts 8x8 digits: it costs 5 points of validation accuracy there.
    """
    return min(shape[1:]) >= 16 if setting == "auto" else setting


def default_shift(height: int) -> int:
    """The shift in pixels for images of this height: the paper's 4 from 28 px on, an eighth of the height below."""
    return 4 if height >= 28 else height // 8
