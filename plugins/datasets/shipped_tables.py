"""Tables that ship with scikit-learn, split into training and test samples."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import ffprobe

if TYPE_CHECKING:
    import numpy as np


def shipped_samples(
    file: str, loader: str, classes: tuple[str, ...], split: Literal["train", "test"]
) -> ffprobe.Samples:
    """One split of a shipped table: a fifth of each class are test samples, always the same.

    Args:
        file: name of the file in ``sklearn/datasets/data``.
        loader: name of the function in ``sklearn.datasets`` that reads it.
        classes: class names in label order.
        split: which of the two.

    Returns:
        Values float32 ``[N, F]`` without mean and std: a run computes them from its training samples.
    """
    import torch

    table = torch.from_numpy(shipped_table(file, loader))
    labels = table[:, -1].long()
    train, test = ffprobe.train_test_indices(labels, 0.2, classes=classes)
    return ffprobe.Samples(table[:, :-1].float(), labels, classes).subset(train if split == "train" else test)


def shipped_table(file: str, loader: str) -> np.ndarray:
    """The table as float64 ``[N, F + 1]``; the label is the last column.

    It is read from scikit-learn's own file, since importing scikit-learn takes as long as a small run. If the file has
    moved, scikit-learn loads it.
    """
    import numpy as np

    package = importlib.util.find_spec("sklearn")
    origin = package.origin if package else None
    path = Path(origin).with_name("datasets") / "data" / file if origin else None
    if path and path.is_file():
        return np.loadtxt(path, delimiter=",", skiprows=1)  # the first line names sizes and classes
    import sklearn.datasets

    bunch = getattr(sklearn.datasets, loader)()
    return np.column_stack([bunch.data, bunch.target])
