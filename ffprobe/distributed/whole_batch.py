"""Negatives for a batch that several processes share."""

from __future__ import annotations

from typing import Any

import torch

from ffprobe.components.negatives import Negatives
from ffprobe.components.process_group import ProcessGroup


class WholeBatchNegatives(Negatives):
    """Negatives for the whole batch in every process, so that all draw the same; each process keeps its shard.

    Args:
        chosen: the run's negatives.
        process_group: the processes that share the batch.
    """

    name = "whole-batch"

    def __init__(self, chosen: Negatives, process_group: ProcessGroup) -> None:
        super().__init__(chosen.params)
        self.chosen, self.process_group = chosen, process_group
        self.gives = chosen.gives  # type: ignore[misc]
        self.needs_goodness = chosen.needs_goodness  # type: ignore[misc]

    def __call__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        classes: int,
        generator: torch.Generator,
        goodness: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The negatives of this process's shard, labels ``[B]`` or images ``[B, C, H, W]``."""
        if self.process_group.size == 1:
            return self.chosen(images, labels, classes, generator, goodness)
        gather = self.process_group.all_gather_batch
        images, labels = gather(images), gather(labels)
        if goodness is not None:  # [B, K], or [L, B, K] of every layer
            goodness = gather(goodness.movedim(-2, 0)).movedim(0, -2)
        negatives = self.chosen(images, labels, classes, generator, goodness)
        return self.process_group.local_shard(negatives)

    def state_dict(self) -> dict[str, Any]:
        return self.chosen.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.chosen.load_state_dict(state)
