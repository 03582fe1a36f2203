"""What an evaluator may choose by: the validation set, and activations of images learned from; never the test set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch

from ffprobe.prediction.recorded_label_scan import RecordedLabelScan


@dataclass(frozen=True)
class Calibration:
    """Validation images as the trained network sees them.

    Attributes:
        goodness: float ``[L, N, K]`` of N validation images; NaN in layers whose learned goodness no loss ever taught.
        labels: int64 ``[N]``, true.
        form: of the goodness.
        features: of the same images with the neutral label, by layer, float32 ``[N, units]``; None when the evaluator
            did not ask for them.
        fit_features: the same of M images that the network learned from, float32 ``[M, units]``.
        fit_labels: int64 ``[M]``, their true labels.
    """

    goodness: torch.Tensor
    labels: torch.Tensor
    form: Literal["pair", "class"] = "pair"
    features: Mapping[int, torch.Tensor] | None = None
    fit_features: Mapping[int, torch.Tensor] | None = None
    fit_labels: torch.Tensor | None = None
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False)
    _own: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def classes(self) -> int:
        return int(self.goodness.shape[2])

    @property
    def depth(self) -> int:
        return int(self.goodness.shape[0])

    @property
    def trained_layers(self) -> list[int]:
        """The layers whose goodness means something."""
        return [i for i in range(self.depth) if not bool(self.goodness[i].isnan().any())]

    def sweep(self) -> RecordedLabelScan:
        """A fresh sweep over the validation images."""
        return RecordedLabelScan(self.goodness, self.features, self.form)

    def subset(self, rows: torch.Tensor) -> Calibration:
        """The same with the validation images ``rows`` (bool or int64) only; the fit images stay."""
        features = self.features and {layer: value[rows] for layer, value in self.features.items()}
        return replace(self, goodness=self.goodness[:, rows], labels=self.labels[rows], features=features, _own={})

    def halves(self) -> tuple[Calibration, Calibration]:
        """Every other image, and the rest: for choosing on one half and looking at the other."""
        rows = torch.arange(len(self.labels))
        return self.subset(rows[::2]), self.subset(rows[1::2])

    def once(self, key: Any, make: Callable[[], Any], *, subsets: bool = False) -> Any:
        """What ``make()`` gives, computed once and kept.

        Args:
            key: names it.
            make: computes it.
            subsets: whether all subsets share it, since it depends on the fit images alone.
        """
        kept = self._kept if subsets else self._own
        if key not in kept:
            kept[key] = make()
        return kept[key]
