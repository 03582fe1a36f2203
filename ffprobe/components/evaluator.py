"""How a prediction is read from goodness."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel

from ffprobe.components.base import Component

if TYPE_CHECKING:
    import torch

    from ffprobe.prediction.calibration import Calibration
    from ffprobe.prediction.label_scan import LabelScan


class Evaluator(Component):
    """How a prediction is read from goodness.

    ``scores`` says what decides once everything is known. ``read`` may ask for less: it takes goodness layer after
    layer, and only for the labels that can still win, from a label scan over recorded numbers or over a live network.
    Thresholds and the like are chosen by ``calibrate``, on the validation set, and kept in ``chosen``.

    Attributes:
        needs: ``activations`` when ``calibrate`` needs recorded features beside validation goodness.
        reads_goodness: whether a prediction is read from goodness; where not, from features alone (``scan.features``),
            and ``scores`` refuses.
        stepwise: whether ``read`` advances layer after layer, so that the activations of all living pairs are kept in
            memory; fewer images then go together.
        chosen: what ``calibrate`` chose: plain values, lists, tensors; empty before.
    """

    kind = "evaluator"
    needs: ClassVar[frozenset[str]] = frozenset()
    reads_goodness: ClassVar[bool] = True
    stepwise: ClassVar[bool] = False

    def __init__(self, params: BaseModel | None = None) -> None:
        super().__init__(params)
        self.chosen: dict[str, Any] = {}

    @abstractmethod
    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """Scores ``[N, K]``, the largest wins; a pure function, also before ``calibrate``.

        Args:
            goodness: float ``[L, N, K]``, of every layer, sample and label.
        """

    def layers(self, depth: int) -> list[int]:
        """The layers whose goodness ``scores`` uses, as indices from 0; all layers by default."""
        return list(range(depth))

    def calibrate(self, calibration: Calibration) -> None:
        """Choose what is to be chosen, by the validation set alone."""

    def read(self, scan: LabelScan) -> torch.Tensor:
        """Scores ``[N, K]``, minus infinity for labels that were ruled out; the largest wins.

        Args:
            scan: of N images; each must be treated by itself.
        """
        return self.scores(scan.full(self.layers(scan.depth)))

    def predict(self, scan: LabelScan) -> torch.Tensor:
        """The predicted labels, int64 ``[N]``; -1 where scores are NaN or several labels share the largest score."""
        from ffprobe.prediction.predicted_labels import predicted_labels

        return predicted_labels(self.read(scan))

    def state_dict(self) -> dict[str, Any]:
        """What was chosen."""
        return dict(self.chosen)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what was chosen."""
        self.chosen = dict(state)
