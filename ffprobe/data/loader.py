"""Batches of images whose pixels are on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from ffprobe.data.augment import augment
from ffprobe.data.images import Images
from ffprobe.data.pixels_on_disk import PixelsOnDisk


class Loader:
    """Batches of normalized images; the generators alone determine their order and augmentation.

    Every iteration is one epoch with new draws. The pixels are copied to the device once, as uint8; pixels on the disk
    stay there, and each batch is read when it is needed.

    Args:
        images: the images.
        batch_size: images per batch; if there are fewer images, the only batch contains all of them.
        device: device of the batches.
        shuffle_generator: a CPU generator for the order; None keeps the images in order.
        augment_generator: a CPU generator for crops and rotations; None disables augmentation.
        shift: largest shift of the augmentation, in pixels.
        degrees: largest rotation of the augmentation, in degrees.
        drop_last: whether an incomplete last batch is dropped.
        dtype: dtype of the normalized images.
        memory_format: memory format of the normalized images.
        part: function from the number of rows of a batch to the slice of this process; None for all rows. Random draws
            are made for whole batches, so that they do not depend on the number of processes.

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
            raise ValueError(f"the batch size must be at least 1, not {batch_size}")
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
        """Number of batches in one epoch; at least 1."""
        whole, rest = divmod(self._count, self.batch_size)
        return whole if self.drop_last or not rest else whole + 1

    def preview(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The first images of the data set as one batch, normalized and not augmented; draws nothing.

        Returns:
            Images ``[B, C, H, W]`` and labels int64 ``[B]``, on the device.
        """
        x = normalize(self._pixels[: self.batch_size].to(self._device), self._mean, self._std, self._dtype)
        return x.contiguous(memory_format=self._memory_format), self._labels[: self.batch_size]

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """One epoch of batches.

        Yields:
            This process's rows of the batch: normalized images ``[B, C, H, W]`` and labels int64 ``[B]``, both on the
            device; and the indices of the whole batch in the data set, int64 on the CPU.
        """
        order = torch.arange(self._count)
        if self._shuffle is not None:
            order = torch.randperm(self._count, generator=self._shuffle)
        device_order = order.to(self._device)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            batch = order[start : start + self.batch_size]
            rows = self._part(len(batch))
            chosen = device_order[start : start + self.batch_size][rows]
            pixels = (
                self._pixels[batch[rows]].to(self._device, non_blocking=True) if self._on_disk else self._pixels[chosen]
            )
            if self._augment is not None:
                pixels = augment(pixels, self._augment, self._shift, self._degrees, (len(batch), rows))
            x = normalize(pixels, self._mean, self._std, self._dtype).contiguous(memory_format=self._memory_format)
            yield x, self._labels[chosen], batch


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
