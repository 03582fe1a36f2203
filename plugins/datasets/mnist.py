"""MNIST: 70,000 handwritten digits of 28x28 pixels."""

from __future__ import annotations

from typing import Literal

import ffprobe


class MNIST(ffprobe.Dataset):
    """MNIST: handwritten digits, 1x28x28, 10 classes, 60,000 for training and 10,000 for testing.

    The IDX files, plain or .gz, are read from ``--data-dir`` or from ``MNIST/raw`` inside it (torchvision's layout).
    ``--download`` downloads them through torchvision.
    """

    name = "mnist"
    published = True
    source = "LeCun, Bottou, Bengio & Haffner 1998"

    def load(self, split: Literal["train", "test"]) -> ffprobe.Images:
        """Load one split, normalized with the mean and standard deviation of the Trifecta's code.

        Raises:
            FileError: a file is missing or damaged.
        """
        folder = ffprobe.published_folder(
            "MNIST",
            ffprobe.idx_names(split),
            below="MNIST/raw",
            data_dir=self.data_dir,
            download=self.download,
        )
        pixels, labels = ffprobe.read_idx_split(folder, split, classes=10)
        return ffprobe.Images(pixels, labels, tuple("0123456789"), mean=(0.1307,), std=(0.3081,))


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Return the data set."""
    return [MNIST]
