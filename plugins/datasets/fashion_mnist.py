"""Fashion-MNIST: 70,000 grey pictures of clothes of 28x28."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import ffprobe

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the files."""


class FashionMNIST(ffprobe.Dataset):
    """Clothes, 1x28x28, ten classes; 60,000 for training and 10,000 for testing.

    Read from the IDX files, plain or .gz, in ``--data-dir`` or in ``FashionMNIST/raw`` below it (torchvision's layout);
    without ``--data-dir`` also from Debian's package dataset-fashion-mnist. ``--download`` fetches them through
    torchvision.
    """

    name = "fashion-mnist"
    source = "Xiao, Rasul & Vollgraf 2017"

    def load(self, split: Literal["train", "test"]) -> ffprobe.Images:
        """One split; mean and standard deviation are the ones the paper's code uses.

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
            hint="On Debian and Ubuntu the package dataset-fashion-mnist holds them.",
        )
        pixels, labels = ffprobe.read_idx_split(folder, split, classes=len(CLASSES))
        return ffprobe.Images(pixels, labels, CLASSES, mean=(0.2860,), std=(0.3530,))


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Offers the data set."""
    return [FashionMNIST]
