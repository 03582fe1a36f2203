"""CIFAR-10: 60,000 colour pictures of 32x32 in ten classes."""

from __future__ import annotations

from typing import Literal

import ffprobe


class CIFAR10(ffprobe.Dataset):
    """Animals and vehicles, 3x32x32, ten classes; 50,000 for training and 10,000 for testing.

    Read by torchvision from the official python batches in ``--data-dir`` or in ``cifar-10-batches-py`` below it.
    ``--download`` fetches them. The batches are pickles; torchvision checks the MD5 of every one before it opens it.
    """

    name = "cifar10"
    source = "Krizhevsky 2009"

    def load(self, split: Literal["train", "test"]) -> ffprobe.Images:
        """One split; mean and standard deviation are the ones the paper's code uses.

        Raises:
            FileError: a file is missing or not the published one.
        """
        pixels, labels, classes = ffprobe.read_cifar("CIFAR10", split, self.data_dir, self.download)
        return ffprobe.Images(pixels, labels, classes, mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Offers the data set."""
    return [CIFAR10]
