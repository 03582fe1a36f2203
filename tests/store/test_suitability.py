"""``ffprobe doctor`` writes, locks and reads a small run file in a folder."""

from __future__ import annotations

from pathlib import Path

from ffprobe.store import suitability
from ffprobe.store.suitability import check_folder


def test_a_good_folder_is_ok_and_left_as_it_was(tmp_path: Path) -> None:
    found = check_folder(tmp_path)
    assert (found["writing"], found["locking"], found["reading while written"]) == ("ok", "ok", "ok")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_and_a_file_are_reported(tmp_path: Path) -> None:
    assert check_folder(tmp_path / "none")["writing"] == "there is no such folder"
    (tmp_path / "file").write_text("")
    assert check_folder(tmp_path / "file")["writing"] == "there is no such folder"


def test_a_folder_without_locks_is_reported(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    class NoLock:
        def __init__(self, path: Path) -> None: ...
        def close(self) -> None: ...

    monkeypatch.setattr(suitability, "FileLock", NoLock)
    assert "does not support locks" in check_folder(tmp_path)["locking"]
