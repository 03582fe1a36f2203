"""A user's own pictures that do not fit into memory."""

import errno
import logging
import os
import resource
import socket
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch
from picture_files import load, packed, shade, tree, write_folder, write_tar
from PIL import Image

from ffprobe.data import cached_images, pictures_on_disk
from ffprobe.data.loader import Loader
from ffprobe.data.pixels_on_disk import PixelsOnDisk
from ffprobe.errors import FileError

LARGE = {"max_gigabytes": 1e-6, "max_disk_gigabytes": 1e-3}
"""The pictures of ``tree`` are larger than this memory."""


def large(path, split="train"):
    return load(path, split, **LARGE)


@pytest.fixture
def decodings(monkeypatch):
    """How often everything was decoded onto the disk."""
    seen = []
    write = cached_images.write_pictures
    monkeypatch.setattr(cached_images, "write_pictures", lambda *given: (seen.append(given), write(*given))[1])
    return seen


@pytest.fixture
def entry(tmp_path):
    return lambda: next((tmp_path / "cache" / "images").iterdir())


@pytest.mark.parametrize("mixed", [False, True])
def test_the_images_equal_those_in_memory(write, mixed):
    files = tree()
    if mixed:
        files["train/dog/1.png"] = packed(Image.new("RGB", (6, 5), (1, 2, 3)))
    path = write(files)
    mapped = {split: large(path, split) for split in ("train", "test")}
    held = {split: load(path, split) for split in ("train", "test")}
    for split, images in mapped.items():
        assert isinstance(images.pixels, PixelsOnDisk)
        assert isinstance(held[split].pixels, torch.Tensor) or not mixed
        whole = held[split].pixels[:]
        assert images.pixels.shape == whole.shape
        assert torch.equal(images.pixels[:], whole)
        assert torch.equal(images.labels, held[split].labels)
        assert (images.classes, images.mean, images.std) == (held[split].classes, held[split].mean, held[split].std)
        assert images.sha256() == held[split].sha256()


def test_rows_come_in_the_requested_order_also_for_nested_subsets(tmp_path):
    images = large(write_tar(tmp_path / "x.tar", tree()))
    whole = images.pixels[:]
    rows = torch.tensor([5, 0, 0, 3])
    assert torch.equal(images.pixels[rows], whole[rows])
    assert torch.equal(images.pixels[2:4], whole[2:4])
    part = images.subset(torch.tensor([4, 1, 2])).subset(torch.tensor([2, 0]))
    assert torch.equal(part.pixels[:], whole[[2, 4]])
    assert part.labels.tolist() == images.labels[[2, 4]].tolist()
    assert len(part) == 2 and part.pixels.dim() == 4


def test_the_files_are_plain_arrays(tmp_path, entry):
    images = large(write_tar(tmp_path / "x.tar", tree()))
    array = np.load(entry() / "train.npy", mmap_mode="r")
    assert np.array_equal(array, images.pixels[:].numpy())


def test_a_loader_gives_the_same_batches_from_both(tmp_path):
    path = write_tar(tmp_path / "x.tar", tree("RGB"))

    def batches(images):
        shuffle, augment = (torch.Generator().manual_seed(seed) for seed in (1, 2))
        loader = Loader(images, 4, "cpu", shuffle_generator=shuffle, augment_generator=augment, shift=1, degrees=9)
        return [loader.preview(), *(batch[:2] for _ in range(2) for batch in loader)]

    from_disk = batches(large(path))
    for (x, y), (other, label) in zip(from_disk, batches(load(path)), strict=True):
        assert torch.equal(x, other) and torch.equal(y, label)
        assert x.is_contiguous(memory_format=torch.channels_last)


def test_decoded_once_and_loaded_into_memory_if_it_fits(tmp_path, decodings):
    path = write_tar(tmp_path / "x.tar", tree())
    for _ in range(2):
        large(path), large(path, "test")
    assert isinstance(load(path).pixels, torch.Tensor)
    assert len(decodings) == 1


def test_a_cache_made_under_a_higher_limit_is_not_loaded_into_memory(tmp_path, decodings, monkeypatch):
    path = write_tar(tmp_path / "x.tar", tree())
    load(path)
    monkeypatch.setattr(cached_images, "_METADATA", 0)
    assert isinstance(large(path).pixels, PixelsOnDisk)


DAMAGE = {
    "a byte": lambda folder: flip(folder / "train.npy", -7),
    "a byte of the header": lambda folder: flip(folder / "test.npy", 20),
    "truncated": lambda folder: os.truncate(folder / "train.npy", 150),
    "a missing file": lambda folder: (folder / "test.npy").unlink(),
    "a missing index": lambda folder: (folder / "index.npz").unlink(),
    "an index of garbage": lambda folder: (folder / "index.npz").write_bytes(b"PK" + bytes(99)),
}


def flip(path, index):
    content = bytearray(path.read_bytes())
    content[index] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_made_again(tmp_path, decodings, entry, damage, caplog):
    path = write_tar(tmp_path / "x.tar", tree())
    whole = large(path).sha256()
    DAMAGE[damage](entry())
    with caplog.at_level(logging.WARNING, "ffprobe"):
        assert large(path).sha256() == whole
    assert len(decodings) == 2
    assert "decoded again" in caplog.text
    large(path)
    assert len(decodings) == 2


