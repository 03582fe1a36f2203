"""The cache of arrays between runs."""

import logging
import os

import numpy as np
import pytest

from ffprobe.data.cache import cached_arrays


@pytest.fixture(autouse=True)
def room(tmp_path, monkeypatch):
    monkeypatch.setenv("FFPROBE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "room"


class Builder:
    """Counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return {"numbers": np.arange(10_000, dtype=np.uint8), "words": np.array(["one", "größer"])}


def test_built_once_and_read_back(room):
    build = Builder()
    first, second = (cached_arrays("room", ("key", 1), build) for _ in range(2))
    assert build.calls == 1
    for name in ("numbers", "words"):
        assert first[name].dtype == second[name].dtype
        assert np.array_equal(first[name], second[name])
    assert [path.suffix for path in room.iterdir()] == [".npz"]


def test_another_key_is_built_separately():
    build = Builder()
    for key in ((1,), (2,), ("1",)):
        cached_arrays("room", key, build)
    assert build.calls == 3


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "garbage"])
def test_a_damaged_entry_is_built_again(room, damage, caplog):
    build = Builder()
    whole = cached_arrays("room", ("key",), build)
    (path,) = room.iterdir()
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    damaged = {"truncated": content[:5000], "flipped": content, "empty": b"", "garbage": b"PK" + bytes(100)}[damage]
    path.write_bytes(damaged)
    with caplog.at_level(logging.WARNING, "ffprobe"):
        again = cached_arrays("room", ("key",), build)
    assert np.array_equal(again["numbers"], whole["numbers"])
    assert build.calls == 2
    assert str(path) in caplog.text
    cached_arrays("room", ("key",), build)
    assert build.calls == 2


def test_every_single_damaged_byte_is_detected(room):
    """Only the arrays matter: a flipped bit in a date within the zip may pass."""
    whole = cached_arrays("room", ("key",), Builder())
    (path,) = room.iterdir()
    content = path.read_bytes()
    for place in [*range(0, 400), *range(400, len(content) - 400, 997), *range(len(content) - 400, len(content))]:
        damaged = bytearray(content)
        damaged[place] ^= 0x41
        path.write_bytes(damaged)
        again = cached_arrays("room", ("key",), Builder())
        assert again.keys() == whole.keys()
        assert all(np.array_equal(again[name], whole[name]) for name in whole)


def test_pickles_are_not_read(room):
    build = Builder()
    cached_arrays("room", ("key",), build)
    (path,) = room.iterdir()
    with np.load(path) as whole:
        np.savez(path, **{**whole, "numbers": np.array([{"an": "object"}], dtype=object)})
    assert cached_arrays("room", ("key",), build)["numbers"].dtype == np.uint8
    assert build.calls == 2


def test_pickles_are_not_written(room):
    with pytest.raises(ValueError, match="pickles"):
        cached_arrays("room", ("key",), lambda: {"x": np.array([{}], dtype=object)})
    assert not room.exists()


def test_the_arrays_are_returned_if_the_cache_cannot_be_written(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("FFPROBE_CACHE_DIR", str(tmp_path / "file"))
    build = Builder()
    with caplog.at_level(logging.WARNING, "ffprobe"):
        assert len(cached_arrays("room", ("key",), build)["numbers"]) == 10_000
    assert "cannot be written" in caplog.text


def test_a_failed_write_leaves_nothing_behind(room, monkeypatch, caplog):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    cached_arrays("room", ("key",), Builder())
    assert list(room.iterdir()) == []
    assert "no space left" in caplog.text


def test_a_failed_build_stores_nothing(room):
    with pytest.raises(ZeroDivisionError):
        cached_arrays("room", ("key",), lambda: {"x": np.array(1 / 0)})
    assert not room.exists()
