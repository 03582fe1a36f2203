"""The process group: the processes that train one network together. A run on one process has a group of size 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


class ProcessGroup:
    """A process group of one process, in which every collective operation is the identity; torchrun makes larger ones.

    Every process of a group holds the whole network and a shard of each batch. The collective operations (all-gather,
    all-reduce, broadcast, barrier) combine the results, so that the numbers are those of one process with the whole
    batch. Every process must make the same calls in the same order, as with ``torch.distributed``.

    A copy (``copy.deepcopy``) is a group of one process: an experiment on a copy of the network waits for no other
    process.

    Attributes:
        rank: index of this process, from 0.
        size: number of processes.
        backend: backend of ``torch.distributed``, ``gloo`` or ``nccl``; empty in a group of one process.
    """

    rank: int = 0
    size: int = 1
    backend: str = ""

    def __deepcopy__(self, memo: dict[int, Any]) -> ProcessGroup:
        return ProcessGroup()

    @property
    def is_main(self) -> bool:
        """Whether this is the main process, which writes the run file, prints, and calls plugin hooks."""
        return self.rank == 0

    def shard(self, total: int) -> slice:
        """The rows of this process out of ``total`` rows; the shards of two processes differ by at most one row."""
        return slice(0, total)

    def begin_batch(self, total: int) -> slice:
        """Begin a batch of ``total`` rows and return the rows of this process.

        Raises:
            UsageError: the batch has fewer rows than the group has processes.
        """
        return self.shard(total)

    def local_shard(self, batch: torch.Tensor) -> torch.Tensor:
        """The rows of this process out of the current batch: ``[B, ...]`` to ``[rows, ...]``."""
        return batch

    def all_gather_batch(self, shard: torch.Tensor) -> torch.Tensor:
        """The current batch ``[B, ...]``, concatenated from the shards ``[rows, ...]`` of all processes."""
        return shard

    def backward(
        self, loss: torch.Tensor, parameters: Sequence[nn.Parameter], means: Sequence[torch.Tensor] = ()
    ) -> list[torch.Tensor]:
        """Compute the gradients of the whole batch's loss and store them in ``parameters``.

        Args:
            loss: scalar, the mean over this process's shard of the batch.
            parameters: the parameters that receive gradients, the same in every process.
            means: detached scalars, each a mean over this process's shard.

        Returns:
            The means over the whole batch, on the device of ``means``. On a GPU this does not synchronize.
        """
        loss.backward()
        return list(means)

    def all_gather(self, shard: torch.Tensor, total: int) -> torch.Tensor:
        """Concatenate the shards ``[rows, ...]`` of all processes to ``[total, ...]``, in row order."""
        return shard

    def all_gather_stacked(self, value: torch.Tensor) -> torch.Tensor:
        """Stack the values of all processes, which have the same shape, to ``[size, ...]``."""
        return value.unsqueeze(0)

    def all_reduce_sum(self, value: torch.Tensor) -> torch.Tensor:
        """Replace ``value`` by its sum over all processes, in place, and return it."""
        return value

    def all_reduce_mean(self, values: Sequence[torch.Tensor]) -> None:
        """Replace each tensor by its mean over all processes, in place; values equal in all processes do not change."""

    def all_reduce_max(self, number: int) -> int:
        """The maximum of ``number`` over all processes."""
        return number

    def broadcast(self, value: Any) -> Any:
        """The value of the main process, plain values or tensors; the ``value`` of other processes is ignored."""
        return value

    def barrier(self) -> None:
        """Wait until every process has called this."""
