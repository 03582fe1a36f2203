"""What several processes that share batches can train, and what they cannot."""

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

ALONE = "Train in one process: ffprobe run without torchrun."


def refuse_what_needs_the_whole_batch(
    components: Mapping[str, Any], network: LayeredNetwork, process_group: ProcessGroup, batch: int, synchronized: bool
) -> None:
    """Say what would not give the numbers of one process with the whole batch.

    Args:
        components: the run's, by slot.
        network: the network as it was built.
        process_group: of two or more.
        batch: images a step.
        synchronized: whether the statistics of batches are asked to be those of whole batches.

    Raises:
        UsageError: rule, a loss, a normalizer, a module or the size of the batch does not allow it.
    """
    rule = components["rule"]
    if not rule.shares_batches:
        raise UsageError(
            f"The rule {rule.name!r} cannot share a batch among {process_group.size} processes.", hint=ALONE
        )
    own = [network.layer(i).spec.loss for i in range(network.depth)]
    losses: list[Loss] = [components["loss"], *(loss for loss in own if loss is not None)]
    for loss in losses:
        if not loss.averages or type(loss).state_dict is not Component.state_dict:
            why = "keeps a state" if loss.averages else "is no mean over images each by itself"
            raise UsageError(
                f"The loss {loss.name!r} {why}, so {process_group.size} processes cannot share a batch.", hint=ALONE
            )
    if batch < process_group.size:
        raise UsageError(
            f"{process_group.size} processes cannot share a batch of {batch} image{'s' * (batch > 1)}.",
            hint="Use a larger --batch-size, or fewer processes.",
        )
    dropped = any(network.layer(i).spec.dropout for i in range(network.depth))
    if dropped or any(isinstance(module, nn.modules.dropout._DropoutNd) for module in network.modules()):
        raise UsageError(
            f"With dropout {process_group.size} processes would not draw the units that one draws.", hint=ALONE
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
                f"The normalizer {normalizer.name!r} keeps statistics of each batch in a way of its own, which cannot "
                "be those of a batch that several processes share.",
                hint="Use --plugin batchnorm, or --set training.sync_batch_norm=false: each process by its own part.",
            )


def share_batch_statistics(network: LayeredNetwork, process_group: ProcessGroup) -> None:
    """Batch normalization, wherever it stands in the network, sees whole batches from now on."""
    if process_group.size > 1:
        share_statistics(network, process_group)


def average_statistics(network: LayeredNetwork, process_group: ProcessGroup) -> None:
    """Give every process the mean of all processes' statistics; for those that each kept by its own part."""
    with torch.no_grad():
        process_group.all_reduce_mean([buffer for buffer in network.buffers() if buffer.is_floating_point()])
