"""The process group of the processes that ``torchrun`` started."""

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

TIMEOUT = timedelta(hours=6)
"""How long a process waits for one that still runs (the main process may be writing); one that ended is noticed at
once."""

_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@contextmanager
def process_group(device: str) -> Iterator[ProcessGroup]:
    """The process group of this process: a group of one, unless ``torchrun`` started several processes.

    Args:
        device: the run's setting (``auto``, ``cpu``, ``cuda`` ...); it decides the backend.

    Raises:
        UsageError: torchrun's environment is incomplete, or this machine has fewer GPUs than processes.
        FfprobeError: the process group cannot be initialized.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or distributed.is_initialized():
        yield ProcessGroup()
        return
    missing = [name for name in _VARIABLES if name not in os.environ]
    if missing:
        raise UsageError(
            f"WORLD_SIZE is larger than 1, but {', '.join(missing)} is not set.",
            hint="Start the processes with torchrun --nproc-per-node 2 -m ffprobe run ..., or unset WORLD_SIZE.",
        )
    cuda = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    if cuda:
        _select_gpu(device)
    _import_what_keeps_the_group()
    try:
        # small values are exchanged between CPUs, so that no process has to wait for a GPU
        distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise FfprobeError(
            f"Could not initialize the process group: {str(error).splitlines()[0]}",
            hint="Check MASTER_ADDR and MASTER_PORT, and that all processes were started.",
        ) from error
    try:
        yield TorchProcessGroup("nccl" if cuda else "gloo")
    finally:
        distributed.destroy_process_group()


def _import_what_keeps_the_group() -> None:
    """Import the module of torch whose default arguments are the process group of the moment of its import.

    An optimizer imports it by way of ``torch._dynamo``. If that is after the group was made, the group lives until the
    interpreter ends, and with it gloo's threads; one that then releases the tensor of the last collective operation
    aborts the process (``terminate called without an active exception``).
    """
    import torch.distributed.nn.functional  # noqa: F401


def _select_gpu(device: str) -> None:
    local_rank, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if ":" in device:
        raise UsageError(
            f"Several processes cannot share the device {device}.",
            hint="Use --device cuda: each process uses the GPU of its local rank.",
        )
    if local_rank >= gpus:
        raise UsageError(
            f"Local rank {local_rank} has no GPU; this machine has {gpus}.",
            hint=f"Use torchrun --nproc-per-node {max(gpus, 1)}, or --device cpu.",
        )
    torch.cuda.set_device(local_rank)


class TorchProcessGroup(ProcessGroup):
    """A group of two or more processes, with the collective operations of ``torch.distributed``.

    Args:
        backend: backend for tensors on the run's device, ``gloo`` or ``nccl``.
        group: a part of the processes; all of them by default.
    """

    def __init__(self, backend: str, group: distributed.ProcessGroup | None = None) -> None:
        self.rank, self.size, self.backend = distributed.get_rank(group), distributed.get_world_size(group), backend
        self._group = group
        self._total = 0

    def shard(self, total: int) -> slice:
        """Rows of this process; the first ``total % size`` processes get one row more than the others."""
        ends = self._ends(total)
        return slice(ends[self.rank], ends[self.rank + 1])

    def begin_batch(self, total: int) -> slice:
        """Begin a batch, which must have at least one row for every process."""
        if total < self.size:
            raise UsageError(
                f"A batch of {total} cannot be shared by {self.size} processes.",
                hint="Use a larger --batch-size, or fewer processes.",
            )
        self._total = total
        return self.shard(total)

    def local_shard(self, batch: torch.Tensor) -> torch.Tensor:
        return batch[self.shard(self._total)]

    def all_gather_batch(self, shard: torch.Tensor) -> torch.Tensor:
        return self.all_gather(shard, self._total)

    def backward(
        self, loss: torch.Tensor, parameters: Sequence[nn.Parameter], means: Sequence[torch.Tensor] = ()
    ) -> list[torch.Tensor]:
        """Weight each process's loss by its share of the rows; one all-reduce for all gradients and means."""
        rows = self.shard(self._total)
        share = (rows.stop - rows.start) / self._total
        (loss * share).backward()
        gradients = [p.grad for p in parameters if p.grad is not None]
        like = gradients[0] if gradients else loss
        weighted = [mean.detach().to(like.dtype).reshape(1) * share for mean in means]
        flat = self.all_reduce_sum(torch.cat([*(g.reshape(-1) for g in gradients), *weighted]))
        *sums, reduced = flat.split([*(g.numel() for g in gradients), len(weighted)])
        for gradient, total in zip(gradients, sums, strict=True):
            gradient.copy_(total.view(gradient.shape))
        return [mean.to(local.dtype) for mean, local in zip(reduced.unbind(), means, strict=True)]

    def all_gather(self, shard: torch.Tensor, total: int) -> torch.Tensor:
        """Shards are padded to one length for the all-gather."""
        ends = self._ends(total)
        rows = [b - a for a, b in pairwise(ends)]
        padded = shard.new_zeros((max(rows), *shard.shape[1:]))
        padded[: len(shard)] = shard
        gathered = self.all_gather_stacked(padded)
        return torch.cat([local_shard[:count] for local_shard, count in zip(gathered, rows, strict=True)])

    def all_gather_stacked(self, value: torch.Tensor) -> torch.Tensor:
        """One all-gather; every process gets all values."""
        value = value.contiguous()
        gathered = [torch.empty_like(value) for _ in range(self.size)]
        _collective(self, lambda: distributed.all_gather(gathered, value, group=self._group))
        return torch.stack(gathered)

    def all_reduce_sum(self, value: torch.Tensor) -> torch.Tensor:
        """One all-reduce, in place."""
        _collective(self, lambda: distributed.all_reduce(value, group=self._group))
        return value

    def all_reduce_mean(self, values: Sequence[torch.Tensor]) -> None:
        """One all-reduce in float64, in which the sum of equal float32 numbers is exact."""
        if not values:
            return
        flat = self.all_reduce_sum(torch.cat([value.detach().double().reshape(-1) for value in values])) / self.size
        for value, mean in zip(values, flat.split([v.numel() for v in values]), strict=True):
            value.copy_(mean.view(value.shape))

    def all_reduce_max(self, number: int) -> int:
        """One all-reduce between CPUs: it waits for no GPU."""
        reduced = torch.tensor([number])
        _collective(self, lambda: distributed.all_reduce(reduced, distributed.ReduceOp.MAX, group=self._group))
        return int(reduced)

    def broadcast(self, value: Any) -> Any:
        """From the main process to the others, between CPUs."""
        values = [value]
        main = distributed.get_global_rank(self._group, 0) if self._group else 0
        cpu = torch.device("cpu")
        _collective(self, lambda: distributed.broadcast_object_list(values, main, group=self._group, device=cpu))
        return values[0]

    def barrier(self) -> None:
        """Wait for all processes, between CPUs."""
        self.all_reduce_max(0)

    def _ends(self, total: int) -> list[int]:
        each, more = divmod(total, self.size)
        return [each * rank + min(rank, more) for rank in range(self.size + 1)]


def _collective(group: ProcessGroup, operation: Callable[[], Any]) -> None:
    try:
        operation()
    except RuntimeError as error:
        raise FfprobeError(
            "Another process of this run has ended, so this process stops.",
            where=f"process {group.rank} of {group.size}: {str(error).splitlines()[0][:160]}",
            hint="The other process prints the reason. Fix it, then repeat the command with --resume.",
        ) from error
