"""Digits: 1,797 handwritten digits of 8x8 that come with scikit-learn."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import ffprobe

if TYPE_CHECKING:
    import numpy as np

SPLIT = Path(__file__).with_name("digits_split.json")
"""Places of the training and of the test images in the published order, as scikit-learn 1.9 drew them with seed 0."""


class Digits(ffprobe.Dataset):
    """Handwritten digits, 1x8x8, ten classes; needs no file.

    The published values 0 to 16 are scaled to 0 to 255. There is no published split of these images, so one is fixed
    here for good: 1,437 for training and 360 for testing, stratified by class, the same for every seed of a run. Mean
    and standard deviation are those of the training images.
    """

    name = "digits"
    source = "Alpaydin & Kaynak 1998, the test set of the UCI data set, by way of scikit-learn"

    def load(self, split: Literal["train", "test"]) -> ffprobe.Images:
        """One split: uint8 ``[1437, 1, 8, 8]`` or ``[360, 1, 8, 8]``."""
        import torch

        table = torch.from_numpy(published())
        places = json.loads(SPLIT.read_text())
        pixels = (table[:, :-1].reshape(-1, 1, 8, 8) * (255 / 16)).round().to(torch.uint8)
        mean, std = ffprobe.channel_statistics(pixels[places["train"]])
        chosen = places[split]
        return ffprobe.Images(pixels[chosen], table[chosen, -1].long(), tuple("0123456789"), mean, std)


def published() -> np.ndarray:
    """Whole numbers ``[1797, 65]``: an image's 64 pixels, 0 to 16, and its label.

    Read from scikit-learn's own file, since to import scikit-learn takes as long as a small run; where the file is not
    where it has always been, scikit-learn is asked.
    """
    import numpy as np

    package = importlib.util.find_spec("sklearn")
    file = Path(package.origin).with_name("datasets") / "data" / "digits.csv.gz" if package else None
    if file and file.is_file():
        return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.column_stack([digits.data, digits.target])


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Offers the data set."""
    return [Digits]
