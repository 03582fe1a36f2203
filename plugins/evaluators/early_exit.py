"""An image leaves the network as soon as one label is clearly ahead of the others."""

from __future__ import annotations

import math
from typing import Any

import torch
from pydantic import Field

import ffprobe

GAPS = (40.0, 30.0, 25.0, 20.0, 17.0, 15.0, 13.0, 12.0, 11.0, 10.0, 9.5, *(9 - 0.25 * i for i in range(37)))
"""Leads of the best label, in log odds, at which an image leaves, from cautious to bold; one is chosen."""


class EarlyExit(ffprobe.Evaluator):
    """Stops after the first layer at which the best label of an image leads by more than a gap in log odds.

    With ``prune``, labels further than the gap below the best one are also dropped one by one, and the image is
    finished when one label is left. The log odds of being the prediction of a full label scan are estimated from the
    goodness of all layers so far (``ffprobe.EarlyExitModel``), so one gap serves every layer. Model and gap are fitted
    on validation images: the gap is the smallest whose loss of accuracy stays, with 95 % confidence, within ``loss``.
    Before calibration, no image leaves early.
    """

    name = "early-exit"
    source = (
        "LightFF (arXiv:2404.05241), with log odds from all layers so far instead of each layer's own threshold; "
        "pruning is our addition"
    )
    stepwise = True

    class Params(ffprobe.Params):
        """How much accuracy it may cost, and whether single labels are dropped."""

        prune: bool = Field(False, description="also drop single labels of images that continue")
        loss: float = Field(0.1, ge=0, description="maximum loss of validation accuracy, in percentage points")
        last: int = Field(1, ge=1, description="number of last layers whose mean goodness decides, at least 1")

    def calibrate(self, calibration: ffprobe.Calibration) -> None:
        """Fit the early-exit model and choose the gap."""
        ffprobe.select_cheapest(self, calibration, self._options, self.params.loss, chain=lambda option: "gaps")

    def _options(self, calibration: ffprobe.Calibration) -> list[dict[str, Any]]:
        model = ffprobe.fit_early_exit(calibration, ffprobe.predicted_labels(self.scores(calibration.goodness)))
        return [{"gap": gap, "weight": model.weight, "bias": model.bias} for gap in (math.inf, *GAPS)]

    def layers(self, depth: int) -> list[int]:
        """The layers that decide on images that do not leave early."""
        return list(range(max(0, depth - self.params.last), depth))

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """Map ``[L, N, K]`` to ``[N, K]``, with no image leaving early."""
        return goodness[self.layers(goodness.shape[0])].mean(dim=0)

    def read(self, scan: ffprobe.LabelScan) -> torch.Tensor:
        """``[N, K]``: log odds of images that left early, else the last layers' goodness; -inf for dropped labels."""
        alive, deciding = scan.everyone(), self.layers(scan.depth)
        total, scores, seen = torch.zeros(alive.shape), torch.full(alive.shape, -torch.inf), []
        for layer in range(scan.depth):
            goodness = scan.advance(alive)
            seen.append(goodness)
            if layer in deciding:
                total = total + goodness / len(deciding)
            if layer == scan.depth - 1 or not self.chosen:
                continue
            model = ffprobe.EarlyExitModel(self.chosen["weight"], self.chosen["bias"])
            if not bool(model.weight[layer].any()):  # no layer so far is trained
                continue
            known = model.log_odds(seen).float().masked_fill(~alive, -torch.inf)
            best = known.topk(2, dim=1).values
            done = alive.any(dim=1) & (best[:, 0] - best[:, 1] > self.chosen["gap"])
            scores[done] = known[done]
            if self.params.prune:
                alive = alive & ~(best[:, :1] - known > self.chosen["gap"])
            alive = alive & ~done[:, None]
            if not bool(alive.any()):
                return scores
        return torch.where(alive.any(dim=1, keepdim=True), total.masked_fill(~alive, -torch.inf), scores)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [EarlyExit]
