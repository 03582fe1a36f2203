"""CIFAR-10: 60,000 colour images of 32x32 pixels in 10 classes."""

from __future__ import annotations

from typing import Literal

import ffprobe


class CIFAR10(ffprobe.Dataset):
    """CIFAR-10: colour images of animals and vehicles, 3x32x32, 10 classes, 50,000 for training and 10,000 for testing.

    torchvision reads the official Python batches from ``--data-dir`` or from ``cifar-10-batches-py`` inside it.
    ``--download`` downloads them. The batches are pickles; torchvision checks the MD5 of each batch before it opens it.
    """

    name = "cifar10"
    published = True
    source = "Krizhevsky 2009"

    def load(self, split: Literal["train", "test"]) -> ffprobe.Images:
        """Load one split, normalized with the mean and standard deviation of the Trifecta's code.

        Raises:
            FileError: a file is missing or differs from the published one.
        """
        pixels, labels, classes = ffprobe.read_cifar("CIFAR10", split, self.data_dir, self.download)
        return ffprobe.Images(pixels, labels, classes, mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Return the data set."""
    return [CIFAR10]
