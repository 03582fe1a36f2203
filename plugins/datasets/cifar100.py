"""CIFAR-100: 60,000 colour pictures of 32x32 in a hundred classes."""

from __future__ import annotations

from typing import Literal

import ffprobe


class CIFAR100(ffprobe.Dataset):
    """Things of all kinds, 3x32x32, a hundred (fine) classes; 50,000 for training and 10,000 for testing.

    Read by torchvision from the official python files in ``--data-dir`` or in ``cifar-100-python`` below it.
    ``--download`` fetches them. The files are pickles; torchvision checks the MD5 of every one before it opens it.
    """

    name = "cifar100"
    source = "Krizhevsky 2009"

    def load(self, split: Literal["train", "test"]) -> ffprobe.Images:
        """One split; mean and standard deviation are those of the training images.

        Raises:
            FileError: a file is missing or not the published one.
        """
        train = ffprobe.read_cifar("CIFAR100", "train", self.data_dir, self.download)
        mean, std = ffprobe.channel_statistics(train[0])
        chosen = train if split == "train" else ffprobe.read_cifar("CIFAR100", split, self.data_dir, self.download)
        pixels, labels, classes = chosen
        return ffprobe.Images(pixels, labels, classes, mean, std)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Offers the data set."""
    return [CIFAR100]
