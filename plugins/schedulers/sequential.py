"""Trains one layer after another, each to its end."""

from __future__ import annotations

import torch
from pydantic import Field

import ffprobe


class Sequential(ffprobe.UpdateScheduler):
    """Trains one layer after another: layer 1 for its epochs, then layer 2 on the output of layer 1, and so on to the
    last layer.

    Finished layers run in training mode without learning, so a batch normalization in them continues to update its
    statistics. Without ``epochs_per_layer``, the run's epochs are divided evenly, and the last layers get the
    remainder.
    """

    name = "sequential"
    source = (
        "mohammadpz/pytorch_forward_forward; Mono-Forward, arXiv:2501.09238; Belilovsky et al. 2019, arXiv:1812.11446"
    )

    class Params(ffprobe.Params):
        """How long each layer learns."""

        epochs_per_layer: int = Field(
            0, ge=0, description="number of epochs for each layer; 0 divides the run's epochs evenly"
        )

    def prepare(self, depth: int, epochs: int, steps_per_epoch: int, generator: torch.Generator) -> None:
        """Divide the run's epochs among the layers."""
        every = self.params.epochs_per_layer
        if epochs < depth * max(every, 1):
            raise ffprobe.UsageError(
                f"{depth} layers in sequence need {depth * max(every, 1)} epochs or more; the run has {epochs}.",
                hint="Use more --epochs, "
                + (
                    "or a lower --set scheduler.epochs_per_layer."
                    if every > 1
                    else "or --plugin greedy: all layers at once."
                ),
            )
        # ends[i]: the first epoch after the training of layer index i
        self._ends = [every * (i + 1) if every else epochs * (i + 1) // depth for i in range(depth)]

    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """The one layer that learns in this epoch."""
        layer = min(sum(epoch >= end for end in self._ends), depth - 1)
        return [slice(layer, layer + 1)]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Sequential]
