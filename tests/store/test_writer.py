"""Rows, commits, and every way in which writing can fail."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import small_run

from ffprobe.errors import FileError, UsageError
from ffprobe.store.commits import CHECKSUM, LENGTH
from ffprobe.store.file_lock import FileLock
from ffprobe.store.names import fresh, partial_of, rewrite_of
from ffprobe.store.reader import open_run
from ffprobe.store.schema import Schema, run_schema
from ffprobe.store.writer import RunWriter

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def writer(run_path: Path) -> Iterator[RunWriter]:
    with RunWriter.create(run_path, small_run.schema()) as opened:
        yield opened


def test_finished_file_has_the_final_name_only(finished: Path) -> None:
    assert os.listdir(finished.parent) == ["run.h5"]
    with open_run(finished) as run:
        small_run.check_epochs(run, 3)
        assert run.committed == 3


def test_file_format_is_the_one_that_older_libraries_read(writer: RunWriter) -> None:
    version = h5py.h5f.LIBVER_V110
    assert writer._file.id.get_access_plist().get_libver_bounds() == (version, version)


def test_finish_commits_what_is_left(writer: RunWriter) -> None:
    small_run.write_epoch(writer, 0)
    writer.append("steps", {"loss": [1, 2]})
    with open_run(writer.finish()) as run:
        assert run.committed == 2
        assert run.variable("steps/loss").shape == (8, 2)


def test_missing_values_are_fill_and_labels_count_up(writer: RunWriter) -> None:
    writer.append("metrics", {"loss": [1, 2]})
    writer.append("metrics", {"epoch": 7})
    writer.append("metrics", {})
    writer.append("probes/sparsity", {})
    with open_run(writer.finish()) as run:
        assert run.read("metrics/epoch").tolist() == [0, 7, 2]
        np.testing.assert_array_equal(run.read("metrics/loss"), [[1, 2], [np.nan] * 2, [np.nan] * 2])
        assert np.isnan(run.read("metrics/learning_rate")).all()
        assert run.read("probes/sparsity/zeros").tolist() == [[-1, -1]]
        assert run.read("evaluation/true_label").tolist() == [-1] * 20
        assert np.isnan(run.read("final/wall_time"))


def test_rows_are_copied_when_given(writer: RunWriter) -> None:
    values = np.array([1, 2], "f4")
    writer.append("metrics", {"loss": values})
    values[:] = 9
    with open_run(writer.finish()) as run:
        assert run.read("metrics/loss").tolist() == [[1, 2]]


def test_many_large_rows_do_not_wait_for_the_commit(writer: RunWriter) -> None:
    for _ in range(3):
        writer.extend("steps", {"loss": np.ones((300_000, 2))})
    assert writer._groups["steps"]._bytes < 1 << 22
    writer.commit()
    assert writer._groups["steps"].length == 900_000


def test_extend_equals_appends(writer: RunWriter) -> None:
    writer.append("steps", {"loss": [0, 1]})
    writer.extend("steps", {"loss": [[2, 3], [4, 5]], "step": [5, 6]})
    writer.extend("steps", {"loss": np.zeros((0, 2))})
    with open_run(writer.finish()) as run:
        assert run.read("steps/loss").tolist() == [[0, 1], [2, 3], [4, 5]]
        assert run.read("steps/step").tolist() == [0, 5, 6]


def test_put_whole_part_and_single_number(writer: RunWriter) -> None:
    writer.put("weights/first/weight", np.ones((4, 3)))
    writer.put("weights/first/weight", [5, 6, 7], index=2)
    writer.put("weights/first/weight", [0, 0], index=(slice(0, 2), 1))
    writer.put("final/wall_time", 12.5)
    writer.put("test/goodness", np.ones((2, 5, 3)))
    with open_run(writer.finish()) as run:
        assert run.read("weights/first/weight").tolist() == [[1, 0, 1], [1, 0, 1], [5, 6, 7], [1, 1, 1]]
        assert run.read("final/wall_time") == 12.5
        assert run.read("test/goodness").sum() == 30


@pytest.mark.parametrize(
    ("group", "values", "says"),
    [
        ("metrix", {}, "metrix is not a growing group"),
        ("final", {}, "final is not a growing group"),
        ("metrics", {"lost": [1, 2]}, "metrics/lost is not a growing array"),
        ("metrics", {"layer": 1}, "metrics/layer is not a growing array"),
        ("metrics", {"loss": [1, 2, 3]}, r"metrics/loss: the shape must be \(2,\), not \(3,\)"),
        ("metrics", {"loss": [[1], [2, 3]]}, "metrics/loss: "),
        ("metrics", {"loss": ["a", "b"]}, "metrics/loss: "),
        ("metrics", {"epoch": 1.5}, "metrics/epoch: float64 cannot be stored as int32"),
        ("metrics", {"epoch": 2**40}, "metrics/epoch: int32 holds"),
    ],
)
def test_wrong_rows_are_refused_whole(writer: RunWriter, group: str, values: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        writer.append(group, {"wall_time": 1.0, **values} if group == "metrics" else values)
    assert writer._groups["metrics"].length == 0


def test_wrong_extends_and_puts_are_refused(writer: RunWriter) -> None:
    with pytest.raises(ValueError, match="first axes of all values must have one length"):
        writer.extend("steps", {"loss": np.zeros((3, 2)), "step": [1, 2]})
    with pytest.raises(ValueError, match="first axes of all values must have one length"):
        writer.extend("steps", {})
    with pytest.raises(ValueError, match="metrics/loss is not an array of fixed size"):
        writer.put("metrics/loss", 1)
    with pytest.raises(ValueError, match="weights/first/bias: the shape must be"):
        writer.put("weights/first/bias", [1, 2])
    with pytest.raises(ValueError, match="weights/first/bias: index 9"):
        writer.put("weights/first/bias", 1, index=9)


def test_long_log_text_is_cut_between_characters(writer: RunWriter) -> None:
    writer.log(3, "x" + "é" * 300)
    writer.log(4, "")
    with open_run(writer.finish()) as run:
        assert run.messages() == [(3, "x" + "é" * 199), (4, "")]


def test_a_closed_writer_cannot_write(writer: RunWriter) -> None:
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.append("metrics", {})


def test_finished_file_is_refused_and_replaced_only_at_the_end(finished: Path) -> None:
    before = finished.read_bytes()
    with pytest.raises(UsageError, match="already a finished run file") as caught:
        RunWriter.create(finished, small_run.schema())
    assert "--overwrite" in caught.value.hint
    with RunWriter.create(finished, small_run.schema(), overwrite=True) as writer:
        small_run.write_epoch(writer, 0)
        assert finished.read_bytes() == before
        writer.finish()
    with open_run(finished) as run:
        small_run.check_epochs(run, 1)


def test_an_unfinished_file_is_refused_and_replaced_with_overwrite(partial: Path, run_path: Path) -> None:
    before = partial.read_bytes()
    with pytest.raises(UsageError, match="already an unfinished run file") as caught:
        RunWriter.create(run_path, small_run.schema())
    assert "--resume" in caught.value.hint
    assert "--overwrite" in caught.value.hint
    assert partial.read_bytes() == before
    with RunWriter.create(run_path, small_run.schema(), overwrite=True):
        pass
    with open_run(partial) as run:
        assert run.epochs == 0


def test_file_that_appears_meanwhile_is_not_replaced(writer: RunWriter) -> None:
    writer.path.write_text("mine")
    with pytest.raises(FileError, match="was created during the run"):
        writer.finish()
    assert writer.path.read_text() == "mine"
    assert writer.partial.exists()


def test_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file or directory") as caught:
        RunWriter.create(tmp_path / "nowhere" / "run.h5", small_run.schema())
    assert "run.h5" in caught.value.where


def test_file_in_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="a part of its path is a file"):
        RunWriter.create(tmp_path / "file" / "run.h5", small_run.schema())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_directory(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(FileError, match="permission is denied"):
        RunWriter.create(tmp_path / "run.h5", small_run.schema())


def test_denied_by_the_system(run_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(FileError, match="permission is denied"):
        RunWriter.create(run_path, small_run.schema())


def test_contradictory_schema_leaves_nothing(run_path: Path) -> None:
    twice = small_run.schema().dimensions * 2
    with pytest.raises(ValueError, match="declared twice"):
        RunWriter.create(run_path, Schema(twice, ()))
    assert os.listdir(run_path.parent) == []


@pytest.mark.parametrize("overwrite", [False, True])
def test_second_writer_is_refused_while_the_first_lives(partial: Path, child: Start, overwrite: bool) -> None:
    code = f"""
