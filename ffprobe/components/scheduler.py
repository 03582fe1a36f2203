"""Update schedulers: which layers learn together, and when."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ffprobe.components.base import Component

if TYPE_CHECKING:
    import torch


class UpdateScheduler(Component):
    """Decides which layers learn together, and when.

    Attributes:
        trains_every_layer: whether every layer learns at some step of a long run. If False, the scheduler leaves layers
            untrained on purpose; otherwise a run that would leave one untrained is refused.
    """

    kind = "scheduler"
    trains_every_layer: ClassVar[bool] = True

    def prepare(self, depth: int, epochs: int, steps_per_epoch: int, generator: torch.Generator) -> None:
        """Receive the depth of the network, the length of the run and a random generator; called once before the run.

        A scheduler with random groups draws what it needs here (a seed, or a table of groups), so that ``groups`` gives
        the same answer in any order of calls. A resumed run is prepared again from the same state of the generator.

        Args:
            depth: number of layers.
            epochs: number of epochs of the run.
            steps_per_epoch: number of optimizer steps in one epoch.
            generator: the run's random generator for schedulers, on the CPU, seeded from the run's seed; the only
                permitted source of randomness, and only inside this call.

        Raises:
            UsageError: the schedule does not fit; the message names the setting to change.
        """

    @abstractmethod
    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """The update groups of one step.

        Each group ``slice(a, b)`` has one graph: it starts from a detached input, and one loss on layer ``b - 1``
        updates the layers ``a`` to ``b - 1``. Groups may overlap. Layers in no group are idle in this step. The result
        must depend on the arguments, the settings and what ``prepare`` received only: steps are not always requested in
        order.

        Args:
            step: number of optimizer steps completed before this one, from 0, over the whole run.
            epoch: index of the epoch, from 0.
            depth: number of layers.

        Returns:
            Slices over layer indices, from 0, with 0 <= a < b <= depth.
        """
