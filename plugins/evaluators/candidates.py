"""A few labels are kept after an early layer; only they go on."""

from __future__ import annotations

import torch
from pydantic import Field

import ffprobe

KEPT = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 70, 100)
"""How many labels may be kept; fewer than there are classes."""


class Candidates(ffprobe.Evaluator):
    """All labels go as far as one layer, the best of them to the end, where the last layers decide among them.

    After which layer, and how many labels, is chosen on the validation set: the cheapest pair that costs no more than
    the allowed accuracy. Before calibration nothing is left out.
    """

    name = "candidates"
    source = "an answer to the cost that Trifecta (arXiv:2311.18130) names in Sec. 3 and App. H"
    stepwise = True

    class Params(ffprobe.Params):
        """What is kept, or how much accuracy it may cost."""

        after: int | None = Field(None, ge=1, description="layer, from 1, that decides which labels go on; or chosen")
        labels: int | None = Field(None, ge=1, description="how many labels go on; or chosen")
        loss: float = Field(0.1, ge=0, description="allowed loss of validation accuracy, percentage points")
        last: int = Field(1, ge=1, description="how many of the last layers decide, by their mean goodness")

    def calibrate(self, calibration: ffprobe.Calibration) -> None:
        """Choose what the settings leave open."""
        ffprobe.cheapest_within(self, calibration, self._options, self.params.loss)

    def _options(self, calibration: ffprobe.Calibration) -> list[dict[str, int]]:
        said, depth, classes = self.params, calibration.depth, calibration.classes
        layers = range(1, depth) if said.after is None else [min(said.after, depth)]
        counts = [k for k in KEPT if k < classes] if said.labels is None else [min(said.labels, classes)]
        taught = calibration.taught
        options = [{"after": after, "labels": k} for after in layers for k in counts if after - 1 in taught]
        return options + [{"after": depth, "labels": classes}] * (not options or said.labels is said.after is None)

    def layers(self, depth: int) -> list[int]:
        """The layers that decide."""
        return list(range(max(0, depth - self.params.last), depth))

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """``[L, N, K]`` to ``[N, K]``, no label left out."""
        return goodness[self.layers(goodness.shape[0])].mean(dim=0)

    def read(self, sweep: ffprobe.Sweep) -> torch.Tensor:
        """``[N, K]``, minus infinity for labels that were not kept."""
        after = self.chosen.get("after") or self.params.after or 1
        labels = min(self.chosen.get("labels") or self.params.labels or sweep.classes, sweep.classes)
        alive, deciding = sweep.everyone(), self.layers(sweep.depth)
        total = torch.zeros(alive.shape)
        for layer in range(sweep.depth):
            goodness = sweep.advance(alive)
            if layer in deciding:
                total = total + goodness
            if layer + 1 == after:
                best = goodness.topk(labels, dim=1).indices
                alive = torch.zeros_like(alive).scatter(1, best, True)
        return (total / len(deciding)).masked_fill(~alive, -torch.inf)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Candidates]
