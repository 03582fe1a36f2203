"""A few labels are kept after an early layer; only they go on."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field

import ffprobe

GAPS = tuple(12 - 0.25 * i for i in range(49))
"""How far, in log odds, a label may lie below the best and still go on, from careful to bold; one is chosen."""


class Candidates(ffprobe.Evaluator):
    """All labels go as far as one layer, the best of them to the end, where the last layers decide among them.

    The best are those that lie within a gap of the best one in log odds of being named by a full sweep, as they follow
    from goodness so far (``ffprobe.EarlyExitModel``); an image that has but one is done. The layer and the gap are
    chosen on the validation set: the cheapest pair that keeps the loss of accuracy, with 95 % confidence, within what
    is allowed. With ``labels``, so many of highest goodness go on instead. Before calibration nothing is left out.
    """

    name = "candidates"
    source = "an answer to the cost that Trifecta (arXiv:2311.18130) names in Sec. 3 and App. H"
    stepwise = True

    class Params(ffprobe.Params):
        """What is kept, or how much accuracy it may cost."""

        after: int | None = Field(None, ge=1, description="layer, from 1, that decides which labels go on; or chosen")
        labels: int | None = Field(None, ge=1, description="how many labels go on; else those within a gap, chosen")
        loss: float = Field(0.1, ge=0, description="allowed loss of validation accuracy, percentage points")
        last: int = Field(1, ge=1, description="how many of the last layers decide, by their mean goodness")

    def calibrate(self, calibration: ffprobe.Calibration) -> None:
        """Choose what the settings leave open."""
        ffprobe.select_cheapest(
            self, calibration, self._options, self.params.loss, chain=lambda option: option["after"]
        )

    def _options(self, calibration: ffprobe.Calibration) -> list[dict[str, Any]]:
        said, depth = self.params, calibration.depth
        layers = range(1, depth) if said.after is None else [min(said.after, depth)]
        layers = [after for after in layers if after - 1 in calibration.trained_layers]
        if said.labels is not None:
            kept = min(said.labels, calibration.classes)
            return [{"after": after, "labels": kept} for after in layers] or [{"after": depth, "labels": kept}]
        outlook = ffprobe.fit_early_exit(calibration, self.scores(calibration.goodness).argmax(dim=1))
        fitted = {"weight": outlook.weight, "bias": outlook.bias}
        options = [{"after": after, "gap": gap, **fitted} for after in layers if after < depth for gap in GAPS]
        return options + [{"after": depth, "labels": calibration.classes}] * (not options or said.after is None)

    def layers(self, depth: int) -> list[int]:
        """The layers that decide."""
        return list(range(max(0, depth - self.params.last), depth))

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """``[L, N, K]`` to ``[N, K]``, no label left out."""
        return goodness[self.layers(goodness.shape[0])].mean(dim=0)

    def read(self, sweep: ffprobe.LabelScan) -> torch.Tensor:
        """``[N, K]``, minus infinity for labels that were not kept; log odds where one was kept alone."""
        after = self.chosen.get("after") or self.params.after or 1
        alive, deciding = sweep.everyone(), self.layers(sweep.depth)
        total, alone, seen = torch.zeros(alive.shape), torch.full(alive.shape, -torch.inf), []
        for layer in range(sweep.depth):
            goodness = sweep.advance(alive)
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
                labels = min(self.chosen.get("labels") or self.params.labels or sweep.classes, sweep.classes)
                alive = torch.zeros_like(alive).scatter(1, goodness.topk(labels, dim=1).indices, True)
            if not bool(alive.any()):
                return alone
        total = (total / len(deciding)).masked_fill(~alive, -torch.inf)
        return torch.where(alive.any(dim=1, keepdim=True), total, alone)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Candidates]
