"""Fashion-MNIST: 70,000 grey images of clothes, 28x28 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import ffprobe

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""The folder in which Debian's package dataset-fashion-mnist installs the files."""


class FashionMNIST(ffprobe.Dataset):
    """Fashion-MNIST: grey images of clothes, 1x28x28, 10 classes, 60,000 for training and 10,000 for testing.

    The IDX files, plain or .gz, are read from ``--data-dir`` or from ``FashionMNIST/raw`` inside it (torchvision's
    layout). Without ``--data-dir`` they are also read from Debian's package dataset-fashion-mnist. ``--download``
    downloads them through torchvision.
    """

    name = "fashion-mnist"
    published = True
    source = "Xiao, Rasul & Vollgraf 2017"

    def load(self, split: Literal["train", "test"]) -> ffprobe.Images:
        """Load one split, normalized with the mean and standard deviation of the Trifecta's code.

        Raises:
            FileError: a file is missing or damaged.
        """
        folder = ffprobe.published_folder(
            "FashionMNIST",
            ffprobe.idx_names(split),
            below="FashionMNIST/raw",
            data_dir=self.data_dir,
            download=self.download,
            elsewhere=(DEBIAN,),
            hint="On Debian and Ubuntu, the package dataset-fashion-mnist contains them.",
        )
        pixels, labels = ffprobe.read_idx_split(folder, split, classes=len(CLASSES))
        return ffprobe.Images(pixels, labels, CLASSES, mean=(0.2860,), std=(0.3530,))


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Return the data set."""
    return [FashionMNIST]
