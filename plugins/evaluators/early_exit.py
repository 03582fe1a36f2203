"""An image leaves the network as soon as one label stands clear of the others."""

from __future__ import annotations

import math
from typing import Any

import torch
from pydantic import Field

import ffprobe

GAPS = (40.0, 30.0, 25.0, 20.0, 17.0, 15.0, 13.0, 12.0, 11.0, 10.0, 9.5, *(9 - 0.25 * i for i in range(37)))
"""How far, in log odds, the best label may have to lead, from careful to bold; one of them is chosen."""


class EarlyExit(ffprobe.Evaluator):
    """After each layer, an image whose best label leads by more than a gap in log odds is done.

    With ``prune``, labels that lie further than the gap below the best are dropped one by one, too, and the image is
    done when one label is left. The log odds of being named by a full sweep follow from the goodness of all layers so
    far (``ffprobe.EarlyExitModel``), so that one gap serves every layer. Both are chosen on validation images: the
    gap is the smallest that keeps the loss of accuracy, with 95 % confidence, within what is allowed. Before
    calibration no image leaves early.
    """

    name = "early-exit"
    source = (
        "LightFF (arXiv:2404.05241), with log odds from all layers so far in the place of each layer's own threshold; "
        "pruning is ours"
    )
    stepwise = True

    class Params(ffprobe.Params):
        """How much accuracy it may cost, and whether single labels are dropped."""

        prune: bool = Field(False, description="drop single labels as well")
        loss: float = Field(0.1, ge=0, description="allowed loss of validation accuracy, percentage points")
        last: int = Field(1, ge=1, description="how many of the last layers decide, by their mean goodness")

    def calibrate(self, calibration: ffprobe.Calibration) -> None:
        """Fit the outlook, choose the gap."""
        ffprobe.select_cheapest(self, calibration, self._options, self.params.loss, chain=lambda option: "gaps")

    def _options(self, calibration: ffprobe.Calibration) -> list[dict[str, Any]]:
        outlook = ffprobe.fit_early_exit(calibration, self.scores(calibration.goodness).argmax(dim=1))
        return [{"gap": gap, "weight": outlook.weight, "bias": outlook.bias} for gap in (math.inf, *GAPS)]

    def layers(self, depth: int) -> list[int]:
        """The layers that decide on an image that stays to the end."""
        return list(range(max(0, depth - self.params.last), depth))

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """``[L, N, K]`` to ``[N, K]``, no image leaving early."""
        return goodness[self.layers(goodness.shape[0])].mean(dim=0)

    def read(self, sweep: ffprobe.LabelScan) -> torch.Tensor:
        """``[N, K]``: log odds where an image left early, else the last layers' goodness; -inf where dropped."""
        alive, deciding = sweep.everyone(), self.layers(sweep.depth)
        total, scores, seen = torch.zeros(alive.shape), torch.full(alive.shape, -torch.inf), []
        for layer in range(sweep.depth):
            goodness = sweep.advance(alive)
            seen.append(goodness)
            if layer in deciding:
                total = total + goodness / len(deciding)
            if layer == sweep.depth - 1 or not self.chosen:
                continue
            outlook = ffprobe.EarlyExitModel(self.chosen["weight"], self.chosen["bias"])
            if not bool(outlook.weight[layer].any()):  # no layer so far is taught
                continue
            known = outlook.log_odds(seen).float().masked_fill(~alive, -torch.inf)
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
