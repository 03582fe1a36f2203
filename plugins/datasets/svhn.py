"""SVHN: 99,289 house-number digits in colour, 32x32 pixels."""

from __future__ import annotations

from typing import Literal

import ffprobe


class SVHN(ffprobe.Dataset):
    """SVHN: single digits cropped from photos of house numbers, 3x32x32, 10 classes, 73,257 for training and 26,032 for
    testing.

    torchvision reads ``train_32x32.mat`` and ``test_32x32.mat`` from ``--data-dir`` or from ``SVHN`` inside it, and
    checks their MD5. ``--download`` downloads them.
    """

    name = "svhn"
    published = True
    source = "Netzer et al. 2011"

    def load(self, split: Literal["train", "test"]) -> ffprobe.Images:
        """Load one split, normalized as in the Trifecta's code; the digit 0 has the label 0.

        Raises:
            FileError: a file is missing or differs from the published one.
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
    """Return the data set."""
    return [SVHN]
