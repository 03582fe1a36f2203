"""Local modules of given layers; every module learns at every step."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

import ffprobe


class LocalModules(ffprobe.UpdateScheduler):
    """Trains groups of layers, all at every step, that end with the layers of ``ends``; the last one ends with the
    network.

    Without ``ends``, every layer is a module of its own but the last ``last`` layers, which are one module: with
    auxiliary networks of d blocks, AugLocal trains the last d + 1 layers together.
    """

    name = "local-modules"
    source = "AugLocal, Ma et al. 2024, arXiv:2402.17318; InfoPro, arXiv:2101.10832"

    class Params(ffprobe.Params):
        """The borders of the modules."""

        ends: tuple[Annotated[int, Field(ge=1)], ...] = Field(
            (), description="numbers of the layers that end a module, from 1, rising; the last layer always does"
        )
        last: int = Field(1, ge=1, description="layers of the last module, where ends is empty")

    def prepare(self, depth: int, epochs: int, steps_per_epoch: int, generator: torch.Generator) -> None:
        """Refuse ends that do not rise or are not layers of the network."""
        ends = self.params.ends
        if list(ends) != sorted(set(ends)) or any(end > depth for end in ends):
            raise ffprobe.UsageError(
                f"The modules end with layers {list(ends)}, which must rise and be at most {depth}.",
                hint="Set scheduler.ends to layers of this network, or leave it empty.",
            )

    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """One group for each module."""
        ends = [end for end in self.params.ends or range(1, depth - self.params.last + 1) if end < depth]
        return [slice(a, b) for a, b in zip([0, *ends], [*ends, depth], strict=True)]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LocalModules]
