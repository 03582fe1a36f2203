"""Files for the tests of the store: a finished run, an unfinished run, and child processes that can be killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import small_run

from ffprobe.store.names import partial_of
from ffprobe.store.writer import RunWriter

HERE = Path(__file__).parent


@pytest.fixture
def run_path(tmp_path: Path) -> Path:
    """The final name of a run that does not exist yet."""
    return tmp_path / "run.h5"


@pytest.fixture(scope="session")
def _finished_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with RunWriter.create(tmp_path_factory.mktemp("store") / "run.h5", small_run.schema()) as writer:
        for epoch in range(3):
            small_run.write_epoch(writer, epoch)
        writer.put("final/model_test_accuracy", 0.75)
        writer.put("weights/first/weight", [[1, 2, 3]] * 4)
        return writer.finish()


@pytest.fixture(scope="session")
def _partial_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with RunWriter.create(tmp_path_factory.mktemp("store") / "run.h5", small_run.schema()) as writer:
        for epoch in range(2):
            small_run.write_epoch(writer, epoch)
        writer.append("metrics", {"epoch": 99})
        writer.put("weights/first/bias", [1, 2, 3, 4])
    return writer.partial


@pytest.fixture
def finished(run_path: Path, _finished_once: Path) -> Path:
    """A finished run of three epochs; each test gets its own copy."""
    return Path(shutil.copy(_finished_once, run_path))


@pytest.fixture
def partial(run_path: Path, _partial_once: Path) -> Path:
    """The unfinished file of a run of two committed epochs, and a row that was not committed."""
    return Path(shutil.copy(_partial_once, partial_of(run_path)))


@pytest.fixture
def child() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python on a script or on code; processes that still run are killed at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        paths = os.pathsep.join([str(HERE), str(HERE.parents[1])])
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