from ffprobe.errors import FileError; from ffprobe.store.writer import RunWriter; import small_run
for attempt in (lambda: RunWriter.create({str(partial)!r}, small_run.schema(), overwrite={overwrite}),
                lambda: RunWriter.resume({str(partial)!r}, small_run.schema())):
    try: attempt()
    except FileError as error: print(error)
"""
    with RunWriter.resume(partial, small_run.schema()) as writer:
        out, errors = child("-c", code).communicate(timeout=60)
        assert errors == ""
        assert out.count("Another process is writing this run file.") == 2
        small_run.write_epoch(writer, 2)
        with open_run(writer.finish()) as run:
            small_run.check_epochs(run, 3)


def test_claim_is_released_with_the_writer(run_path: Path) -> None:
    for overwrite in (False, True):
        with RunWriter.create(run_path, small_run.schema(), overwrite=overwrite):
            pass


DIES = """
import os, small_run
from ffprobe.store import writer
writer._begin = lambda *_: os.kill(os.getpid(), 9)
writer.RunWriter.{call}
"""


def test_a_kill_while_the_file_is_created_leaves_no_unreadable_file(run_path: Path, child: Start) -> None:
    child("-c", DIES.format(call=f"create({str(run_path)!r}, small_run.schema())")).wait(timeout=60)
    assert os.listdir(run_path.parent) == ["run.h5.partial.rewrite"]
    with RunWriter.create(run_path, small_run.schema()) as writer:
        small_run.write_epoch(writer, 0)
        writer.finish()
    assert os.listdir(run_path.parent) == ["run.h5"]


@pytest.mark.parametrize("how", ["create({}, small_run.schema(), overwrite=True)", "resume({}, small_run.schema())"])
def test_a_kill_while_the_next_file_is_created_leaves_the_previous_file(
    partial: Path, run_path: Path, child: Start, how: str
) -> None:
    before = partial.read_bytes()
    child("-c", DIES.format(call=how.format(repr(str(run_path))))).wait(timeout=60)
    assert partial.read_bytes() == before
    with RunWriter.resume(run_path, small_run.schema()) as writer:
        assert writer.committed == 2


def test_two_processes_cannot_create_the_same_file(run_path: Path, child: Start) -> None:
    new = fresh(rewrite_of(partial_of(run_path)))
    create = f"RunWriter.create({str(run_path)!r}, small_run.schema())"
    code = f"import small_run; from ffprobe.store.writer import RunWriter\n{create}"
    _, errors = child("-c", code).communicate(timeout=60)
    assert "Another process is writing this run file." in errors
    assert new.is_at(rewrite_of(partial_of(run_path)))
    new.close()


def test_a_file_that_replaced_a_leftover_is_not_deleted(run_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite = rewrite_of(partial_of(run_path))
    rewrite.touch()
    theirs: list[FileLock] = []

    def lock(_: int) -> None:  # between opening and locking the leftover, another process replaces it
        monkeypatch.undo()
        rewrite.unlink()
        theirs.append(FileLock(rewrite, create=True))

    monkeypatch.setattr("ffprobe.store.file_lock._lock", lock)
    with pytest.raises(FileError, match="Another process is writing"):
        fresh(rewrite)
    assert theirs[0].is_at(rewrite)
    theirs[0].close()


def test_resume_continues_after_the_last_commit(partial: Path, run_path: Path) -> None:
    with RunWriter.resume(run_path, small_run.schema(), attributes={"seed": 8}) as writer:
        assert writer.committed == 2
        assert small_run.write_epoch(writer, 2) == 2
        writer.finish()
    assert os.listdir(run_path.parent) == ["run.h5"]
    with open_run(run_path) as run:
        small_run.check_epochs(run, 3)
        assert run.read("weights/first/bias").tolist() == [1, 2, 3, 4]
        assert run.attributes["seed"] == 8


def test_resume_goes_back_to_an_earlier_commit(partial: Path, run_path: Path) -> None:
    with RunWriter.resume(run_path, small_run.schema(), commit=0) as writer:
        with open_run(partial) as run:
            small_run.check_epochs(run, 1)
            assert run.committed == writer.committed == 1
        assert small_run.write_epoch(writer, 1) == 1
    with open_run(partial) as run:
        small_run.check_epochs(run, 2)
        assert run.committed == 2


def test_resume_refuses_another_layout_and_keeps_the_file(partial: Path, run_path: Path) -> None:
    before = partial.read_bytes()
    with pytest.raises(UsageError, match=r"another layout: .*evaluation"):
        RunWriter.resume(run_path, run_schema(small_run.facts(validation=21)))
    with pytest.raises(FileError, match="no commit 5") as caught:
        RunWriter.resume(run_path, small_run.schema(), commit=5)
    assert caught.value.hint == "Choose a commit from 0 to 1."
    assert partial.read_bytes() == before
    assert os.listdir(run_path.parent) == [partial.name]


def test_resume_without_a_file(run_path: Path, finished: Path) -> None:
    with pytest.raises(UsageError, match="already a finished"):
        RunWriter.resume(run_path, small_run.schema())
    finished.unlink()
    with pytest.raises(UsageError, match="no unfinished run"):
        RunWriter.resume(run_path, small_run.schema())


def test_commit_record_is_the_declared_one(partial: Path) -> None:
    import zlib

    with h5py.File(partial) as file:
        for row, checksum in zip(file[LENGTH][:], file[CHECKSUM][:], strict=True):
            assert zlib.crc32(row.astype("<i8").tobytes()) == checksum
        names = [name.decode() for name in file["commit/dimension"][:]]
        assert dict(zip(names, file[LENGTH][1], strict=True))["steps/step"] == 2 * small_run.STEPS


def test_data_reach_the_disk_before_the_record(writer: RunWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(writer._lock, "sync", lambda: seen.append(writer._record[LENGTH].shape[0]))
    writer.append("metrics", {})
    writer.commit()
    assert seen == [0, 1]
