"""One trained run for all tests that only read it."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def trained_with_probes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs with activations, images and what the first-party probes record; do not change it."""
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
