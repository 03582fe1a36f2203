"""The published files of CIFAR-10 and CIFAR-100."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ffprobe.data.published import published_folder, read_with_torchvision

if TYPE_CHECKING:
    import torch


def read_cifar(
    reader: Literal["CIFAR10", "CIFAR100"], split: Literal["train", "test"], data_dir: Path | None, download: bool
) -> tuple[torch.Tensor, torch.Tensor, tuple[str, ...]]:
    """One split, read by torchvision after it has checked the MD5 of every file (the files are pickles).

    Args:
        reader: torchvision class of the data set.
        split: ``train`` or ``test``.
        data_dir: folder with torchvision's folder (``cifar-10-batches-py``) or its files; None for the default folder.
        download: whether missing files may be downloaded.

    Returns:
        Pixels uint8 ``[N, 3, 32, 32]``, labels int64 ``[N]`` and the class names in label order.

    Raises:
        FileError: a file is missing or is not the published one; the message names it and says how to get it.
    """
    import torch
    import torchvision.datasets

    layout: Any = getattr(torchvision.datasets, reader)
    checksums = [(name, md5) for name, md5 in layout.train_list + layout.test_list]
    checksums.append((layout.meta["filename"], layout.meta["md5"]))
    folder = published_folder(
        reader,
        [(name,) for name, _ in checksums],
        below=layout.base_folder,
        data_dir=data_dir,
        download=download,
    )
    data = read_with_torchvision(reader, folder, checksums, train=split == "train")
    pixels = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous()
    return pixels, torch.tensor(data.targets, dtype=torch.int64), tuple(str(name) for name in data.classes)
