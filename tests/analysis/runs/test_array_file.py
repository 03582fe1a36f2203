"""Files of arrays are written atomically, and nothing in them is trusted."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ffprobe.analysis.runs.array_file import read_arrays, write_arrays

ARRAYS = {"a": np.array([[1.0, np.nan], [3.0, np.inf]]), "b": np.zeros((0, 4))}
SHAPES = {"a": (2, 2), "b": (0, 4)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_arrays(tmp_path / "x.npz", "key", ARRAYS)
    return tmp_path / "x.npz"


def npy(array: np.ndarray, *, pickled: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=pickled)
    return file.getvalue()


def pack(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)


def test_it_reads_what_was_written(path: Path) -> None:
    read = read_arrays(path, "key", SHAPES)
    assert read is not None
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array)
    read["a"][0, 0] = 5  # a copy that may be changed


@pytest.mark.parametrize(
    ("key", "shapes"),
    [
        ("other", SHAPES),
        ("key", {**SHAPES, "a": (4,)}),
        ("key", {**SHAPES, "a": (2, 3)}),
        ("key", {"a": (2, 2)}),
        ("key", {**SHAPES, "c": (1,)}),
    ],
)
def test_another_key_or_shape_is_not_there(path: Path, key: str, shapes: dict[str, tuple[int, ...]]) -> None:
    assert read_arrays(path, key, shapes) is None


def test_damage_is_noticed(path: Path) -> None:
    content = path.read_bytes()
    for at in range(0, len(content), 7):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        read = read_arrays(path, "key", SHAPES)
        assert read is None or all(np.array_equal(read[n], ARRAYS[n], equal_nan=True) for n in ARRAYS)
        path.write_bytes(content[:at])
        assert read_arrays(path, "key", SHAPES) is None


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("exploded",)


def test_hostile_files_do_no_harm(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    key, good = npy(np.frombuffer(b"key", np.uint8)), npy(ARRAYS["a"])
    bomb = np.empty((2, 2), object)
    bomb[0, 0] = Bomb()
    huge = good.replace(b"(2, 2)", b"(2000000, 2000000)"[:6])
    for a in (npy(bomb, pickled=True), pickle.dumps(Bomb()), huge, good.replace(b"<f8", b"<i8"), b""):
        pack(path, {"key": key, "a": a, "b": npy(ARRAYS["b"])})
        assert read_arrays(path, "key", SHAPES) is None
    pack(path, {"key": key, "a": npy(np.zeros((10_000_000,))), "b": npy(ARRAYS["b"])}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 17
    assert read_arrays(path, "key", {"a": (10_000_000,), "b": (0, 4)}) is None  # nothing is decompressed
    assert not (path.parent / "exploded").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_what_is_not_a_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening it would wait forever
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder", "nothing"):
        assert read_arrays(tmp_path / name, "key", SHAPES) is None


def test_a_failed_write_leaves_the_old_file_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_arrays(path, "new", ARRAYS)
    assert [p.name for p in path.parent.iterdir()] == ["x.npz"]
    assert read_arrays(path, "key", SHAPES) is not None
