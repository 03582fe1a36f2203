"""The in-memory data set: one uint8 tensor of images and its labels."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

from ffprobe.errors import FileError

MIN_STD = 1e-8
"""Minimum standard deviation of a channel, on the scale 0 to 1. A channel in which one of 1e11 pixels differs by one
level still has 1e-8; a smaller value is a rounding error, and to divide by it overflows."""

_CHUNK = 1024  # images read at once in a pass over all images


@dataclass(frozen=True)
class Images:
    """One split of a data set; immutable.

    Attributes:
        pixels: uint8 ``[N, C, H, W]``, 0 to 255: a tensor, or, if they do not fit into memory, an object that returns
            tensors for slices and indices of rows (``PixelsOnDisk``).
        labels: int64 ``[N]``, 0 to ``len(classes) - 1``.
        classes: class names in label order; at least two.
        mean: mean of each channel, on the scale 0 to 1 (pixels / 255).
        std: standard deviation of each channel, on the same scale; at least ``MIN_STD``.

    Raises:
        FileError: shapes, dtypes or values are invalid or inconsistent; the message says which.
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise FileError(f"The images do not form a data set: {problem}.")

    def __len__(self) -> int:
        return self.pixels.shape[0]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        channels, height, width = self.pixels.shape[1:]
        return int(channels), int(height), int(width)

    def subset(self, indices: torch.Tensor) -> Images:
        """The images at ``indices`` (int64 ``[M]``), in that order."""
        lazy = getattr(self.pixels, "subset", None)
        pixels = self.pixels[indices] if lazy is None else lazy(indices)
        return Images(pixels, self.labels[indices], self.classes, self.mean, self.std)

    def unscaled(self) -> Images:
        """The same images with mean 0 and std 1, so that a network gets pixels from 0 to 1."""
        channels = self.shape[0]
        return Images(self.pixels, self.labels, self.classes, (0.0,) * channels, (1.0,) * channels)

    def sha256(self) -> str:
        """A hash of pixels, labels and class names, the same on every machine."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        digest = hashlib.sha256()
        digest.update(repr((tuple(self.pixels.shape), self.classes)).encode())
        for start in range(0, len(self), _CHUNK):
            digest.update(self.pixels[start : start + _CHUNK].contiguous().numpy().data)
        digest.update(self.labels.contiguous().numpy().astype("<i8").tobytes())
        return digest.hexdigest()


def _problem(images: Images) -> str:
    import torch

    pixels, labels, classes = images.pixels, images.labels, images.classes
    if pixels.dtype != torch.uint8 or pixels.dim() != 4:
        return f"pixels must be uint8 [N, C, H, W], not {pixels.dtype} {list(pixels.shape)}"
    if labels.dtype != torch.int64 or list(labels.shape) != [pixels.shape[0]]:
        return f"labels must be int64 [{pixels.shape[0]}], not {labels.dtype} {list(labels.shape)}"
    if pixels.shape[0] == 0:
        return "there are no images"
    if len(classes) < 2:
        return f"at least two classes are needed, not {len(classes)}"
    if int(labels.min()) < 0 or int(labels.max()) >= len(classes):
        return f"labels range from {int(labels.min())} to {int(labels.max())} with {len(classes)} classes"
    if len(images.mean) != pixels.shape[1] or len(images.std) != pixels.shape[1]:
        return f"{pixels.shape[1]} channels need the same number of means and standard deviations"
    if not all(math.isfinite(value) for value in (*images.mean, *images.std)):
        return f"means and standard deviations must be finite, not {images.mean} and {images.std}"
    if min(images.std) < MIN_STD:
        return f"a channel has the standard deviation {min(images.std):g}; the minimum is {MIN_STD:g}"
    return ""


def channel_statistics(pixels: torch.Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel on the scale 0 to 1.

    Args:
        pixels: uint8 ``[N, C, H, W]``.

    Returns:
        Two tuples of C numbers; the standard deviation of a constant channel is 1.
    """
    import torch

    # counts of the 256 values are exact and need no float copy of the images
    counts = [torch.bincount(pixels[:, channel].reshape(-1), minlength=256) for channel in range(pixels.shape[1])]
    return statistics_of_counts(torch.stack(counts))


def statistics_of_counts(counts: torch.Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Like ``channel_statistics``, from the counts of the 256 values in each channel, int64 ``[C, 256]``."""
    import torch

    values = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for of_channel in counts.double():
        share = of_channel / of_channel.sum()
        mean = float((share * values).sum())
        std = float((share * (values - mean).square()).sum().sqrt())
        means.append(mean)
        stds.append(1.0 if of_channel.count_nonzero() == 1 else std)  # counts are exact, std is rounded
    return tuple(means), tuple(stds)
