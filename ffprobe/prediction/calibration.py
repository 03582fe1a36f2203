"""The data for calibrating an evaluator: the validation set and activations of training images, never the test set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch

from ffprobe.prediction.label_scan import LabelScan
from ffprobe.prediction.recorded_label_scan import RecordedLabelScan


@dataclass(frozen=True)
class Calibration:
    """Goodness and features of validation images in the trained network.

    Attributes:
        goodness: goodness of N validation images, float ``[L, N, K]``; NaN in layers whose head no loss trains.
        labels: true labels, int64 ``[N]``.
        form: form of the goodness.
        features: features of the same images with the neutral label, by layer, float32 ``[N, features]``; None if the
            evaluator does not need them.
        fit_features: features of M training images, by layer, float32 ``[M, features]``.
        fit_labels: true labels of these training images, int64 ``[M]``.
        layer_costs: multiply-adds of each layer for one input; empty if unknown, then all layers cost the same.
    """

    goodness: torch.Tensor
    labels: torch.Tensor
    form: Literal["pair", "class"] = "pair"
    features: Mapping[int, torch.Tensor] | None = None
    fit_features: Mapping[int, torch.Tensor] | None = None
    fit_labels: torch.Tensor | None = None
    layer_costs: Sequence[float] = ()
    _shared_cache: dict[Any, Any] = field(default_factory=dict, repr=False)
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def classes(self) -> int:
        return int(self.goodness.shape[2])

    @property
    def depth(self) -> int:
        return int(self.goodness.shape[0])

    @property
    def trained_layers(self) -> list[int]:
        """Indices of the layers whose goodness is meaningful: those without NaN."""
        return [i for i in range(self.depth) if not bool(self.goodness[i].isnan().any())]

    def scan(self) -> RecordedLabelScan:
        """A new label scan over the validation images."""
        return RecordedLabelScan(self.goodness, self.features, self.form)

    def cost(self, scan: LabelScan) -> float:
        """What a scan has cost so far, in multiply-adds; in layer evaluations if ``layer_costs`` is unknown."""
        costs = self.layer_costs if any(self.layer_costs) else [1.0] * self.depth
        return sum(count * cost for count, cost in zip(scan.evaluations, costs, strict=True))

    def subset(self, rows: torch.Tensor) -> Calibration:
        """A calibration with the validation images ``rows`` (bool or int64) only; the fit images stay the same."""
        features = self.features and {layer: value[rows] for layer, value in self.features.items()}
        return replace(self, goodness=self.goodness[:, rows], labels=self.labels[rows], features=features, _cache={})

    def halves(self) -> tuple[Calibration, Calibration]:
        """The images with even and with odd index: one half to choose on, the other to check the choice."""
        rows = torch.arange(len(self.labels))
        first, second = (self.once(("half", i), dict) for i in range(2))  # what was computed from each half
        return replace(self.subset(rows[::2]), _cache=first), replace(self.subset(rows[1::2]), _cache=second)

    def once(self, key: Any, make: Callable[[], Any], *, subsets: bool = False) -> Any:
        """The result of ``make()``, computed once and cached.

        Args:
            key: cache key.
            make: computes the value.
            subsets: whether all subsets share the value because it depends on the fit images alone.
        """
        cache = self._shared_cache if subsets else self._cache
        if key not in cache:
            cache[key] = make()
        return cache[key]
