"""A small classifier on the goodness of all layers and labels."""

from __future__ import annotations

import torch
from pydantic import Field

import ffprobe


class GoodnessClassifier(ffprobe.Evaluator):
    """Predicts with multinomial logistic regression on all L x K goodness values, fitted on the validation set.

    Layers whose goodness no loss trains have no influence.

    Before calibration, it uses the mean over all layers.
    """

    name = "goodness-classifier"
    source = "Trifecta, arXiv:2311.18130, App. H and Fig. 13: the head may be a small classifier of any kind"

    class Params(ffprobe.Params):
        """The regularization."""

        l2: float = Field(
            1.0, gt=0, description="L2 penalty l2 / 2 * ||W||^2 on the summed loss, for z-scored goodness, above 0"
        )

    def calibrate(self, calibration: ffprobe.Calibration) -> None:
        """Fit the classifier."""
        head = ffprobe.fit_head(_flat(calibration.goodness), calibration.labels, calibration.classes, self.params.l2)
        self.chosen = {"weight": head.weight, "bias": head.bias}

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """Map ``[L, N, K]`` to log probabilities ``[N, K]``; NaN if a layer that has influence is NaN."""
        if not self.chosen:
            missing = goodness.isnan()  # a layer that no loss trains is NaN for every label
            partial = (missing.any(dim=2) & ~missing.all(dim=2)).any(dim=0)
            return goodness.nanmean(dim=0).masked_fill(partial[:, None], torch.nan)
        used = self.chosen["weight"].ne(0).any(dim=1)
        missing = (goodness.isnan().transpose(0, 1).flatten(1) & used).any(dim=1)
        scores = ffprobe.Head(**self.chosen).log_probabilities(_flat(goodness))
        return scores.masked_fill(missing[:, None], torch.nan)


def _flat(goodness: torch.Tensor) -> torch.Tensor:
    return goodness.nan_to_num().transpose(0, 1).flatten(1)  # [N, L*K]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [GoodnessClassifier]
