"""The batches of a process that receives its inputs from another one."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ffprobe.components.process_group import ProcessGroup


class OtherBatches:
    """As many empty batches as the loader of the first process has; no image is read and nothing is drawn.

    Args:
        count: batches of an epoch.
        batch_size: images of a batch.
        like: a tensor of the dtype and device of images.
        sharing: the processes that share each batch; its ``begin_batch`` is called for every batch, as by a loader.
    """

    def __init__(self, count: int, batch_size: int, like: torch.Tensor, sharing: ProcessGroup) -> None:
        self.count, self.batch_size, self.like, self.sharing = count, batch_size, like, sharing

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """One epoch of (images ``[0]``, labels ``[0]``, as many indices as the batch has images)."""
        labels = torch.zeros(0, dtype=torch.int64, device=self.like.device)
        for _ in range(self.count):
            self.sharing.begin_batch(self.batch_size)
            yield self.like.new_zeros(0), labels, torch.zeros(self.batch_size, dtype=torch.int64)
