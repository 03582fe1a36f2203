"""Digits: 1,797 handwritten digits of 8x8 pixels that ship with scikit-learn."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import ffprobe

if TYPE_CHECKING:
    import numpy as np

SPLIT = Path(__file__).with_name("digits_split.json")
"""Indices of the training and test images in the published order, as scikit-learn 1.9 drew them with seed 0."""


class Digits(ffprobe.Dataset):
    """Digits: handwritten digits that ship with scikit-learn, 1x8x8, 10 classes, 1,437 for training and 360 for
    testing.

    The data set needs no download. The published values 0 to 16 are scaled to 0 to 255. There is no published split, so
    ffprobe fixes one: stratified by class and the same for every seed of a run. Mean and standard deviation are those
    of the training images.
    """

    name = "digits"
    published = True
    source = "Alpaydin & Kaynak 1998, the test set of the UCI data set, by way of scikit-learn"

    def load(self, split: Literal["train", "test"]) -> ffprobe.Images:
        """Load one split: uint8 ``[1437, 1, 8, 8]`` or ``[360, 1, 8, 8]``."""
        import torch

        table = torch.from_numpy(published())
        indices = json.loads(SPLIT.read_text())
        pixels = (table[:, :-1].reshape(-1, 1, 8, 8) * (255 / 16)).round().to(torch.uint8)
        mean, std = ffprobe.channel_statistics(pixels[indices["train"]])
        chosen = indices[split]
        return ffprobe.Images(pixels[chosen], table[chosen, -1].long(), tuple("0123456789"), mean, std)


def published() -> np.ndarray:
    """Integers ``[1797, 65]``: the 64 pixels of an image, 0 to 16, and its label.

    The table is read from scikit-learn's own file, since importing scikit-learn takes as long as a small run. If the
    file has moved, scikit-learn loads it.
    """
    import numpy as np

    package = importlib.util.find_spec("sklearn")
    origin = package.origin if package else None
    file = Path(origin).with_name("datasets") / "data" / "digits.csv.gz" if origin else None
    if file and file.is_file():
        return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.column_stack([digits.data, digits.target])


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Return the data set."""
    return [Digits]
