"""Pictures: samples of uint8 pixels, and their statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import torch

from ffprobe.data.samples import Samples


class Images(Samples):
    """One split of a data set of pictures; immutable. ``Samples`` of uint8 pixels.

    Args:
        pixels: uint8 ``[N, C, H, W]``, 0 to 255: a tensor, or, if they do not fit into memory, an object that returns
            tensors for slices and indices of rows (``PixelsOnDisk``).
        labels: int64 ``[N]``, 0 to ``len(classes) - 1``.
        classes: class names in label order; at least two.
        mean: mean of each channel, on the scale 0 to 1 (pixels / 255).
        std: standard deviation of each channel, on the same scale; at least ``MIN_STD``.

    Raises:
        FileError: shapes, dtypes or values are invalid or inconsistent; the message says which.
    """

    noun: ClassVar[str] = "images"

    def __init__(
        self,
        pixels: torch.Tensor,
        labels: torch.Tensor,
        classes: tuple[str, ...],
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        super().__init__(pixels, labels, classes, mean, std)

    @property
    def pixels(self) -> torch.Tensor:
        """uint8 ``[N, C, H, W]``, 0 to 255."""
        return self.inputs


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
