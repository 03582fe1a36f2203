"""Small data sets of pictures, as folders and tars."""

import io
import tarfile
import zipfile

import numpy as np
from ffprobe_plugins.datasets.images import OwnImages
from PIL import Image


def shade(value, mode="L", size=(6, 5)):
    """A picture whose pixels count up from ``value``."""
    array = (np.arange(size[0] * size[1]).reshape(size[1], size[0]) + value).astype(np.uint8)
    return Image.fromarray(array).convert(mode)


def packed(image, form="PNG"):
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()


def tree(mode="L", classes=("cat", "dog")):
    """Names and contents of a small whole data set: three pictures per class to train, two to test."""
    return {
        f"{split}/{label}/{i}.png": packed(shade(40 * index + 10 * i + (split == "test"), mode))
        for split, count in (("train", 3), ("test", 2))
        for index, label in enumerate(classes)
        for i in range(count)
    }


def write_folder(path, files):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def write_tar(path, files, pack=bytes, links=()):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    path.write_bytes(pack(out.getvalue()))
    return path


def write_zip(path, files, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # ZipInfo: without the time of writing
    return path


def load(path, split="train", **params):
    return OwnImages(OwnImages.Params(**params), data_dir=path).load(split)
