"""Small run files for lists of runs: written at once, without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ffprobe.config.preset_files import BASE_PRESET, read_preset
from ffprobe.store.schema import RunMetadata, run_schema
from ffprobe.store.writer import RunWriter

NAN = float("nan")


def begin(
    path: Path,
    *,
    preset: str = BASE_PRESET,
    seed: int = 0,
    created: str = "2026-01-02T03:04:05Z",
    planned: int = 4,
    measured: tuple[float, ...] = (0.25, 0.5, NAN),
    **slots: Any,
) -> RunWriter:
    """An unfinished file, locked by this process: one epoch for each measured validation accuracy."""
    components = {slot: {"name": name} for slot, name in slots.items()}
    config = {**read_preset(preset), "preset": preset, "seed": seed, "training": {"epochs": planned}, **components}
    facts = RunMetadata(
        layers=("0",),
        classes=("a", "b"),
        validation=10,
        test=10,
        weights={},
        activations=(),
        activation_samples=(5, 3),
        attributes={"config_json": json.dumps(config), "created_utc": created},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = RunWriter.create(path, run_schema(facts))
    for epoch, accuracy in enumerate(measured, 1):
        writer.append("metrics", {"epoch": epoch, "model_validation_accuracy": accuracy})
        writer.commit()
    return writer


def finished(path: Path, *, test: float = NAN, validation: float = 0.5, **words: Any) -> Path:
    """A finished file."""
    with begin(path, **words) as writer:
        writer.put("final/model_test_accuracy", test)
        writer.put("final/model_validation_accuracy", validation)
        return writer.finish()


def interrupted(path: Path, **words: Any) -> Path:
    """An unfinished file that no process writes."""
    with begin(path, **words):
        return Path(f"{path}.partial")
