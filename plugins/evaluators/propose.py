"""One pass proposes the likely labels; goodness decides among them."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field

import ffprobe

GAPS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, float("inf"))
"""How far, in log probability, a label may lie below the head's first choice and still be tried; one is chosen."""


class Propose(ffprobe.Evaluator):
    """A linear head on neutral-label features proposes labels, and the last layers' goodness decides among them.

    Proposed are the labels that lie within a gap of log probability below the head's first choice, a few at most. An
    image with one proposal is done after one pass, whatever the number of classes. The gap is the cheapest that keeps
    the loss of validation accuracy against a full sweep within what is allowed. Before calibration, and without
    recorded activations (while a run trains), all labels are tried.
    """

    name = "propose"
    source = "an answer to the cost that Trifecta (arXiv:2311.18130) names in Sec. 3 and App. H"
    needs = frozenset({"activations"})
    stepwise = True

    class Params(ffprobe.Params):
        """How many labels, how much accuracy it may cost, and how the head is fitted."""

        labels: int = Field(3, ge=1, description="labels proposed at most")
        gap: float | None = Field(None, ge=0, description="in log probability, below the first choice; or chosen")
        loss: float = Field(0.1, ge=0, description="allowed loss of validation accuracy, percentage points")
        last: int = Field(1, ge=1, description="how many of the last layers decide, by their mean goodness")
        l2: float = Field(10.0, gt=0, description="penalty on the head's summed loss, l2 / 2 * ||W||^2")

    def calibrate(self, calibration: ffprobe.Calibration) -> None:
        """Fit the head, then choose the gap."""
        if calibration.fit_features is not None:
            ffprobe.select_cheapest(self, calibration, self._options, self.params.loss)

    def _options(self, calibration: ffprobe.Calibration) -> list[dict[str, Any]]:
        said = self.params
        head = ffprobe.fit_feature_head(calibration, range(calibration.depth), said.l2)
        common = {"weight": head.weight, "bias": head.bias}
        if said.gap is not None:
            return [{**common, "gap": said.gap, "labels": said.labels}]
        counts = range(min(2, said.labels), said.labels + 1)
        return [{**common, "gap": gap, "labels": count} for gap in GAPS for count in counts]

    def layers(self, depth: int) -> list[int]:
        """The layers that decide among the proposals."""
        return list(range(max(0, depth - self.params.last), depth))

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """``[L, N, K]`` to ``[N, K]``, all labels proposed."""
        return goodness[self.layers(goodness.shape[0])].mean(dim=0)

    def read(self, sweep: ffprobe.LabelScan) -> torch.Tensor:
        """``[N, K]``: mean goodness of the proposals; the head's log probability where there is one proposal alone."""
        if not self.chosen:
            return self.scores(sweep.full(self.layers(sweep.depth)))
        features = torch.cat(list(sweep.features(range(sweep.depth)).values()), dim=1)
        likely = ffprobe.Head(self.chosen["weight"], self.chosen["bias"]).log_probabilities(features)
        best = likely.topk(min(self.chosen["labels"], sweep.classes), dim=1).indices
        alive = torch.zeros(likely.shape, dtype=torch.bool).scatter(1, best, True)
        alive &= likely >= likely.amax(dim=1, keepdim=True) - self.chosen["gap"]
        alone = alive.sum(dim=1) == 1
        alive[alone] = False
        if not bool(alive.any()):
            return likely
        total, deciding = torch.zeros(likely.shape), self.layers(sweep.depth)
        for layer in range(sweep.depth):
            goodness = sweep.advance(alive)
            if layer in deciding:
                total = total + goodness / len(deciding)
        return torch.where(alone[:, None], likely, total.masked_fill(~alive, -torch.inf))


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Propose]
