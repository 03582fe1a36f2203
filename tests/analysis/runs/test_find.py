"""Run files are found in and below directories."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ffprobe.analysis.runs.find import current_name, find_runs
from ffprobe.errors import FileError


def touch(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [folder / name for name in names]


def test_finished_and_unfinished_runs_in_and_below_a_directory(tmp_path: Path) -> None:
    wanted = touch(tmp_path, "a.h5", "b/c.h5.partial", "b/d/e.h5")
    touch(tmp_path, "a.h5.checkpoint", "b/f.h5.partial.rewrite", "notes.txt", ".hidden/x.h5")
    os.symlink(tmp_path, tmp_path / "b" / "loop")
    assert find_runs(tmp_path) == wanted
    assert find_runs(tmp_path / ".hidden") == [tmp_path / ".hidden" / "x.h5"]  # it is named


def test_each_file_once_and_in_the_given_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, c = touch(tmp_path, "a.h5", "b/b.h5", "c.other")
    monkeypatch.chdir(tmp_path)
    assert find_runs("b/b.h5", tmp_path, "c.other", c) == [Path("b/b.h5"), a, Path("c.other")]
    assert find_runs(b, "b") == [b]


def test_a_named_run_that_has_not_finished(tmp_path: Path) -> None:
    (partial,) = touch(tmp_path, "a.h5.partial")
    assert find_runs(tmp_path / "a.h5") == [partial]
    assert current_name(partial) == partial
    partial.rename(tmp_path / "a.h5")
    assert current_name(partial) == tmp_path / "a.h5"


@pytest.mark.parametrize("name", ["nowhere", "x" * 300])
def test_what_does_not_exist_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match="no such file or directory"):
        find_runs(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_directory_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    assert find_runs(tmp_path) == []
    with pytest.raises(FileError, match="permission is denied"):
        find_runs(tmp_path / "closed")
