"""Kill the writer, fill the disk: committed data is intact bit for bit, and the process exits cleanly."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import pytest
import small_run
import xarray

from ffprobe.store.names import partial_of
from ffprobe.store.reader import open_run
from ffprobe.store.repair import repair
from ffprobe.store.writer import RunWriter

Start = Callable[..., subprocess.Popen[str]]
SCRIPT = str(Path(small_run.__file__))


def _last_commit(out: str) -> int:
    """The last commit that the child process printed."""
    numbers = [line for line in out.splitlines() if line.isdigit()]
    return int(numbers[-1]) if numbers else 0


def _check_survivor(path: Path, printed: int) -> int:
    """Every printed commit is in the file, and at most one more. Then repair, compare, resume."""
    partial = partial_of(path)
    with open_run(partial) as run:
        found = run.epochs
        assert printed <= found <= printed + 1
        assert run.committed == found
        small_run.check_epochs(run, found)
    repair(partial)
    with open_run(partial) as run:
        small_run.check_epochs(run, found)
    for engine in ("h5netcdf", "netcdf4"):
        with xarray.open_dataset(partial, engine=engine, group="metrics") as data:
            assert data.sizes == {"epoch": found, "layer": 2}
    return found


@pytest.mark.parametrize("attempt", range(10))
def test_sigkill_in_a_tight_loop(run_path: Path, child: Start, attempt: int) -> None:
    process = child(SCRIPT, str(run_path))
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(random.Random(attempt).uniform(0, 0.25))
    process.kill()
    out, errors = process.communicate()
    assert errors == ""
    assert process.returncode == -9
    found = _check_survivor(run_path, _last_commit(first + out))
    with RunWriter.resume(run_path, small_run.schema()) as writer:
        small_run.write_epoch(writer, found)
        writer.finish()
    with open_run(run_path) as run:
        small_run.check_epochs(run, found + 1)


def test_killed_file_is_resumed_without_repair(run_path: Path, child: Start) -> None:
    process = child(SCRIPT, str(run_path))
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    with pytest.raises(OSError, match="already open for write"):
        h5py.File(partial_of(run_path))
    with RunWriter.resume(run_path, small_run.schema(), commit=0) as writer:
        small_run.write_epoch(writer, 1)
        writer.finish()
    with open_run(run_path) as run:
        small_run.check_epochs(run, 2)


def _check_full_disk(process: subprocess.Popen[str], path: Path, says: str) -> None:
    out, errors = process.communicate(timeout=60)
    assert errors == ""
    # without ffprobe.store.abandon HDF5 ends the process by SIGSEGV here
    assert process.returncode == 4
    message = out.splitlines()[-1]
    assert message.startswith(f"FileError The run file could not be written: {says}. ({partial_of(path)})")
    assert "resume from the last one with `ffprobe run --resume`." in message
    with open_run(partial_of(path)) as run:
        assert 0 < _last_commit(out) <= run.epochs <= _last_commit(out) + 1
        small_run.check_epochs(run, run.epochs)


@pytest.mark.parametrize("size", [225_777, 250_000, 325_777])
def test_file_size_limit(run_path: Path, child: Start, size: int) -> None:
    process = child(SCRIPT, str(run_path), str(size))
    _check_full_disk(process, run_path, "the file has reached the limit on file sizes")
    with RunWriter.resume(run_path, small_run.schema()) as writer:
        epochs = writer.committed
        small_run.write_epoch(writer, epochs)
        writer.finish()
    with open_run(run_path) as run:
        small_run.check_epochs(run, epochs + 1)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 KiB; only root can mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "none", str(disk)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        done = False
    if not done:
        pytest.skip("only root can mount a file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_full_disk(tiny_disk: Path, child: Start) -> None:
    path = tiny_disk / "run.h5"
    _check_full_disk(child(SCRIPT, str(path)), path, "no space is left on the disk")


def test_full_disk_at_the_start_leaves_nothing(run_path: Path, child: Start) -> None:
    out, errors = child(SCRIPT, str(run_path), "5000").communicate(timeout=60)
    assert errors == ""
    assert "FileError The run file could not be created: the file has reached the limit on file sizes" in out
    assert "--resume" not in out
    assert list(run_path.parent.iterdir()) == []
