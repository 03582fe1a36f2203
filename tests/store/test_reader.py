"""Reading: only committed data, only the requested part, never from outside the file."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import small_run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ffprobe.errors import FileError
from ffprobe.store.commits import CHECKSUM, LENGTH
from ffprobe.store.names import partial_of
from ffprobe.store.reader import open_run
from ffprobe.store.recorded import RecordedArray
from ffprobe.store.writer import RunWriter


def test_a_finished_run(finished: Path) -> None:
    with open_run(finished) as run:
        assert run.complete
        assert (run.committed, run.epochs) == (3, 3)
        assert run.config == {"epochs": 3}
        assert run.attributes["plugins"] == ["olu", "symba"]
        assert run.attributes["none_of_them"] == []
        assert run.attributes["ffprobe_format"] == 1
        assert "activations/first/pre" in run.groups()
        assert set(run.paths()) == small_run.schema().paths()
        assert run.has("metrics/loss")
        assert not run.has("metrics/lost")
        assert run.group_attributes("metrics")["axes"] == ["epoch", "."]
        assert run.read("metrics/layer").tolist() == list(small_run.LAYERS)
        assert run.read("final/model_test_accuracy").shape == ()
        assert repr(run) == f"<run {finished} complete, 3 epochs, {len(run.paths())} arrays>"
    run.close()


def test_uncommitted_rows_are_not_read(partial: Path) -> None:
    with open_run(partial) as run:
        assert not run.complete
        small_run.check_epochs(run, 2)


def test_rows_written_but_not_committed_are_not_read(run_path: Path) -> None:
    with RunWriter.create(run_path, small_run.schema()) as writer:
        small_run.write_epoch(writer, 0)
        writer.append("metrics", {"loss": [8, 8]})
        writer._groups["metrics"].write()
        writer._file.flush()
    with h5py.File(writer.partial) as file:
        assert file["metrics/loss"].shape == (2, 2)
    with open_run(writer.partial) as run:
        small_run.check_epochs(run, 1)
        assert run.variable("metrics/loss")[-1].tolist() == small_run.epoch_rows(0)["metrics/loss"].tolist()
        with pytest.raises(IndexError, match="out of bounds"):
            run.variable("metrics/loss")[1]


@pytest.mark.parametrize("damage", ["checksum", "length", "beyond"])
def test_an_invalid_commit_is_skipped(partial: Path, damage: str) -> None:
    from ffprobe.store.commits import row_checksum

    with h5py.File(partial, "r+") as file:
        if damage == "checksum":
            file[CHECKSUM][1] += 1
        else:
            file[LENGTH][1, 0] += 1 if damage == "length" else 10**12
            if damage == "beyond":
                file[CHECKSUM][1] = row_checksum(file[LENGTH][1])
    with open_run(partial) as run:
        assert run.committed == 1
        small_run.check_epochs(run, 1)


def test_bad_row_between_good_ones(partial: Path) -> None:
    with h5py.File(partial, "r+") as file:
        file[CHECKSUM][0] += 1
    with open_run(partial) as run:
        assert run.committed == 1
        small_run.check_epochs(run, 2)


def test_file_being_written_is_a_snapshot(run_path: Path, child: Callable[..., subprocess.Popen[str]]) -> None:
    process = child(str(Path(small_run.__file__)), str(run_path))
    assert process.stdout is not None
    process.stdout.readline()
    seen = []
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        with open_run(partial_of(run_path)) as run:
            seen.append(run.epochs)
            small_run.check_epochs(run, run.epochs)
            small_run.check_epochs(run, seen[-1])
    assert seen == sorted(seen)
    assert len(set(seen)) > 2


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> RecordedArray:
    with RunWriter.create(tmp_path_factory.mktemp("grown") / "run.h5", small_run.schema()) as writer:
        for epoch in range(9):
            small_run.write_epoch(writer, epoch)
        writer.append("evaluation", {})
        writer._groups["evaluation"].write()
    return open_run(writer.partial).variable("evaluation/goodness")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=hnp.basic_indices((9, 2, 20, 3), allow_newaxis=False))
def test_indexing_is_numpys(grown: RecordedArray, key: object) -> None:
    expected = np.stack([small_run.epoch_rows(e)["evaluation/goodness"] for e in range(9)])
    np.testing.assert_array_equal(grown[key], expected[key])  # type: ignore[index]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.integers(-9, 8), max_size=12), samples=st.lists(st.integers(-20, 19), max_size=5))
def test_lists_and_masks_are_numpys(grown: RecordedArray, rows: list[int], samples: list[int]) -> None:
    expected = np.asarray(grown)
    np.testing.assert_array_equal(grown[rows], expected[np.array(rows, int)])
    np.testing.assert_array_equal(grown[1:, :, samples], expected[1:, :, np.array(samples, int)])
    np.testing.assert_array_equal(grown[rows, 1, ::2], expected[np.array(rows, int), 1, ::2])
    mask = np.isin(np.arange(9), rows)
    np.testing.assert_array_equal(grown[mask], expected[mask])


@pytest.mark.parametrize("key", [9, -10, (0, 0, 0, 0, 0), (..., ...), None, "a", 1.5, ([0], [0]), [9], [True]])
def test_indexing_outside(grown: RecordedArray, key: object) -> None:
    with pytest.raises(IndexError):
        grown[key]


def test_a_recorded_array(finished: Path) -> None:
    with open_run(finished) as run:
        loss = run.variable("/metrics/loss")
        assert (loss.shape, loss.dims, loss.dtype, loss.units) == ((3, 2), ("epoch", "layer"), np.float32, "1")
        assert "loss of the layer" in loss.long_name
        assert (len(loss), loss.ndim, loss.size) == (3, 2, 6)
        assert repr(loss) == "<metrics/loss float32 (epoch: 3, layer: 2)>"
        np.testing.assert_array_equal(np.asarray(loss, dtype="f8"), run.read("metrics/loss"))
        assert [len(b) for b in run.variable("steps/loss").blocks(8)] == [8, 8, 5]
        np.testing.assert_array_equal(
            np.concatenate(list(run.variable("steps/loss").blocks(8))), run.read("steps/loss")
        )
        assert run.variable("probes/sparsity/zeros").attributes == {"n": 3, "of": ["a", "b"], "threshold": 0.5}
        with pytest.raises(TypeError):
            len(run.variable("final/wall_time"))
        with pytest.raises(ValueError, match="blocks"):
            next(run.variable("final/wall_time").blocks(1))


def test_missing_names_get_the_nearest(finished: Path) -> None:
    with open_run(finished) as run:
        with pytest.raises(FileError) as caught:
            run.variable("metrics/los")
        assert "'metrics/loss'" in caught.value.hint
        with pytest.raises(FileError) as caught:
            run.read("qqqq")
        assert "ffprobe show" in caught.value.hint
        with pytest.raises(FileError):
            run.group_attributes("nothing")


def test_too_large_a_reading_is_refused(finished: Path) -> None:
    with open_run(finished, limit=1000) as run:
        with pytest.raises(FileError, match="GiB of memory") as caught:
            run.read("evaluation/goodness")
        assert "blocks()" in caught.value.hint
        assert run.variable("evaluation/goodness")[0, 0].shape == (20, 3)


def _refused(path: Path) -> FileError:
    with pytest.raises(FileError) as caught:
        open_run(path)
    assert caught.value.exit_code == 4
    return caught.value


def test_unfinished_run_under_its_final_name(partial: Path, run_path: Path) -> None:
    error = _refused(run_path)
    assert f"ffprobe repair {partial}" in error.hint
    assert f"ffprobe run --resume --out {run_path}" in error.hint


def test_missing_and_directory(tmp_path: Path) -> None:
    assert "no such run file" in _refused(tmp_path / "run.h5").what
    assert "no such run file" in _refused(tmp_path / "run.h5.partial").what
    assert "directory" in _refused(tmp_path).what


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + b"\xff" * 5000])
@pytest.mark.parametrize("name", ["run.h5", "run.h5.partial"])
def test_not_hdf5(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert "HDF5" in _refused(tmp_path / name).what


@pytest.mark.parametrize("part", [0.99, 0.5, 0.1])
def test_truncated(finished: Path, part: float) -> None:
    data = finished.read_bytes()
    finished.write_bytes(data[: int(len(data) * part)])
    assert "truncated" in _refused(finished).what


def test_zeroed_middle_is_damage_not_a_crash(finished: Path) -> None:
    data = bytearray(finished.read_bytes())
    for start in range(200, len(data) - 4096, 8192):
        data[start : start + 1024] = bytes(1024)
    finished.write_bytes(data)
    _refused(finished)


def test_someone_elses_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["x"] = 1
    assert "not written by ffprobe" in _refused(tmp_path / "run.h5").what


def test_newer_format(finished: Path) -> None:
    with h5py.File(finished, "r+") as file:
        file.attrs["ffprobe_format"] = 2
    error = _refused(finished)
    assert "format 2" in error.what
    assert "pip install --upgrade" in error.hint


def test_without_a_commit_record(finished: Path) -> None:
    with h5py.File(finished, "r+") as file:
        del file["commit"]
    assert "commit/length" in _refused(finished).what


def test_killed_file_under_the_final_name(
    partial: Path, run_path: Path, child: Callable[..., subprocess.Popen[str]]
) -> None:
    partial.unlink()
    process = child(str(Path(small_run.__file__)), str(run_path))
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    shutil.move(partial, run_path)
    assert "not closed by its writer" in _refused(run_path).what


def test_bad_config(finished: Path) -> None:
    for text, says in (("{", "not valid JSON"), ("[1]", "not a JSON object")):
        with h5py.File(finished, "r+") as file:
            file.attrs["config_json"] = text
        with open_run(finished) as run, pytest.raises(FileError, match=says):
            run.config  # noqa: B018


def test_attributes_that_others_add_are_decoded(finished: Path) -> None:
    with h5py.File(finished, "r+") as file:
        file.attrs["fixed"] = np.bytes_("abc")
        file.attrs["several"] = np.array([b"a", b"b"])
        file.attrs["empty"] = h5py.Empty("f4")
        file.attrs["table"] = np.zeros((2, 2))
    with open_run(finished) as run:
        found = run.attributes
    assert (found["fixed"], found["several"], found["empty"]) == ("abc", ["a", "b"], [])
    assert "table" not in found


def test_links_out_of_the_file_are_not_followed(finished: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["metrics/loss"] = np.ones((3, 2), "f4")
    (tmp_path / "raw").write_bytes(bytes(24))
    with h5py.File(finished, "r+") as file:
        group = file["metrics"]
        group["outside"] = h5py.ExternalLink("secret.h5", "/metrics/loss")
        group["soft"] = h5py.SoftLink("/steps/loss")
        group.create_dataset("raw", (3, 2), "f4", external=[(str(tmp_path / "raw"), 0, 24)])
        layout = h5py.VirtualLayout((3, 2), "f4")
        layout[...] = h5py.VirtualSource("secret.h5", "metrics/loss", (3, 2))
        group.create_virtual_dataset("virtual", layout)
        group["compound"] = np.zeros(2, [("a", "f4")])
        group.create_dataset("half", data=np.zeros(2, "f2"))
        group["loop"] = file["metrics"]
        file["metrics"].attrs["reference"] = file.ref
    with open_run(finished) as run:
        for name in ("outside", "soft", "raw", "virtual", "compound", "half", "loop"):
            assert not run.has(f"metrics/{name}")
            with pytest.raises(FileError, match=f"metrics/{name} (is|has) "):
                run.read(f"metrics/{name}")
        assert "reference" not in run.group_attributes("metrics")
        small_run.check_epochs(run, 3)


def test_absurd_sizes_take_no_memory(finished: Path) -> None:
    with h5py.File(finished, "r+") as file:
        file["metrics/loss"].resize(1 << 40, axis=0)
    with open_run(finished) as run:
        assert run.variable("metrics/loss").shape == (3, 2)
    with h5py.File(finished, "r+") as file:
        scale = file["metrics/layer"]
        file["metrics"].create_dataset("bomb", (1 << 40, 2), "f4", chunks=(1024, 2)).dims[1].attach_scale(scale)
        length = file["metrics"].create_dataset("big", (1 << 40,), "i8", chunks=(1024,))
        length.make_scale("big")
        file["metrics/bomb"].dims[0].attach_scale(length)
    with open_run(finished) as run:
        for path in ("metrics/bomb", "metrics/big"):
            assert run.variable(path)[:2].shape[0] == 2
            with pytest.raises(FileError, match=r"GiB of memory; the limit is"):
                run.read(path)
        with pytest.raises(FileError, match="metrics/big has shape"):
            _ = run.schema
    with h5py.File(finished, "r+") as file:
        del file["metrics/bomb"], file["metrics/big"]
        file[LENGTH].resize(1 << 40, axis=0)
        file[CHECKSUM].resize(1 << 40, axis=0)
    assert "commit record is too long" in _refused(finished).what
