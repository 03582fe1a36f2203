"""A config that trains in a second, for tests."""

from __future__ import annotations

from typing import Any

from ffprobe.config.parsing import merge
from ffprobe.config.preset_files import BASE_PRESET, read_preset
from ffprobe.config.resolve import picks, resolve
from ffprobe.config.settings import RunConfig
from ffprobe.plugin.registry import Registry

TOY: dict[str, Any] = {
    "network": {"name": "tiny", "width": 0.25},
    "precision": "fp32",
    "device": "cpu",
    "training": {"epochs": 2, "batch_size": 64, "max_images": 256, "evaluation_batch": 128},
    "recording": {"samples": 60, "max_features": 32},
}
"""``tiny`` at a quarter of its width on 256 digits, two epochs."""

WORDS = ["--set", "network=tiny", "--set", "network.width=0.25", "--precision", "fp32", "--epochs", "2"]
WORDS += ["--batch-size", "64", "--set", "training.max_images=256", "--set", "recording.samples=60"]
WORDS += ["--set", "recording.max_features=32", "--device", "cpu"]
"""The same for ``ffprobe run``."""


def toy_config(registry: Registry, *plugins: str, **changes: Any) -> RunConfig:
    """The toy config with plugins and changes over it."""
    table = merge(read_preset(BASE_PRESET), TOY)
    picked = picks(plugins, registry)
    picked["probes"] = [*table["probes"], *picked.get("probes", [])]
    return resolve(merge(merge(table, picked), changes), registry)
