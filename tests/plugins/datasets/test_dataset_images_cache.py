"""Decoded pictures kept between runs."""

import os

import pytest
import torch
from ffprobe_plugins.datasets.images import OwnImages
from picture_files import load, packed, shade, tree, write_folder, write_tar, write_zip
from PIL import Image

from ffprobe.data import cached_images
from ffprobe.errors import FileError


@pytest.fixture
def decodings(monkeypatch):
    """The paths that were decoded, not read from the cache."""
    seen = []
    read = cached_images.read_picture_tree

    def counted(path, *given):
        seen.append(path)
        return read(path, *given)

    monkeypatch.setattr(cached_images, "read_picture_tree", counted)
    return seen


def test_decoded_once_for_all_runs(write, decodings):
    path = write(tree("RGB"))
    first = [load(path, split).sha256() for split in ("train", "test")]
    second = [load(path, split).sha256() for split in ("train", "test")]
    assert first == second
    assert len(decodings) == 1


def test_one_component_decodes_once_even_without_a_cache(tmp_path, monkeypatch, decodings, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FFPROBE_CACHE_DIR", str(tmp_path / "file"))
    dataset = OwnImages(data_dir=write_tar(tmp_path / "x.tar", tree()))
    dataset.load("train"), dataset.load("test")
    assert len(decodings) == 1
    assert "cannot be written" in caplog.text


def test_a_changed_picture_is_decoded_again(tmp_path, decodings):
    folder = write_folder(tmp_path / "pictures", tree())
    before = load(folder)
    (folder / "train/cat/0.png").write_bytes(packed(shade(200)))
    after = load(folder)
    assert len(decodings) == 2
    assert int(before.pixels[0, 0, 0, 0]) == 0
    assert int(after.pixels[0, 0, 0, 0]) == 200
    (folder / "train/cat/7.png").write_bytes(packed(shade(200)))
    assert len(load(folder)) == 7


def rewrite(path, content):
    """Replaces a file's content and keeps its size and its times."""
    before = path.stat()
    assert len(content) == before.st_size
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.mark.parametrize("limits", [{}, {"max_gigabytes": 1e-6, "max_disk_gigabytes": 1e-3}], ids=["memory", "disk"])
def test_a_picture_that_keeps_its_size_and_time_is_decoded_again(tmp_path, limits):
    files = {name.replace("png", "bmp"): packed(shade(i), "BMP") for i, name in enumerate(tree())}
    folder = write_folder(tmp_path / "pictures", files)
    assert int(load(folder, **limits).pixels[:][0, 0, 0, 0]) == 0
    rewrite(folder / "train/cat/0.bmp", packed(shade(200), "BMP"))
    assert int(load(folder, **limits).pixels[:][0, 0, 0, 0]) == 200


@pytest.mark.parametrize("write_archive", [write_tar, write_zip])
def test_an_archive_that_keeps_its_size_and_time_is_decoded_again(tmp_path, decodings, write_archive):
    files = {name.replace("png", "bmp"): packed(shade(i), "BMP") for i, name in enumerate(tree())}
    path = write_archive(tmp_path / "x", files)
    load(path)
    changed = write_archive(tmp_path / "y", files | {"train/cat/0.bmp": packed(shade(200), "BMP")})
    rewrite(path, changed.read_bytes())
    assert int(load(path).pixels[0, 0, 0, 0]) == 200
    assert len(decodings) == 2


def test_a_renamed_picture_is_decoded_again(tmp_path, decodings):
    folder = write_folder(tmp_path / "pictures", tree())
    load(folder)
    (folder / "train/cat/0.png").rename(folder / "train/dog/9.png")
    assert load(folder).labels.tolist() == [0, 0, 1, 1, 1, 1]
    assert len(decodings) == 2


def test_the_same_content_at_another_path_or_time_is_not_decoded_again(write, decodings, tmp_path):
    path = write(tree())
    load(path)
    os.utime(path, ns=(1, 1))
    load(path)
    load(path.rename(tmp_path / "moved"))
    assert len(decodings) == 1


def test_a_folder_that_changes_while_it_is_decoded_is_not_stored(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "pictures", tree())
    read = cached_images.read_picture_tree

    def changed_meanwhile(*given):
        (folder / "train/cat/0.png").write_bytes(packed(shade(200)))
        return read(*given)

    with monkeypatch.context() as patch:
        patch.setattr(cached_images, "read_picture_tree", changed_meanwhile)
        with pytest.raises(FileError, match="changed while it was read"):
            load(folder)
    write_folder(folder, tree())
    assert int(load(folder).pixels[0, 0, 0, 0]) == 0


def test_another_background_is_decoded_separately(tmp_path):
    files = {name: packed(shade(i, "RGBA")) for i, name in enumerate(tree())}
    files["train/cat/0.png"] = packed(Image.new("RGBA", (6, 5)))
    path = write_tar(tmp_path / "x.tar", files)
    values = [int(load(path, background=colour).pixels[0, 0, 0, 0]) for colour in ("black", "white", "black")]
    assert values == [0, 255, 0]


def test_a_damaged_cache_is_built_again(tmp_path, decodings):
    path = write_tar(tmp_path / "x.tar", tree())
    whole = load(path).sha256()
    (entry,) = (tmp_path / "cache" / "images").iterdir()
    os.truncate(entry, 500)
    assert load(path).sha256() == whole
    assert len(decodings) == 2
    load(path)
    assert len(decodings) == 2


def test_a_failed_decoding_is_not_kept(tmp_path):
    path = write_tar(tmp_path / "x.tar", tree(classes=["cat"]))
    for _ in range(2):
        with pytest.raises(FileError, match="contains only the class"):
            load(path)
    assert not (tmp_path / "cache").exists()


def test_images_from_the_cache_can_be_trained_on(tmp_path):
    path = write_tar(tmp_path / "x.tar", tree())
    for _ in range(2):
        images = load(path)
        assert images.pixels.dtype == torch.uint8
        assert images.pixels.numpy().flags.writeable
