"""Which layers learn together, and when."""

from __future__ import annotations

from abc import abstractmethod

from ffprobe.components.base import Component


class UpdateScheduler(Component):
    """Which layers learn together, and when."""

    kind = "scheduler"

    def prepare(self, depth: int, epochs: int, steps_per_epoch: int) -> None:
        """Told once, before the run, how deep the network and how long the run is.

        Raises:
            UsageError: the schedule does not fit; the message says which setting to change.
        """

    @abstractmethod
    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """The groups of this step.

        Each group ``slice(a, b)`` shares one graph: it starts from detached input, and one loss on layer ``b - 1``
        updates layers ``a`` to ``b - 1``. Groups may overlap; layers in no group are idle.

        Args:
            step: optimizer steps done before this one, from 0, over the whole run.
            epoch: from 0.
            depth: the number of layers.
        """
