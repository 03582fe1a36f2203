"""Text as bytes: the next byte after a window."""

import sys

import numpy as np
import pytest
from ffprobe_plugins.datasets.text_bytes import TextBytes, byte_classes, windows
from ffprobe_plugins.datasets.text_files import standard_library, text_bytes

from ffprobe.errors import FileError, UsageError


def codes(text):
    return np.frombuffer(text.encode("latin-1"), dtype=np.uint8)


def mixed(letters, length):
    """A text of some letters without a period, which evenly spaced windows could hit."""
    return "".join(np.random.default_rng(0).choice(list(letters), length))


def load(path, split="train", **params):
    return TextBytes(TextBytes.Params(**params), data_dir=path).load(split)


def test_windows_are_evenly_spaced_and_share_no_byte():
    rows = windows(np.arange(100, dtype=np.uint8), 3, 5)
    assert rows[:, 0].tolist() == [0, 24, 48, 72, 97]
    assert rows[-1].tolist() == [97, 98, 99]
    close = windows(np.arange(100, dtype=np.uint8), 3, 1000)
    assert len(close) == 33
    assert len(set(close.flatten().tolist())) == 99
    assert len(windows(np.arange(2, dtype=np.uint8), 3, 5)) == 0


def test_a_sample_is_a_window_and_its_class_the_byte_that_follows(tmp_path):
    text = mixed("ab\n", 500)
    (tmp_path / "text").write_text(text)
    train = load(tmp_path / "text", context=4)
    assert train.classes == ("newline", "a", "b")
    assert (train.kind, train.vocabulary, train.shape) == ("tokens", 256, (256, 4))
    rows = ["".join(map(chr, row)) + "\nab"[label] for row, label in zip(train.inputs, train.labels, strict=True)]
    assert rows == [text[start : start + 5] for start in range(0, 400, 5)]


def test_the_end_of_the_text_is_for_testing(tmp_path):
    (tmp_path / "text").write_text(mixed("ab", 800) + mixed("Ab", 200))
    train, test = load(tmp_path / "text", context=3), load(tmp_path / "text", "test", context=3)
    assert not (train.inputs == ord("A")).any()
    assert not (test.inputs == ord("a")).any()
    assert train.classes == test.classes == ("b", "other")  # a and A follow windows in one part only
    assert set(test.labels.tolist()) == {0, 1}


def test_bytes_of_one_part_form_the_class_other():
    label_of, classes = byte_classes(codes("aaabbx"), codes("abby"))
    assert classes == ("a", "b", "other")
    assert label_of[codes("abxy")].tolist() == [0, 1, 2, 2]


def test_the_rarest_byte_joins_other_if_that_were_in_one_part_only():
    label_of, classes = byte_classes(codes("aaabbccxx"), codes("abbbcc"))
    assert classes == ("b", "c", "other")
    assert label_of[codes("abcx")].tolist() == [2, 0, 1, 2]


def test_there_is_no_class_other_without_such_bytes():
    assert byte_classes(codes(" ~\x80"), codes("\x80 ~"))[1] == ("space", "~", "0x80")


def test_files_are_joined_in_the_order_of_their_paths(tmp_path):
    for name, content in {"b.txt": "2", "a/z.txt": "1", "c.md": "no", "c.txt": "3"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert text_bytes(tmp_path, "**/*.txt", 1) == b"123"
    assert text_bytes(tmp_path, "*.md", 1) == b"no"
    assert text_bytes(tmp_path / "c.md", "**/*.txt", 1) == b"no"


def test_the_standard_library_is_the_text_of_a_demonstration():
    names = [path.stem for path in standard_library()]
    assert {"abc", "zipfile"} & set(names)
    assert set(names) <= sys.stdlib_module_names  # nothing that a distributor added
    assert names == sorted(names)


@pytest.mark.parametrize("pattern", ["../*.txt", "/etc/*", ""])
def test_a_pattern_that_leaves_the_folder_is_refused(tmp_path, pattern):
    with pytest.raises(UsageError, match="below --data-dir"):
        load(tmp_path, pattern=pattern)


def test_texts_that_are_missing_too_short_or_too_long(tmp_path):
    with pytest.raises(FileError, match=r"No file in .* matches \*\*/\*\.txt\. Correct --data-dir"):
        load(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"ab" * 100)
    with pytest.raises(FileError, match="has 200 bytes, too few for windows of 64"):
        load(tmp_path)
    with pytest.raises(FileError, match=r"has 0 megabytes; the maximum is 0\.0001"):
        load(tmp_path, max_megabytes=0.0001)
    (tmp_path / "a.txt").write_bytes(b"a" * 1000)
    with pytest.raises(FileError, match="Fewer than two different bytes"):
        load(tmp_path, context=4)
