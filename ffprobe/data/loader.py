"""Batches from images that live on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from ffprobe.data.augment import augment
from ffprobe.data.images import Images
from ffprobe.data.pixels_on_disk import PixelsOnDisk


class Loader:
    """Batches of normalized images, in an order and with an augmentation that the generators alone decide.

    Every pass over it is one epoch and draws anew. The pixels are copied to the device once, as uint8; those that lie
    on the disk stay there, and each batch is read when its turn comes.

    Args:
        images: what to draw from.
        batch_size: images per batch; when there are fewer images than that, the one batch holds them all.
        device: where batches live.
        shuffle_generator: a CPU generator for the order; None keeps the images in order.
        augment_generator: a CPU generator for crops and rotations; None leaves the images as they are.
        shift: largest shift of the augmentation, in pixels.
        degrees: largest rotation of the augmentation.
        drop_last: whether a last batch that is not full is left out.
        dtype: of the normalized images.
        memory_format: of the normalized images.
        part: says which rows of a batch, of so many, are this process's; None for all of them. What is drawn at random
            is drawn for whole batches, so that it is the same however many share them.

    Raises:
        ValueError: ``batch_size`` is below 1.
    """

    def __init__(
        self,
        images: Images,
        batch_size: int,
        device: torch.device | str,
        *,
        shuffle_generator: torch.Generator | None,
        augment_generator: torch.Generator | None = None,
        shift: int = 0,
        degrees: float = 0.0,
        drop_last: bool = True,
        dtype: torch.dtype = torch.float32,
        memory_format: torch.memory_format = torch.channels_last,
        part: Callable[[int], slice] | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"a batch holds one image or more, not {batch_size}")
        self.batch_size = min(batch_size, len(images))
        self.drop_last = drop_last
        self._count = len(images)
        self._device = torch.device(device)
        self._on_disk = isinstance(images.pixels, PixelsOnDisk)
        self._pixels = images.pixels if self._on_disk else images.pixels.to(device)
        self._labels = images.labels.to(device)
        self._mean, self._std = images.mean, images.std
        self._shuffle, self._augment = shuffle_generator, augment_generator
        self._shift, self._degrees = shift, degrees
        self._dtype, self._memory_format = dtype, memory_format
        self._part = part or (lambda count: slice(0, count))

    def __len__(self) -> int:
        """Batches in one epoch; never 0."""
        whole, rest = divmod(self._count, self.batch_size)
        return whole if self.drop_last or not rest else whole + 1

    def preview(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The first images as they lie in the data set, as one batch: normalized, not augmented; draws nothing.

        Returns:
            Images ``[B, C, H, W]`` and labels int64 ``[B]``, on the device.
        """
        x = normalize(self._pixels[: self.batch_size].to(self._device), self._mean, self._std, self._dtype)
        return x.contiguous(memory_format=self._memory_format), self._labels[: self.batch_size]

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """One epoch of batches.

        Yields:
            This process's part of the images ``[B, C, H, W]``, normalized, and of the labels int64 ``[B]``, both on
            the device, and the places in the data set of the whole batch, int64 on the CPU.
        """
        order = torch.arange(self._count)
        if self._shuffle is not None:
            order = torch.randperm(self._count, generator=self._shuffle)
        places = order.to(self._device)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            whole = order[start : start + self.batch_size]
            rows = self._part(len(whole))
            chosen = places[start : start + self.batch_size][rows]
            pixels = (
                self._pixels[whole[rows]].to(self._device, non_blocking=True) if self._on_disk else self._pixels[chosen]
            )
            if self._augment is not None:
                pixels = augment(pixels, self._augment, self._shift, self._degrees, (len(whole), rows))
            x = normalize(pixels, self._mean, self._std, self._dtype).contiguous(memory_format=self._memory_format)
            yield x, self._labels[chosen], whole


def normalize(
    pixels: torch.Tensor, mean: Sequence[float], std: Sequence[float], dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Pixels on the scale 0 to 1, less ``mean``, over ``std``: torchvision's ToTensor and Normalize.

    Args:
        pixels: uint8 ``[B, C, H, W]``; not changed.
        mean: C numbers on the scale 0 to 1.
        std: C positive numbers on the same scale.
        dtype: of the result; half precisions are computed in float32 and rounded once.

    Returns:
        ``[B, C, H, W]`` on the device of ``pixels``.
    """
    exact = dtype if dtype in (torch.float32, torch.float64) else torch.float32
    # one small copy to the device, not two
    both = torch.tensor([list(mean), list(std)], dtype=exact).to(pixels.device, non_blocking=True).view(2, 1, -1, 1, 1)
    return pixels.to(exact).div_(255).sub_(both[0]).div_(both[1]).to(dtype)
