"""What all tests share: one torch thread for each worker, no trace outside the test's own folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # child processes too; parallel workers would oversubscribe the cores

import torch
from warm import start

torch.set_num_threads(1)

pytest_plugins = ["pytester", "time_limit", "trained_run"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FFPROBE_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def warm_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """``sys.executable -m ffprobe``, with which an executor starts a run, forks a warm process (``warm/server.py``)."""
    monkeypatch.setattr(sys, "executable", str(start.programs() / "python"))


@pytest.fixture
def golden() -> Path:
    """The folder of reference trajectories, which is not part of the project."""
    folder = Path(__file__).parents[2] / "shared" / "golden"
    if not folder.is_dir():
        pytest.skip("the reference trajectories are not here (../shared/golden)")
    return folder
