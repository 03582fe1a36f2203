"""Keeps a few candidate labels after an early layer; only they continue."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field

import ffprobe

GAPS = tuple(12 - 0.25 * i for i in range(49))
"""Gaps to the best label, in log odds, within which a label continues, from cautious to bold; one is chosen."""


class Candidates(ffprobe.Evaluator):
    """Keeps a few candidate labels after one layer; only they continue to the last layers, whose goodness decides among
    them.

    The candidates are the labels within a gap of the best one, in log odds of being the prediction of a full label
    scan, estimated from the goodness so far (``ffprobe.EarlyExitModel``). An image with only one candidate is finished.
    The layer and the gap are chosen on the validation set: the cheapest pair whose loss of accuracy stays, with 95 %
    confidence, within ``loss``. With ``labels``, a fixed number of labels with the highest goodness continues instead.
    Before calibration, no label is dropped.
    """

    name = "candidates"
    source = "our answer to the evaluation cost that the Trifecta (arXiv:2311.18130) discusses in Sec. 3 and App. H"
    stepwise = True

    class Params(ffprobe.Params):
        """Which labels continue, or how much accuracy it may cost."""

        after: int | None = Field(
            None,
            ge=1,
            description="number of the layer, from 1, after which labels are dropped; empty: chosen on the "
            "validation set",
        )
        labels: int | None = Field(
            None,
            ge=1,
            description="number of labels that continue; empty: those within a gap that is chosen on the "
            "validation set",
        )
        loss: float = Field(0.1, ge=0, description="maximum loss of validation accuracy, in percentage points")
        last: int = Field(1, ge=1, description="number of last layers whose mean goodness decides, at least 1")

    def calibrate(self, calibration: ffprobe.Calibration) -> None:
        """Choose the parameters that the settings leave open."""
        ffprobe.select_cheapest(
            self, calibration, self._options, self.params.loss, chain=lambda option: option["after"]
        )

    def _options(self, calibration: ffprobe.Calibration) -> list[dict[str, Any]]:
        params, depth = self.params, calibration.depth
        layers = range(1, depth) if params.after is None else [min(params.after, depth)]
        layers = [after for after in layers if after - 1 in calibration.trained_layers]
        if params.labels is not None:
            kept = min(params.labels, calibration.classes)
            return [{"after": after, "labels": kept} for after in layers] or [{"after": depth, "labels": kept}]
        model = ffprobe.fit_early_exit(calibration, ffprobe.predicted_labels(self.scores(calibration.goodness)))
        fitted = {"weight": model.weight, "bias": model.bias}
        options = [{"after": after, "gap": gap, **fitted} for after in layers if after < depth for gap in GAPS]
        return options + [{"after": depth, "labels": calibration.classes}] * (not options or params.after is None)

    def layers(self, depth: int) -> list[int]:
        """The layers that decide."""
        return list(range(max(0, depth - self.params.last), depth))

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """Map ``[L, N, K]`` to ``[N, K]``, with no label dropped."""
        return goodness[self.layers(goodness.shape[0])].mean(dim=0)

    def read(self, scan: ffprobe.LabelScan) -> torch.Tensor:
        """``[N, K]``: minus infinity for dropped labels; log odds for a label that is the only candidate."""
        after = self.chosen.get("after") or self.params.after or 1
        alive, deciding = scan.everyone(), self.layers(scan.depth)
        total, alone, seen = torch.zeros(alive.shape), torch.full(alive.shape, -torch.inf), []
        for layer in range(scan.depth):
            goodness = scan.advance(alive)
            seen.append(goodness)
            if layer in deciding:
                total = total + goodness
            if layer + 1 == after and "gap" in self.chosen:
                known = ffprobe.EarlyExitModel(self.chosen["weight"], self.chosen["bias"]).log_odds(seen).float()
                alive = known.amax(dim=1, keepdim=True) - known <= self.chosen["gap"]
                single = alive.sum(dim=1) == 1
                alone[single] = known[single].masked_fill(~alive[single], -torch.inf)
                alive = alive & ~single[:, None]
            elif layer + 1 == after:
                labels = min(self.chosen.get("labels") or self.params.labels or scan.classes, scan.classes)
                likely = goodness.nan_to_num(nan=-torch.inf)  # topk takes NaN as the largest value
                alive = torch.zeros_like(alive).scatter(1, likely.topk(labels, dim=1).indices, True)
            if not bool(alive.any()):
                return alone
        total = (total / len(deciding)).masked_fill(~alive, -torch.inf)
        return torch.where(alive.any(dim=1, keepdim=True), total, alone)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Candidates]
