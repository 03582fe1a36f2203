"""The processes that train one network together; a run of one process is a team of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


class Team:
    """A team of one, in which nothing needs to be told to anyone; ``torchrun`` makes larger ones.

    Each process of a team holds the whole network and takes a part of every batch. What it computes of its part it
    brings together with the others here, so that the numbers are those of one process with the whole batch. Every
    process must make the same calls in the same order.

    A copy (``copy.deepcopy``) is a team of one: what is tried on a copy of the network waits for nobody.

    Attributes:
        rank: which process this is, from 0.
        size: how many there are.
        backend: what carries the messages: ``gloo``, ``nccl``; empty in a team of one.
    """

    rank: int = 0
    size: int = 1
    backend: str = ""

    def __deepcopy__(self, memo: dict[int, Any]) -> Team:
        return Team()

    @property
    def leads(self) -> bool:
        """Whether this process writes, prints and tells plugins."""
        return self.rank == 0

    def part(self, total: int) -> slice:
        """This process's part of ``total`` rows; parts differ by one row at most."""
        return slice(0, total)

    def take(self, total: int) -> slice:
        """Begin a batch of ``total`` rows: this process's part of it."""
        return self.part(total)

    def own(self, whole: torch.Tensor) -> torch.Tensor:
        """This process's rows of the batch under way, ``[B, ...]`` to ``[rows, ...]``."""
        return whole

    def whole_batch(self, part: torch.Tensor) -> torch.Tensor:
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

    def whole(self, part: torch.Tensor, total: int) -> torch.Tensor:
        """All processes' parts ``[rows, ...]`` of ``total`` rows, put together in the order of the rows."""
        return part

    def stacked(self, value: torch.Tensor) -> torch.Tensor:
        """Every process's ``value`` of one shape, ``[size, ...]``."""
        return value.unsqueeze(0)

    def add(self, value: torch.Tensor) -> torch.Tensor:
        """The sum of every process's ``value``, in the place of it."""
        return value

    def average(self, values: Sequence[torch.Tensor]) -> None:
        """Put the mean over the processes into each of these tensors; what is equal everywhere stays as it is."""

    def agree(self, number: int) -> int:
        """The largest of every process's ``number``."""
        return number

    def from_leader(self, value: Any) -> Any:
        """What the leader gave: plain values and tensors; the others' ``value`` is not looked at."""
        return value

    def wait(self) -> None:
        """Until every process has come here."""
