"""The local loss of every row of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

import ffprobe


@torch.no_grad()
def row_losses(
    network: Any,
    layer: int,
    setup: ffprobe.LearnerSetup,
    state: Any,
    earlier: Sequence[Any],
    activation: torch.Tensor,
) -> torch.Tensor:
    """The loss of one layer for each image alone: ``[B]``, whose mean is the loss of the batch.

    Args:
        network: the ``ffprobe.LayeredNetwork``.
        layer: index of the layer, from 0.
        setup: of the learner, for the loss.
        state: of the step: labels, step, epoch and images.
        earlier: goodness of the layers before that had a loss, as in ``LossContext.earlier``.
        activation: of the layer: ``[2B, *shape]``, positives first, in form ``pair``; ``[B, *shape]`` in form
            ``class``.
    """
    rows = len(state.labels)
    goodness = network.layer(layer).goodness(activation)

    def by_image(x: torch.Tensor) -> torch.Tensor:  # [2B, ...] to [B, 2, ...], [B, ...] to [B, 1, ...]
        return x.unflatten(0, (-1, rows)).transpose(0, 1)

    parts = {"activation": by_image(activation), "goodness": by_image(goodness), "labels": state.labels[:, None]}
    if state.images is not None:
        parts["images"] = by_image(state.images)
    before = [[by_image(v) for v in (part if isinstance(part, tuple) else (part,))] for part in earlier]

    def loss(given: dict[str, torch.Tensor], before: list[list[torch.Tensor]]) -> torch.Tensor:
        seen = [tuple(values) if network.form == "pair" else values[0] for values in before]
        return network.local_loss(
            layer, loss=setup.loss, step=state.step, epoch=state.epoch, earlier=seen, **given
        ).loss

    return torch.func.vmap(loss)(parts, before)
