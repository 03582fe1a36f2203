"""SVHN: 99,289 house numbers in colour, cropped to single digits of 32x32."""

from __future__ import annotations

from typing import Literal

import ffprobe


class SVHN(ffprobe.Dataset):
    """Digits from house numbers, 3x32x32, ten classes; 73,257 for training and 26,032 for testing.

    Read by torchvision, which checks the MD5, from ``train_32x32.mat`` and ``test_32x32.mat`` in ``--data-dir`` or in
    ``SVHN`` below it. ``--download`` fetches them.
    """

    name = "svhn"
    source = "Netzer et al. 2011"

    def load(self, split: Literal["train", "test"]) -> ffprobe.Images:
        """One split; the digit 0 has the label 0; mean and standard deviation are the ones the paper's code uses.

        Raises:
            FileError: a file is missing or not the published one.
        """
        import torch
        import torchvision.datasets

        _, file, md5 = torchvision.datasets.SVHN.split_list[split]
        folder = ffprobe.published_folder(
            "SVHN", [(file,)], below="SVHN", data_dir=self.data_dir, download=self.download, split=split
        )
        data = ffprobe.read_with_torchvision("SVHN", folder, [(file, md5)], split=split)
        pixels, labels = torch.from_numpy(data.data).contiguous(), torch.from_numpy(data.labels)
        return ffprobe.Images(
            pixels, labels, tuple("0123456789"), mean=(0.4377, 0.4438, 0.4728), std=(0.1980, 0.2010, 0.1970)
        )


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Offers the data set."""
    return [SVHN]
