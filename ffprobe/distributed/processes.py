"""Several processes that ``torchrun`` started, as one process_group."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import torch
from torch import distributed, nn

from ffprobe.components.process_group import ProcessGroup
from ffprobe.errors import FfprobeError, UsageError

PATIENCE = timedelta(hours=6)
"""How long a process waits for one that still runs (the leader may be writing); one that ended is noticed at once."""

_ASKED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@contextmanager
def joined(device: str) -> Iterator[ProcessGroup]:
    """The process_group that this process belongs to: of one, unless ``torchrun`` started it beside others.

    Args:
        device: the run's setting: ``auto``, ``cpu``, ``cuda`` ...; decides what carries the messages.

    Raises:
        UsageError: torchrun's environment is not whole, or there are fewer cards than processes on this machine.
        FfprobeError: the processes do not find each other.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or distributed.is_initialized():
        yield ProcessGroup()
        return
    missing = [name for name in _ASKED if name not in os.environ]
    if missing:
        raise UsageError(
            f"WORLD_SIZE says that there are several processes, but {', '.join(missing)} is not set.",
            hint="Start them with torchrun --nproc-per-node 2 -m ffprobe run ..., or unset WORLD_SIZE.",
        )
    cuda = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    if cuda:
        _take_card(device)
    try:
        # small things are told from CPU to CPU, so that nobody has to wait for a card
        distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise FfprobeError(f"The processes do not find each other: {str(error).splitlines()[0]}") from error
    try:
        yield TorchProcessGroup("nccl" if cuda else "gloo")
    finally:
        distributed.destroy_process_group()


def _take_card(device: str) -> None:
    card, cards = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if ":" in device:
        raise UsageError(f"Several processes cannot share {device}.", hint="Use --device cuda: each takes a card.")
    if card >= cards:
        raise UsageError(
            f"Process {card} of this machine has no card: there are {cards}.",
            hint=f"Use torchrun --nproc-per-node {max(cards, 1)}, or --device cpu.",
        )
    torch.cuda.set_device(card)


class TorchProcessGroup(ProcessGroup):
    """Two processes or more, by ``torch.distributed``.

    Args:
        backend: that carries tensors of the run's device.
    """

    def __init__(self, backend: str) -> None:
        self.rank, self.size, self.backend = distributed.get_rank(), distributed.get_world_size(), backend
        self._total = 0

    def shard(self, total: int) -> slice:
        """The first ``total % size`` processes get one row more than the others."""
        ends = self._ends(total)
        return slice(ends[self.rank], ends[self.rank + 1])

    def begin_batch(self, total: int) -> slice:
        """Begin a batch; it must have a row for every process."""
        if total < self.size:
            raise UsageError(
                f"A batch of {total} cannot be shared by {self.size} processes.", hint="Use a larger --batch-size."
            )
        self._total = total
        return self.shard(total)

    def local_shard(self, whole: torch.Tensor) -> torch.Tensor:
        return whole[self.shard(self._total)]

    def all_gather_batch(self, part: torch.Tensor) -> torch.Tensor:
        return self.all_gather(part, self._total)

    def backward(
        self, loss: torch.Tensor, parameters: Sequence[nn.Parameter], means: Sequence[torch.Tensor] = ()
    ) -> list[torch.Tensor]:
        """Each process's loss counts by its share of the rows; one sum over all processes for everything."""
        rows = self.shard(self._total)
        share = (rows.stop - rows.start) / self._total
        (loss * share).backward()
        gradients = [p.grad for p in parameters if p.grad is not None]
        like = gradients[0] if gradients else loss
        told = [mean.detach().to(like.dtype).reshape(1) * share for mean in means]
        flat = self.all_reduce_sum(torch.cat([*(g.reshape(-1) for g in gradients), *told]))
        *parts, rest = flat.split([*(g.numel() for g in gradients), len(told)])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))
        return [mean.to(given.dtype) for mean, given in zip(rest.unbind(), means, strict=True)]

    def all_gather(self, part: torch.Tensor, total: int) -> torch.Tensor:
        """Padded to one length for the exchange."""
        ends = self._ends(total)
        rows = [b - a for a, b in pairwise(ends)]
        padded = part.new_zeros((max(rows), *part.shape[1:]))
        padded[: len(part)] = part
        return torch.cat([one[:count] for one, count in zip(self.all_gather_stacked(padded), rows, strict=True)])

    def all_gather_stacked(self, value: torch.Tensor) -> torch.Tensor:
        """One exchange; every process gets all values."""
        value = value.contiguous()
        found = [torch.empty_like(value) for _ in range(self.size)]
        _exchange(self, lambda: distributed.all_gather(found, value))
        return torch.stack(found)

    def all_reduce_sum(self, value: torch.Tensor) -> torch.Tensor:
        """One exchange."""
        _exchange(self, lambda: distributed.all_reduce(value))
        return value

    def all_reduce_mean(self, values: Sequence[torch.Tensor]) -> None:
        """One exchange in float64, in which the sum of equal float32 numbers is exact."""
        if not values:
            return
        flat = self.all_reduce_sum(torch.cat([value.detach().double().reshape(-1) for value in values])) / self.size
        for value, part in zip(values, flat.split([v.numel() for v in values]), strict=True):
            value.copy_(part.view(value.shape))

    def all_reduce_max(self, number: int) -> int:
        """Between CPUs: no card is waited for."""
        told = torch.tensor([number])
        _exchange(self, lambda: distributed.all_reduce(told, distributed.ReduceOp.MAX))
        return int(told)

    def broadcast(self, value: Any) -> Any:
        """From the leader's memory to the others'."""
        held = [value]
        _exchange(self, lambda: distributed.broadcast_object_list(held, 0, device=torch.device("cpu")))
        return held[0]

    def barrier(self) -> None:
        """Between CPUs."""
        self.all_reduce_max(0)

    def _ends(self, total: int) -> list[int]:
        each, more = divmod(total, self.size)
        return [each * rank + min(rank, more) for rank in range(self.size + 1)]


def _exchange(process_group: ProcessGroup, talk: Callable[[], Any]) -> None:
    try:
        talk()
    except RuntimeError as error:
        raise FfprobeError(
            "Another process of this run has ended, so this one cannot go on.",
            where=f"process {process_group.rank} of {process_group.size}: {str(error).splitlines()[0][:160]}",
            hint="That process says why; once it is mended, the same command with --resume goes on.",
        ) from error
