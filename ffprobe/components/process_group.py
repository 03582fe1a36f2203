"""The processes that train one network together; a run of one process is a process_group of one."""

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

    A copy (``copy.deepcopy``) is a group of one process: an experiment on a copy of the network waits for nobody.

    Attributes:
        rank: the number of this process, from 0.
        size: the number of processes.
        backend: of ``torch.distributed``: ``gloo`` or ``nccl``; empty in a group of one process.
    """

    rank: int = 0
    size: int = 1
    backend: str = ""

    def __deepcopy__(self, memo: dict[int, Any]) -> ProcessGroup:
        return ProcessGroup()

    @property
    def is_main(self) -> bool:
        """Whether this process writes, prints and tells plugins."""
        return self.rank == 0

    def shard(self, total: int) -> slice:
        """This process's part of ``total`` rows; parts differ by one row at most."""
        return slice(0, total)

    def begin_batch(self, total: int) -> slice:
        """Begin a batch of ``total`` rows: this process's part of it."""
        return self.shard(total)

    def local_shard(self, whole: torch.Tensor) -> torch.Tensor:
        """This process's rows of the batch under way, ``[B, ...]`` to ``[rows, ...]``."""
        return whole

    def all_gather_batch(self, part: torch.Tensor) -> torch.Tensor:
        """The batch under way, put together of all processes' parts ``[rows, ...]``."""
        return part

    def backward(
        self, loss: torch.Tensor, parameters: Sequence[nn.Parameter], means: Sequence[torch.Tensor] = ()
    ) -> list[torch.Tensor]:
        """Put the gradients of the whole batch's loss into ``parameters``.

        Args:
            loss: scalar, the mean over this process's part of the batch.
            parameters: those to get gradients, the same in every process.
            means: scalars without graph, each a mean over this process's part.

        Returns:
            The means over the whole batch, on the device that they came from; nothing is waited for on a GPU.
        """
        loss.backward()
        return list(means)

    def all_gather(self, part: torch.Tensor, total: int) -> torch.Tensor:
        """All processes' parts ``[rows, ...]`` of ``total`` rows, put together in the order of the rows."""
        return part

    def all_gather_stacked(self, value: torch.Tensor) -> torch.Tensor:
        """Every process's ``value`` of one shape, ``[size, ...]``."""
        return value.unsqueeze(0)

    def all_reduce_sum(self, value: torch.Tensor) -> torch.Tensor:
        """The sum of every process's ``value``, in the place of it."""
        return value

    def all_reduce_mean(self, values: Sequence[torch.Tensor]) -> None:
        """Put the mean over the processes into each of these tensors; what is equal everywhere stays as it is."""

    def all_reduce_max(self, number: int) -> int:
        """The largest of every process's ``number``."""
        return number

    def broadcast(self, value: Any) -> Any:
        """What the leader gave: plain values and tensors; the others' ``value`` is not looked at."""
        return value

    def barrier(self) -> None:
        """Until every process has come here."""
