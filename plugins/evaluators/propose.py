"""One forward pass proposes likely labels; goodness decides among them."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field

import ffprobe

GAPS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, float("inf"))
"""Gaps to the head's first choice, in log probability, within which a label is proposed; one is chosen."""


class Propose(ffprobe.Evaluator):
    """Proposes a few labels with a linear head on neutral-label features; the last layers' goodness decides among them.

    It proposes the labels within a gap in log probability of the head's first choice, up to ``labels``. An image with
    one proposal is finished after one forward pass, whatever the number of classes. The gap is the cheapest whose loss
    of validation accuracy against a full label scan stays within ``loss``. Before calibration, and without recorded
    activations (during training), all labels are tried.
    """

    name = "propose"
    source = "our answer to the evaluation cost that the Trifecta (arXiv:2311.18130) discusses in Sec. 3 and App. H"
    needs = frozenset({"activations"})
    stepwise = True

    class Params(ffprobe.Params):
        """The number of labels, the allowed loss of accuracy, and the regularization of the head."""

        labels: int = Field(3, ge=1, description="maximum number of labels to propose, at least 1")
        gap: float | None = Field(
            None,
            ge=0,
            description="gap to the head's first choice within which a label is proposed, in log probability; "
            "empty: chosen on the validation set",
        )
        loss: float = Field(0.1, ge=0, description="maximum loss of validation accuracy, in percentage points")
        last: int = Field(1, ge=1, description="number of last layers whose mean goodness decides, at least 1")
        l2: float = Field(10.0, gt=0, description="L2 penalty l2 / 2 * ||W||^2 on the head's summed loss, above 0")

    def calibrate(self, calibration: ffprobe.Calibration) -> None:
        """Fit the head, then choose the gap."""
        if calibration.fit_features is not None:
            ffprobe.select_cheapest(self, calibration, self._options, self.params.loss)

    def _options(self, calibration: ffprobe.Calibration) -> list[dict[str, Any]]:
        params = self.params
        head = ffprobe.fit_feature_head(calibration, range(calibration.depth), params.l2)
        common = {"weight": head.weight, "bias": head.bias}
        if params.gap is not None:
            return [{**common, "gap": params.gap, "labels": params.labels}]
        counts = range(min(2, params.labels), params.labels + 1)
        return [{**common, "gap": gap, "labels": count} for gap in GAPS for count in counts]

    def layers(self, depth: int) -> list[int]:
        """The layers that decide among the proposals."""
        return list(range(max(0, depth - self.params.last), depth))

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """Map ``[L, N, K]`` to ``[N, K]``, with all labels proposed."""
        return goodness[self.layers(goodness.shape[0])].mean(dim=0)

    def read(self, scan: ffprobe.LabelScan) -> torch.Tensor:
        """``[N, K]``: mean goodness of the proposals; the head's log probability if there is only one."""
        if not self.chosen:
            return self.scores(scan.full(self.layers(scan.depth)))
        features = torch.cat(list(scan.features(range(scan.depth)).values()), dim=1)
        likely = ffprobe.Head(self.chosen["weight"], self.chosen["bias"]).log_probabilities(features)
        best = likely.topk(min(self.chosen["labels"], scan.classes), dim=1).indices
        alive = torch.zeros(likely.shape, dtype=torch.bool).scatter(1, best, True)
        alive &= likely >= likely.amax(dim=1, keepdim=True) - self.chosen["gap"]
        alone = alive.sum(dim=1) == 1
        alive[alone] = False
        if not bool(alive.any()):
            return likely
        total, deciding = torch.zeros(likely.shape), self.layers(scan.depth)
        for layer in range(scan.depth):
            goodness = scan.advance(alive)
            if layer in deciding:
                total = total + goodness / len(deciding)
        return torch.where(alone[:, None], likely, total.masked_fill(~alive, -torch.inf))


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Propose]
