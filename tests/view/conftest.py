"""A small recorded run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def trained(trained_with_probes: Path) -> Path:
    """A run of two epochs with activations, images and what probes record; do not change it."""
    return trained_with_probes


@pytest.fixture
def folder(tmp_path: Path, trained: Path) -> Path:
    """A directory with a copy of that run."""
    shutil.copy(trained, tmp_path / "toy.h5")
    return tmp_path
