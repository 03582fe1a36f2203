"""Which components can train in several processes that share a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ffprobe.components.base import Component
from ffprobe.components.loss import Loss
from ffprobe.components.process_group import ProcessGroup
from ffprobe.distributed.batch_statistics import share_statistics
from ffprobe.errors import UsageError
from ffprobe.network.network import LayeredNetwork

ONE_PROCESS = "Train in one process: ffprobe run without torchrun."


def refuse_what_needs_the_whole_batch(
    components: Mapping[str, Any], network: LayeredNetwork, process_group: ProcessGroup, batch: int, synchronized: bool
) -> None:
    """Refuse everything that would not give the results of one process with the whole batch.

    Args:
        components: the run's components, by slot.
        network: the network as it was built.
        process_group: a group of two or more processes.
        batch: images per step.
        synchronized: whether batch statistics must be those of the whole batch.

    Raises:
        UsageError: the rule, a loss, a normalizer, a module or the batch size does not allow several processes.
    """
    rule = components["rule"]
    if not rule.shares_batches:
        raise UsageError(
            f"The rule {rule.name!r} cannot share a batch among {process_group.size} processes.", hint=ONE_PROCESS
        )
    of_layers = [network.layer(i).spec.loss for i in range(network.depth)]
    losses: list[Loss] = [components["loss"], *(loss for loss in of_layers if loss is not None)]
    for loss in losses:
        if not loss.averages or type(loss).state_dict is not Component.state_dict:
            why = "keeps a state" if loss.averages else "is not a mean over independent images"
            raise UsageError(
                f"The loss {loss.name!r} {why}, so {process_group.size} processes cannot share a batch.",
                hint=ONE_PROCESS,
            )
    if batch < process_group.size:
        raise UsageError(
            f"{process_group.size} processes cannot share a batch of {batch} image{'s' * (batch > 1)}.",
            hint="Use a larger --batch-size, or fewer processes.",
        )
    dropped = any(network.layer(i).spec.dropout for i in range(network.depth))
    if dropped or any(isinstance(module, nn.modules.dropout._DropoutNd) for module in network.modules()):
        raise UsageError(
            f"With dropout, {process_group.size} processes would not drop the same units as one process.",
            hint=ONE_PROCESS,
        )
    if synchronized:
        _refuse_other_statistics(components, network)


def _refuse_other_statistics(components: Mapping[str, Any], network: LayeredNetwork) -> None:
    for index in range(network.depth):
        layer = network.layer(index)
        normalizer = layer.spec.normalizer or components["normalizer"]
        known = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in layer.normalizer.modules())
        if normalizer.keeps_statistics and not known:
            raise UsageError(
                f"The normalizer {normalizer.name!r} keeps statistics of each batch in its own way, which cannot be "
                "synchronized between processes that share a batch.",
                hint="Use --plugin batchnorm, or --set training.sync_batch_norm=false: each process normalizes its "
                "shard by itself.",
            )


def share_batch_statistics(network: LayeredNetwork, process_group: ProcessGroup) -> None:
    """Synchronize every batch normalization of the network: its statistics are those of whole batches from now on."""
    if process_group.size > 1:
        share_statistics(network, process_group)


def average_statistics(network: LayeredNetwork, process_group: ProcessGroup) -> None:
    """Replace batch statistics by their mean over all processes, for statistics that each process kept of its shard."""
    with torch.no_grad():
        process_group.all_reduce_mean([buffer for buffer in network.buffers() if buffer.is_floating_point()])
