"""What several processes that share batches can train, and what they cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ffprobe.components.base import Component
from ffprobe.components.loss import Loss
from ffprobe.components.process_group import Team
from ffprobe.distributed.batch_statistics import share_statistics
from ffprobe.errors import UsageError
from ffprobe.network.network import Stack

ALONE = "Train in one process: ffprobe run without torchrun."


def refuse_what_needs_the_whole_batch(
    components: Mapping[str, Any], stack: Stack, team: Team, batch: int, synchronized: bool
) -> None:
    """Say what would not give the numbers of one process with the whole batch.

    Args:
        components: the run's, by slot.
        stack: the network as it was built.
        team: of two or more.
        batch: images a step.
        synchronized: whether the statistics of batches are asked to be those of whole batches.

    Raises:
        UsageError: rule, a loss, a normalizer, a module or the size of the batch does not allow it.
    """
    rule = components["rule"]
    if not rule.shares_batches:
        raise UsageError(f"The rule {rule.name!r} cannot share a batch among {team.size} processes.", do=ALONE)
    own = [stack.layer(i).spec.loss for i in range(stack.depth)]
    losses: list[Loss] = [components["loss"], *(loss for loss in own if loss is not None)]
    for loss in losses:
        if not loss.averages or type(loss).state_dict is not Component.state_dict:
            why = "keeps a state" if loss.averages else "is no mean over images each by itself"
            raise UsageError(f"The loss {loss.name!r} {why}, so {team.size} processes cannot share a batch.", do=ALONE)
    if batch < team.size:
        raise UsageError(
            f"{team.size} processes cannot share a batch of {batch} image{'s' * (batch > 1)}.",
            do="Use a larger --batch-size, or fewer processes.",
        )
    dropped = any(stack.layer(i).spec.dropout for i in range(stack.depth))
    if dropped or any(isinstance(module, nn.modules.dropout._DropoutNd) for module in stack.modules()):
        raise UsageError(f"With dropout {team.size} processes would not draw the units that one draws.", do=ALONE)
    if synchronized:
        _refuse_other_statistics(components, stack)


def _refuse_other_statistics(components: Mapping[str, Any], stack: Stack) -> None:
    for index in range(stack.depth):
        layer = stack.layer(index)
        normalizer = layer.spec.normalizer or components["normalizer"]
        known = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in layer.normalizer.modules())
        if normalizer.keeps_statistics and not known:
            raise UsageError(
                f"The normalizer {normalizer.name!r} keeps statistics of each batch in a way of its own, which cannot "
                "be those of a batch that several processes share.",
                do="Use --plugin batchnorm, or --set training.sync_statistics=false: each process by its own part.",
            )


def share_batch_statistics(stack: Stack, team: Team) -> None:
    """Batch normalization, wherever it stands in the network, sees whole batches from now on."""
    if team.size > 1:
        share_statistics(stack, team)


def average_statistics(stack: Stack, team: Team) -> None:
    """Give every process the mean of all processes' statistics; for those that each kept by its own part."""
    with torch.no_grad():
        team.average([buffer for buffer in stack.buffers() if buffer.is_floating_point()])
