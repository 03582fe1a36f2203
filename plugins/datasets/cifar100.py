"""CIFAR-100: 60,000 colour images of 32x32 pixels in 100 classes."""

from __future__ import annotations

from typing import Literal

import ffprobe


class CIFAR100(ffprobe.Dataset):
    """CIFAR-100: colour images of objects, 3x32x32, 100 (fine) classes, 50,000 for training and 10,000 for testing.

    torchvision reads the official Python files from ``--data-dir`` or from ``cifar-100-python`` inside it.
    ``--download`` downloads them. The files are pickles; torchvision checks the MD5 of each file before it opens it.
    """

    name = "cifar100"
    published = True
    source = "Krizhevsky 2009"

    def load(self, split: Literal["train", "test"]) -> ffprobe.Images:
        """Load one split; mean and standard deviation are those of the training images.

        Raises:
            FileError: a file is missing or differs from the published one.
        """
        train = ffprobe.read_cifar("CIFAR100", "train", self.data_dir, self.download)
        mean, std = ffprobe.channel_statistics(train[0])
        chosen = train if split == "train" else ffprobe.read_cifar("CIFAR100", split, self.data_dir, self.download)
        pixels, labels, classes = chosen
        return ffprobe.Images(pixels, labels, classes, mean, std)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Return the data set."""
    return [CIFAR100]
