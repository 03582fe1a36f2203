"""Batches of samples whose inputs are on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from ffprobe.data.augment import CropFill, augment
from ffprobe.data.normalize import normalize
from ffprobe.data.pixels_on_disk import PixelsOnDisk
from ffprobe.data.samples import Samples
from ffprobe.data.shift import shift_signals


class Loader:
    """Batches of normalized samples; the generators alone determine their order and augmentation.

    Every iteration is one epoch with new draws. The inputs are copied to the device once, as they are stored; pixels on
    the disk stay there, and each batch is read when it is needed.

    Args:
        samples: the samples; those with weights are drawn with replacement, as often as their weights say.
        batch_size: samples per batch; if there are fewer samples, the only batch contains all of them.
        device: device of the batches.
        shuffle_generator: a CPU generator for the order; None keeps the samples in order, and ignores their weights.
        augment_generator: a CPU generator for the augmentation of pixels (crops and rotations) and of signals (shifts);
            None disables augmentation.
        shift: largest shift of the augmentation, in pixels or time steps.
        degrees: largest rotation of the augmentation, in degrees.
        flip: whether the augmentation mirrors images left to right.
        fill: what the augmentation's crop shows outside the image.
        drop_last: whether an incomplete last batch is dropped.
        dtype: dtype of the normalized inputs.
        memory_format: memory format of normalized images ``[B, C, H, W]``.
        part: function from the number of rows of a batch to the slice of this process; None for all rows. Random draws
            are made for whole batches, so that they do not depend on the number of processes.

    Raises:
        ValueError: ``batch_size`` is below 1.
    """

    def __init__(
        self,
        samples: Samples,
        batch_size: int,
        device: torch.device | str,
        *,
        shuffle_generator: torch.Generator | None,
        augment_generator: torch.Generator | None = None,
        shift: int = 0,
        degrees: float = 0.0,
        flip: bool = False,
        fill: CropFill = "zeros",
        drop_last: bool = True,
        dtype: torch.dtype = torch.float32,
        memory_format: torch.memory_format = torch.channels_last,
        part: Callable[[int], slice] | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"the batch size must be at least 1, not {batch_size}")
        self.batch_size = min(batch_size, len(samples))
        self.drop_last = drop_last
        self._count = len(samples)
        self._device = torch.device(device)
        self._on_disk = isinstance(samples.inputs, PixelsOnDisk)
        self._inputs = samples.inputs if self._on_disk else samples.inputs.to(device)
        self._labels, self._weights = samples.labels.to(device), samples.weights
        self._mean, self._std = samples.mean, samples.std
        self._shuffle, self._augment = shuffle_generator, augment_generator
        self._shift, self._degrees, self._flip, self._fill = shift, degrees, flip, fill
        self._dtype, self._memory_format = dtype, memory_format
        self._part = part or (lambda count: slice(0, count))

    def __len__(self) -> int:
        """Number of batches in one epoch; at least 1."""
        whole, rest = divmod(self._count, self.batch_size)
        return whole if self.drop_last or not rest else whole + 1

    def preview(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The first samples of the data set as one batch, normalized and not augmented; draws nothing.

        Returns:
            Inputs ``[B, *shape]`` and labels int64 ``[B]``, on the device.
        """
        return self._normalized(self._inputs[: self.batch_size].to(self._device)), self._labels[: self.batch_size]

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """One epoch of batches.

        Yields:
            This process's rows of the batch: normalized inputs ``[B, *shape]`` and labels int64 ``[B]``, both on the
            device; and the indices of the whole batch in the data set, int64 on the CPU.
        """
        order = torch.arange(self._count)
        if self._shuffle is not None:
            order = self._order(self._shuffle)
        device_order = order.to(self._device)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            batch = order[start : start + self.batch_size]
            rows = self._part(len(batch))
            chosen = device_order[start : start + self.batch_size][rows]
            inputs = (
                self._inputs[batch[rows]].to(self._device, non_blocking=True) if self._on_disk else self._inputs[chosen]
            )
            if self._augment is not None and inputs.dim() == 4:
                shown = (len(batch), rows)
                inputs = augment(
                    inputs, self._augment, self._shift, self._degrees, shown, flip=self._flip, fill=self._fill
                )
            elif self._augment is not None:
                inputs = shift_signals(inputs, self._augment, self._shift, (len(batch), rows))
            yield self._normalized(inputs), self._labels[chosen], batch

    def _order(self, generator: torch.Generator) -> torch.Tensor:
        if self._weights is None:
            return torch.randperm(self._count, generator=generator)
        return torch.multinomial(self._weights, self._count, replacement=True, generator=generator)

    def _normalized(self, inputs: torch.Tensor) -> torch.Tensor:
        x = normalize(inputs, self._mean, self._std, self._dtype)
        return x.contiguous(memory_format=self._memory_format) if x.dim() == 4 else x
