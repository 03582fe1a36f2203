"""``/api/runs/ID/images/PART/I.png``: the recorded images."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from ffprobe.errors import FileError
from ffprobe.store.schema import IMAGES

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

IMAGE_PARTS = ("test", "validation", "training")
MAX_SIDE = 4096
"""Pixels of a side of an image."""


def recorded_images(run: RunFile, part: str) -> dict[int, int]:
    """The row in the file of each recorded image, by its index in the part; empty for a file without images.

    Training images are known by their index in the data set's training split.
    """
    if part not in IMAGE_PARTS or not run.has(f"{IMAGES}/{part}/pixel"):
        return {}
    name = "source_index" if part == "training" else "sample"
    return {int(index): row for row, index in enumerate(run.read(f"{IMAGES}/{part}/{name}"))}


def recorded_pixels(run: RunFile, part: str, index: int) -> np.ndarray:
    """The pixels of an image, uint8 ``[C, H, W]``.

    Raises:
        FileError: the image was not recorded.
    """
    row = recorded_images(run, part).get(index)
    if row is None:
        hint = "Train again with --set recording.images=N to record more."
        raise FileError(f"The file does not contain the pixels of {part} image {index}.", hint=hint)
    pixels = np.asarray(run.variable(f"{IMAGES}/{part}/pixel")[row])
    if pixels.ndim != 3 or pixels.dtype != np.uint8 or not all(1 <= side <= MAX_SIDE for side in pixels.shape):
        raise FileError(f"The recorded {part} images have a wrong shape.", where=str(run.path))
    return pixels


def png(pixels: np.ndarray) -> bytes:
    """An image as PNG: gray for one channel, colour for three, else the mean of the channels.

    Args:
        pixels: uint8 ``[C, H, W]``.
    """
    from PIL import Image

    if len(pixels) == 3:
        image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)), "RGB")
    else:
        gray = pixels[0] if len(pixels) == 1 else pixels.mean(axis=0).astype(np.uint8)
        image = Image.fromarray(np.ascontiguousarray(gray), "L")
    file = BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()
