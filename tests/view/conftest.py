"""A small recorded run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs with activations, images and what probes record."""
    from toy import toy_config

    from ffprobe.api import train
    from ffprobe.plugin.registry import Registry

    out = tmp_path_factory.mktemp("trained") / "toy.h5"
    registry = Registry()
    config = toy_config(
        registry, "gradients", "scaling", "negatives", "locality", "evaluation", "olu",
        recording={"samples": 60, "max_features": 32, "images": 40},
    )  # fmt: skip
    train(config, registry, out, command="ffprobe run")
    return out


@pytest.fixture
def folder(tmp_path: Path, trained: Path) -> Path:
    """A directory with that run."""
    shutil.copy(trained, tmp_path / "toy.h5")
    return tmp_path
