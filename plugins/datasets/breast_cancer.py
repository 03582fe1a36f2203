"""Breast cancer: 569 tumours with 30 measurements of cell nuclei, which ship with scikit-learn."""

from __future__ import annotations

from typing import Literal

from ffprobe_plugins.datasets.shipped_tables import shipped_samples

import ffprobe


class BreastCancer(ffprobe.Dataset):
    """Breast cancer: 30 measurements of cell nuclei in 569 tumours, malignant or benign, 456 for training and 113 for
    testing.

    The data set needs no download. There is no published split, so ffprobe fixes one by a seed: stratified by class and
    the same for every seed of a run. With 113 test samples, one sample is 0.9 points of accuracy.
    """

    name = "breast-cancer"
    published = True
    source = "Wolberg, Mangasarian, Street & Street 1993 (UCI, Wisconsin diagnostic), by way of scikit-learn"
    defaults = {"network": {"name": "mlp"}, "encoder": {"name": "label-features"}}

    def load(self, split: Literal["train", "test"]) -> ffprobe.Samples:
        """Load one split: float32 ``[456, 30]`` or ``[113, 30]``."""
        return shipped_samples("breast_cancer.csv", "load_breast_cancer", ("malignant", "benign"), split)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Return the data set."""
    return [BreastCancer]
