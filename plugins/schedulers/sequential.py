"""One layer after another, each to its end."""

from __future__ import annotations

from pydantic import Field

import ffprobe


class Sequential(ffprobe.UpdateScheduler):
    """Layer 0 learns for its epochs, then layer 1 on what layer 0 passes on, and so on to the last.

    Layers that are done run in training mode without learning, so a batch normalization in them goes on counting.
    Without ``epochs_per_layer`` the run's epochs are divided evenly, and the last layers get what is left over.
    """

    name = "sequential"
    source = (
        "mohammadpz/pytorch_forward_forward; Mono-Forward, arXiv:2501.09238; Belilovsky et al. 2019, arXiv:1812.11446"
    )

    class Params(ffprobe.Params):
        """How long a layer learns."""

        epochs_per_layer: int = Field(0, ge=0, description="epochs of each layer; 0: the run's, divided evenly")

    def prepare(self, depth: int, epochs: int, steps_per_epoch: int) -> None:
        """Divide the run's epochs."""
        every = self.params.epochs_per_layer
        if epochs < depth * max(every, 1):
            raise ffprobe.UsageError(
                f"{depth} layers one after another need {depth * max(every, 1)} epochs or more, not {epochs}.",
                hint="Give --epochs, or lower --set scheduler.epochs_per_layer.",
            )
        # ends[i]: the epoch at which layer i is done
        self._ends = [every * (i + 1) if every else epochs * (i + 1) // depth for i in range(depth)]

    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """The one layer whose turn it is."""
        layer = min(sum(epoch >= end for end in self._ends), depth - 1)
        return [slice(layer, layer + 1)]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Sequential]
