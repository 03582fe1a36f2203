"""A repaired file contains the committed data, is readable by every program, and is still unfinished."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import small_run
import xarray

from ffprobe.errors import FileError, UsageError
from ffprobe.store.commits import CHECKSUM
from ffprobe.store.names import fresh, rewrite_of
from ffprobe.store.reader import open_run
from ffprobe.store.repair import repair
from ffprobe.store.rewrite import LOST
from ffprobe.store.schema_reader import normal
from ffprobe.store.writer import RunWriter


def test_repaired_in_place(partial: Path) -> None:
    assert repair(partial) == partial
    assert os.listdir(partial.parent) == [partial.name]
    with h5py.File(partial) as file:
        assert file["metrics/loss"].shape == (2, 2)
    with open_run(partial) as run:
        small_run.check_epochs(run, 2)
        assert run.schema == normal(small_run.schema())
        assert run.read("weights/first/bias").tolist() == [1, 2, 3, 4]
        assert (run.committed, run.complete) == (2, False)
    with netCDF4.Dataset(partial) as data:
        assert data["metrics/loss"].dimensions == ("epoch", "layer")
    for engine in ("h5netcdf", "netcdf4"):
        with xarray.open_dataset(partial, engine=engine, group="evaluation") as data:
            assert data["goodness"].dims == ("epoch", "layer", "sample", "label")
            np.testing.assert_array_equal(data["goodness"][1], small_run.epoch_rows(1)["evaluation/goodness"])


def test_repaired_elsewhere_leaves_the_original(partial: Path) -> None:
    before = partial.read_bytes()
    out = repair(partial, partial.parent / "copy.h5.partial")
    assert partial.read_bytes() == before
    with open_run(out) as run:
        small_run.check_epochs(run, 2)


def test_repaired_twice_and_resumed(partial: Path, run_path: Path) -> None:
    repair(repair(partial))
    with RunWriter.resume(run_path, small_run.schema()) as writer:
        small_run.write_epoch(writer, 2)
        writer.finish()
    with open_run(run_path) as run:
        small_run.check_epochs(run, 3)


def test_invalid_commits_are_dropped(partial: Path) -> None:
    with h5py.File(partial, "r+") as file:
        file[CHECKSUM][0] += 1
    repair(partial)
    with h5py.File(partial) as file:
        assert file["commit/commit"][:].tolist() == [0]
    with open_run(partial) as run:
        small_run.check_epochs(run, 2)


def test_nothing_committed(run_path: Path) -> None:
    with RunWriter.create(run_path, small_run.schema()) as writer:
        writer.append("metrics", {})
    with open_run(repair(writer.partial)) as run:
        assert (run.committed, run.epochs) == (0, 0)
        assert run.variable("metrics/loss").shape == (0, 2)


def _damage_chunk(path: Path, array: str) -> None:
    """Overwrite an array's first compressed chunk with random bytes."""
    with h5py.File(path) as file:
        chunk = file[array].id.get_chunk_info(0)
    with path.open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"\xaa" * chunk.size)


def test_damaged_fixed_array_is_named_and_the_rest_saved(run_path: Path) -> None:
    with RunWriter.create(run_path, small_run.schema()) as writer:
        small_run.write_epoch(writer, 0)
        writer.put("test/goodness", np.ones((2, 5, 3)))
        writer.commit()
    _damage_chunk(writer.partial, "test/goodness")
    with open_run(repair(writer.partial)) as run:
        assert run.attributes[LOST] == ["test/goodness"]
        assert np.isnan(run.read("test/goodness")).all()
        small_run.check_epochs(run, 1)


def test_damaged_committed_rows_are_an_error(partial: Path) -> None:
    _damage_chunk(partial, "evaluation/goodness")
    before = partial.read_bytes()
    with pytest.raises(FileError, match="evaluation/goodness could not be read"):
        repair(partial)
    assert partial.read_bytes() == before
    assert os.listdir(partial.parent) == [partial.name]


def test_names(finished: Path) -> None:
    with pytest.raises(UsageError, match="Only an unfinished file"):
        repair(finished)
    with pytest.raises(FileError, match="no such unfinished file"):
        repair(finished.with_name("nothing.h5.partial"))


def test_the_output_name_must_be_that_of_an_unfinished_file(partial: Path) -> None:
    with pytest.raises(UsageError, match="still unfinished"):
        repair(partial, partial.with_name("copy.h5"))
    partial.with_name("b.partial").touch()
    with pytest.raises(UsageError, match="already exists"):
        repair(partial, partial.with_name("b.partial"))
    with pytest.raises(FileError, match="no such file or directory"):
        repair(partial, partial.parent / "nowhere" / "copy.h5.partial")


def test_live_writer_is_left_alone(run_path: Path) -> None:
    with RunWriter.create(run_path, small_run.schema()) as writer:
        with pytest.raises(FileError, match="Another process is writing"):
            repair(writer.partial)
        writer.commit()


def test_a_file_that_another_process_is_creating_is_left_alone(partial: Path) -> None:
    copy = partial.with_name("copy.h5.partial")
    theirs = fresh(rewrite_of(copy))
    with pytest.raises(FileError, match="Another process is writing"):
        repair(partial, copy)
    assert theirs.is_at(rewrite_of(copy))
    theirs.close()
    assert repair(partial, copy) == copy  # the leftover of a killed process is replaced
    assert sorted(os.listdir(partial.parent)) == [copy.name, partial.name]


def test_not_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "run.h5.partial"
    path.write_bytes(b"nothing")
    with pytest.raises(FileError, match="cannot be read: it is not HDF5"):
        repair(path)
    assert path.read_bytes() == b"nothing"
