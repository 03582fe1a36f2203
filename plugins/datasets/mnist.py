"""MNIST: 70,000 handwritten digits of 28x28."""

from __future__ import annotations

from typing import Literal

import ffprobe


class MNIST(ffprobe.Dataset):
    """Handwritten digits, 1x28x28, ten classes; 60,000 for training and 10,000 for testing.

    Read from the IDX files, plain or .gz, in ``--data-dir`` or in ``MNIST/raw`` below it (torchvision's layout).
    ``--download`` fetches them through torchvision.
    """

    name = "mnist"
    source = "LeCun, Bottou, Bengio & Haffner 1998"

    def load(self, split: Literal["train", "test"]) -> ffprobe.Images:
        """One split; mean and standard deviation are the ones the paper's code uses.

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
    """Offers the data set."""
    return [MNIST]
