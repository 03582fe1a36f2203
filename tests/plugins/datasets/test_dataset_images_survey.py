"""A user's own pictures: what is left out, what is the same, and what the classes are called."""

import io
import logging
import os
import unicodedata

import numpy as np
import pytest
from picture_files import load, packed, shade, tree, write_folder, write_tar
from PIL import Image

from ffprobe.data.picture import SUFFIXES
from ffprobe.errors import FileError

LARGE = {"max_gigabytes": 1e-6, "max_disk_gigabytes": 1e-3}


def renamed(files, suffix):
    return {name.replace(".png", suffix): content for name, content in files.items()}


def test_every_usual_suffix_is_read(write):
    suffixes = (".jfif", ".jpe", ".pnm", ".avif", ".jp2", ".webp", ".JPG", ".JFIF", ".Png")
    files = tree()
    for suffix in suffixes:
        files |= renamed(tree(), suffix)
    assert len(load(write(files))) == 6 + 6 * len(suffixes)
    assert {suffix.lower() for suffix in suffixes} <= set(SUFFIXES)


@pytest.mark.parametrize("form", ["AVIF", "JPEG2000"])
def test_every_usual_format_is_read(tmp_path, form):
    pictures = {name: io.BytesIO() for name in tree()}
    for value, out in enumerate(pictures.values()):
        shade(10 * value, "RGB", (16, 16)).save(out, form)
    path = write_tar(tmp_path / "x.tar", {name: out.getvalue() for name, out in pictures.items()})
    assert load(path).pixels.shape == (6, 3, 16, 16)


@pytest.mark.parametrize("limits", [{}, LARGE], ids=["memory", "disk"])
def test_files_that_are_left_out_are_counted_at_every_start(write, caplog, limits):
    extra = {f"train/cat/{i}.heic": b"x" for i in range(3)} | {"test/dog/notes": b"x", "train/dog/a.HEIC": b"x"}
    silent = {"train/cat/Thumbs.db": b"x", "train/cat/.DS_Store": b"x", "README.md": b"x", "test/labels.csv": b"x"}
    path = write(tree() | extra | silent)
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "ffprobe"):
            assert len(load(path, **limits)) == 6
        assert f"{path}: These files in the class folders are not read, by suffix: 4 .heic, 1 no suffix." in caplog.text


def test_an_added_file_that_is_left_out_is_counted(tmp_path, caplog):
    path = write_folder(tmp_path / "pictures", tree())
    load(path)
    assert caplog.text == ""
    (path / "train/cat/a.heic").write_bytes(b"x")
    load(path)
    assert "are not read, by suffix: 1 .heic" in caplog.text


def test_it_is_an_error_if_most_files_are_left_out(write):
    path = write(tree() | {f"train/cat/{i}.heic": b"x" for i in range(11)})
    with pytest.raises(FileError, match=r"10 readable pictures, but most files are none: 11 \.heic.*\.jfif"):
        load(path)


def test_a_suffix_cannot_reach_the_terminal_raw(tmp_path, caplog):
    load(write_tar(tmp_path / "x.tar", tree() | {"train/cat/a.\x1b[31m": b"x"}))
    assert "\x1b" not in caplog.text
    assert "x1b[31m" in caplog.text


def test_a_picture_outside_the_class_folders_is_an_error(write):
    with pytest.raises(FileError, match="not in a class folder"):
        load(write(tree() | {"train/9.png": packed(shade(0))}))


def test_a_broken_link_is_an_error(tmp_path):
    path = write_folder(tmp_path / "pictures", tree())
    (path / "train/cat/9.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(FileError, match=r"9\.png cannot be read: No such file"):
        load(path)


def test_pipes_and_devices_are_not_waited_for(tmp_path):
    path = write_folder(tmp_path / "pictures", tree())
    os.mkfifo(path / "train/cat/9.png")
    for source in (path, path / "train/cat/9.png", "/dev/zero"):
        with pytest.raises(FileError, match="neither a folder nor a regular file"):
            load(source)


def drawn(background, value):
    """A black digit on a transparent ground."""
    alpha = np.zeros((6, 6), dtype=np.uint8)
    alpha[value % 6, :] = 255
    return packed(Image.merge("LA", (Image.new("L", (6, 6), background), Image.fromarray(alpha))))


@pytest.mark.parametrize("limits", [{}, LARGE], ids=["memory", "disk"])
def test_black_drawings_on_transparency_need_a_white_background(write, limits):
    path = write({name: drawn(0, i) for i, name in enumerate(tree())})
    with pytest.raises(
        FileError, match=r"All 6 training pictures .* identical .*every pixel is 0.*dataset.background=white"
    ):
        load(path, **limits)
    images = load(path, background="white", **limits)
    assert sorted(images.pixels[:].unique().tolist()) == [0, 255]
    assert images.pixels[:][0, 0, 0].tolist() == [0] * 6  # the first drawing is a line in its first row


def sixteen_bits(value, factor):
    return packed(Image.fromarray((np.asarray(shade(value)).astype(np.uint16) * factor).astype(np.uint16)))


def test_sixteen_bits_with_small_values_are_an_error_or_a_warning(write, tmp_path, caplog):
    path = write({name: sixteen_bits(i, 1) for i, name in enumerate(tree())})
    with pytest.raises(FileError, match=r"identical.*every pixel is 0.*16 bits"):
        load(path)
    load(write_tar(tmp_path / "few.tar", {name: sixteen_bits(i, 50) for i, name in enumerate(tree())}))
    assert "use only the grey levels 0 to 7 of 256" in caplog.text
    caplog.clear()
    full = load(write_tar(tmp_path / "full.tar", {name: sixteen_bits(i, 257) for i, name in enumerate(tree())}))
    assert full.pixels[0, 0].flatten().tolist() == list(range(30))
    assert caplog.text == ""


def test_identical_training_pictures_are_an_error_even_if_one_is_in_colour(tmp_path):
    files = {name: packed(shade(0)) for name in tree()} | {"train/dog/1.png": packed(shade(0, "RGB"))}
    with pytest.raises(FileError, match=r"identical .*pixels from 0 to 29"):
        load(write_tar(tmp_path / "x.tar", files))
    load(write_tar(tmp_path / "y.tar", files | {"train/dog/2.png": packed(shade(1))}))


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def test_class_names_in_both_unicode_forms_are_one_class(write):
    files = tree(classes=(COMPOSED, "dog"))
    files = {n.replace(COMPOSED, DECOMPOSED) if n.startswith("test") else n: c for n, c in files.items()}
    train, test = (load(path, split) for path in [write(files)] for split in ("train", "test"))
    assert train.classes == test.classes == (COMPOSED, "dog")
    assert test.labels.tolist() == [0, 0, 1, 1]


def test_two_classes_of_one_split_that_differ_only_in_the_unicode_form_are_an_error(write):
    path = write(tree(classes=(COMPOSED, DECOMPOSED, "dog")))
    with pytest.raises(FileError, match=r"two classes in \w+ with the name 'café'.*\\xe9.*e\\u0301|e\\u0301.*\\xe9"):
        load(path)
