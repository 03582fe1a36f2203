"""Evaluation on all processes: each evaluates whole batches, so that every number is that of one process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ffprobe.components.process_group import ProcessGroup
from ffprobe.data.samples import Samples
from ffprobe.inference.evaluate import goodness_tensor
from ffprobe.network.network import LayeredNetwork


def shared_goodness(
    network: LayeredNetwork, images: Samples, batch: int, autocast: Callable[[], Any], group: ProcessGroup
) -> torch.Tensor:
    """``goodness_tensor`` in batches of the same images as on one process, float32 ``[L, N, K]``.

    Args:
        network: the whole network, the same in every process.
        images: N images.
        batch: images per forward pass.
        autocast: returns a context manager for the run's precision.
        group: the processes that share the batches.
    """
    total, batches = len(images), -(-len(images) // batch)
    rows = []
    for rank in range(group.size):
        each, more = divmod(batches, group.size)
        first = each * rank + min(rank, more)
        last = first + each + (rank < more)
        rows.append(slice(min(first * batch, total), min(last * batch, total)))
    own, longest = rows[group.rank], max(part.stop - part.start for part in rows)
    goodness = torch.zeros(longest, network.depth, network.classes)
    if own.start < own.stop:
        subset = images.subset(torch.arange(own.start, own.stop))
        goodness[: own.stop - own.start] = goodness_tensor(network, subset, batch, autocast).transpose(0, 1)
    gathered = group.all_gather_stacked(goodness)
    parts = [values[: part.stop - part.start] for values, part in zip(gathered, rows, strict=True)]
    return torch.cat(parts).transpose(0, 1).contiguous()
