"""Digits: 1,797 handwritten digits of 8x8 that come with scikit-learn."""

from __future__ import annotations

from typing import Literal

import ffprobe


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
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        digits = load_digits()
        places = range(len(digits.target))
        train, test = train_test_split(places, test_size=360, stratify=digits.target, random_state=0)
        pixels = torch.from_numpy(digits.images * (255 / 16)).round().to(torch.uint8).unsqueeze(1)
        labels = torch.from_numpy(digits.target).long()
        mean, std = ffprobe.channel_statistics(pixels[train])
        chosen = train if split == "train" else test
        return ffprobe.Images(pixels[chosen], labels[chosen], tuple("0123456789"), mean, std)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Offers the data set."""
    return [Digits]