def test_checksums_are_those_of_the_files(tmp_path, entry):
    large(write_tar(tmp_path / "x.tar", tree()))
    with np.load(entry() / "index.npz") as index:
        for split in ("train", "test"):
            assert int(index[f"{split}_checksum"]) == zlib.crc32((entry() / f"{split}.npy").read_bytes())


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "x.tar", tree("RGB"))
    # files may grow to 500 bytes: the sixth picture of 90 bytes is one too many
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        with pytest.raises(
            FileError, match=r"cannot be written to the disk: File too large.*FFPROBE_CACHE_DIR"
        ) as caught:
            large(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "GB are free" in str(caught.value)
    assert list((tmp_path / "cache" / "images").iterdir()) == []
    assert len(large(path)) == 6


def test_a_full_disk_while_the_index_is_written(tmp_path, monkeypatch):
    def full(*given, **more):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = write_tar(tmp_path / "x.tar", tree())
    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with pytest.raises(FileError, match="cannot be written to the disk: No space left on device"):
            large(path)
    assert list((tmp_path / "cache" / "images").iterdir()) == []


def test_a_read_only_folder_is_a_clear_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FFPROBE_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(FileError, match="cannot be written to the disk: Not a directory"):
        large(write_tar(tmp_path / "x.tar", tree()))


def test_files_of_a_killed_process_are_removed_and_those_of_a_running_one_are_not(tmp_path, entry):
    path = write_folder(tmp_path / "pictures", tree())
    large(path)
    done = entry()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead, living, foreign = (
        done.with_name(f"{done.name}.{host}.{number}.tmp")
        for host, number in ((socket.gethostname(), gone.pid), (socket.gethostname(), os.getppid()), ("elsewhere", 1))
    )
    for other in (dead, living, foreign):
        other.mkdir()
        (other / "unordered").write_bytes(b"x")
    (done / "index.npz").unlink()
    large(path)
    assert not dead.exists()
    assert living.exists() and foreign.exists()


def test_bad_pictures_leave_nothing(tmp_path):
    files = tree() | {"train/dog/1.png": packed(shade(0, size=(7, 5)))}
    with pytest.raises(FileError, match="differ in size"):
        large(write_tar(tmp_path / "x.tar", files))
    assert not list((tmp_path / "cache" / "images").iterdir())


RESIDENT = """
import sys
from pathlib import Path
import torch
from ffprobe.data.images import Images
from ffprobe.data.loader import Loader
from ffprobe.data.pixels_on_disk import PixelsOnDisk

def peak():
    # not ru_maxrss, which a child process inherits from what started it
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

torch.set_num_threads(1)
rest = torch.arange(64) % 2, ("a", "b"), (0.5,) * 3, (0.2,) * 3
warm = Images(torch.zeros(64, 3, 64, 64, dtype=torch.uint8), *rest)
next(iter(Loader(warm, 64, "cpu", shuffle_generator=None)))
before = peak()
pixels = PixelsOnDisk(Path(sys.argv[1]))
labels = torch.arange(len(pixels)) % 2
images = Images(pixels, labels, ("a", "b"), (0.5,) * 3, (0.2,) * 3)
shuffle = torch.Generator().manual_seed(0)
loader = Loader(images.subset(torch.arange(len(images) - 1, -1, -1)), 64, "cpu", shuffle_generator=shuffle)
total = sum(len(x) for x, _, _ in loader)
images.sha256()
print(total, peak() - before, pixels.shape.numel())
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the system does not tell")
def test_resident_memory_stays_bounded(tmp_path):
    shape = (20_032, 3, 64, 64)
    array = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, shape)
    array[:] = np.arange(64, dtype=np.uint8)
    array.flush()
    del array
    done = subprocess.run(
        [sys.executable, "-c", RESIDENT, str(tmp_path / "x.npy")], capture_output=True, text=True, check=True
    )
    total, grown, size = (int(word) for word in done.stdout.split())
    assert total == shape[0]
    assert size == 246_153_216
    assert grown < 40e6, f"{grown / 1e6:.0f} MB for {size / 1e6:.0f} MB of pixels"


def test_a_file_that_is_truncated_during_reading_is_a_clear_error(tmp_path, entry):
    images = large(write_tar(tmp_path / "x.tar", tree()))
    os.truncate(entry() / "train.npy", 200)
    with pytest.raises(FileError, match=r"the file is truncated.*--resume"):
        images.pixels[:]


def test_files_without_a_pixel_array_are_refused(tmp_path):
    for name, array in {"float": np.zeros((2, 1, 3, 3)), "flat": np.zeros(9, np.uint8)}.items():
        np.save(tmp_path / f"{name}.npy", array)
        with pytest.raises(FileError, match="cannot be read: the file contains"):
            PixelsOnDisk(tmp_path / f"{name}.npy")
    assert pictures_on_disk.read_pictures(tmp_path / "nothing") is None
