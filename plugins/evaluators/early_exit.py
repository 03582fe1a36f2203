"""An image leaves the network as soon as one label stands clear of the others."""

from __future__ import annotations

import math
from typing import Any

import torch
from pydantic import Field

import ffprobe

SHARES = (0.0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Shares of rightly named validation images that a layer's threshold may harm; one of them is chosen."""
WIDER = (2.0, 1.5, 1.2)
"""Factors on the threshold that harms none of them, since other images may lie further out."""


class EarlyExit(ffprobe.Evaluator):
    """After each layer, an image whose best label leads by more than that layer's threshold is done.

    With ``prune``, labels that lie further than the threshold below the best are dropped one by one, too, and the image
    is done when one label is left. A layer's threshold is the smallest that harms no more than a given share of the
    validation images that all layers together name rightly; the share is the cheapest that keeps the loss of accuracy
    within what is allowed. Before calibration no image leaves early.
    """

    name = "early-exit"
    source = (
        "LightFF (arXiv:2404.05241), with each layer's own goodness and a threshold for each layer; pruning is ours"
    )
    stepwise = True

    class Params(ffprobe.Params):
        """How much accuracy it may cost, and whether single labels are dropped."""

        prune: bool = Field(False, description="drop single labels as well")
        loss: float = Field(0.1, ge=0, description="allowed loss of validation accuracy, percentage points")
        last: int = Field(1, ge=1, description="how many of the last layers decide, by their mean goodness")

    def calibrate(self, calibration: ffprobe.Calibration) -> None:
        """Choose a threshold for every layer but the last."""
        ffprobe.cheapest_within(self, calibration, self._options, self.params.loss)

    def _options(self, calibration: ffprobe.Calibration) -> list[dict[str, Any]]:
        goodness, labels = calibration.goodness, calibration.labels
        right = self.scores(goodness).argmax(dim=1) == labels
        count = int(right.sum())
        harm = {i: self._harm(goodness[i, right], labels[right]).sort().values for i in calibration.taught if count}
        options = [{"share": 0.0, "thresholds": [math.inf] * (calibration.depth - 1)}]
        for share, factor in [(0.0, factor) for factor in WIDER] + [(share, 1.0) for share in SHARES]:
            place = math.ceil((1 - share) * (count - 1))
            thresholds = [
                max(0.0, factor * float(harm[i][place])) if i in harm else math.inf
                for i in range(calibration.depth - 1)
            ]
            options.append({"share": share, "thresholds": thresholds})
        return options

    def _harm(self, goodness: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The threshold below which an image would be named wrongly at this layer, ``[N]``."""
        best = goodness.topk(2, dim=1)
        if self.params.prune:
            return best.values[:, 0] - goodness.gather(1, labels[:, None])[:, 0]
        lead = best.values[:, 0] - best.values[:, 1]
        return lead.masked_fill(best.indices[:, 0] == labels, -torch.inf)

    def layers(self, depth: int) -> list[int]:
        """The layers that decide on an image that stays to the end."""
        return list(range(max(0, depth - self.params.last), depth))

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """``[L, N, K]`` to ``[N, K]``, no image leaving early."""
        return goodness[self.layers(goodness.shape[0])].mean(dim=0)

    def read(self, sweep: ffprobe.Sweep) -> torch.Tensor:
        """``[N, K]``: each image's scores are those of the layer that it left at."""
        thresholds = self.chosen.get("thresholds") or [math.inf] * (sweep.depth - 1)
        alive, deciding = sweep.everyone(), self.layers(sweep.depth)
        total, scores = torch.zeros(alive.shape), torch.full(alive.shape, -torch.inf)
        for layer in range(sweep.depth):
            goodness = sweep.advance(alive)
            if layer in deciding:
                total = total + goodness / len(deciding)
            if layer == sweep.depth - 1:
                break
            known = goodness.masked_fill(~alive, -torch.inf)
            best = known.topk(2, dim=1).values
            done = alive.any(dim=1) & (best[:, 0] - best[:, 1] > thresholds[layer])
            scores[done] = known[done]
            if self.params.prune:
                alive = alive & ~(best[:, :1] - known > thresholds[layer])
            alive = alive & ~done[:, None]
            if not bool(alive.any()):
                return scores
        return torch.where(alive.any(dim=1, keepdim=True), total.masked_fill(~alive, -torch.inf), scores)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [EarlyExit]
