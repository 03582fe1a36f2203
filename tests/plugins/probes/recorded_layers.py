"""Run files that hold just the activations that a test gives, written by the real writer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ffprobe.store.schema import ActivationRecord, RunMetadata, run_schema
from ffprobe.store.writer import RunWriter

RULE = {"rule": "forward-forward", "normalizer": "length", "dataset": "digits"}
Recorded = Mapping[tuple[str, str], Mapping[int, np.ndarray]]


def write_layers(
    path: Path,
    recorded: Recorded,
    truth: np.ndarray,
    held: np.ndarray,
    *,
    source_index: np.ndarray | None = None,
    plugins: Mapping[str, str] | None = None,
    seed: int = 0,
    reduction: str = "none",
    unreduced: Mapping[str, float] | None = None,
    attributes: Mapping[str, object] | None = None,
) -> Path:
    """A finished run.

    Args:
        path: of the file.
        recorded: activations ``[N, units]`` by (layer, stage), then by epoch.
        truth: ``[N]``.
        held: ``[N]``.
        source_index: ``[N]``; 0, 1, 2 ... unless given.
        plugins: components by slot, beside ``RULE``.
        seed: the run's.
        reduction: of every layer, in words.
        unreduced: statistics of every layer's whole activation, by their names in the file.
        attributes: more of the root.
    """
    layers = tuple(dict.fromkeys(layer for layer, _ in recorded if layer != "input"))
    width = {place: next(iter(rows.values())).shape[1] for place, rows in recorded.items()}
    slots = {slot: {"name": name} for slot, name in {**RULE, **(plugins or {})}.items()}
    config = {"seed": seed, "training": {"epochs": 100}, **slots}
    facts = RunMetadata(
        layers=layers,
        classes=tuple("abcdefghij"[: int(truth.max()) + 1]),
        validation=4,
        test=0,
        weights={},
        activations=tuple(ActivationRecord(a, b, n, (n,), reduction) for (a, b), n in width.items()),
        activation_samples=(int((held == 0).sum()), int((held != 0).sum())),
        attributes={"config_json": json.dumps(config), "run_id": path.stem, **(attributes or {})},
    )
    with RunWriter.create(path, run_schema(facts)) as writer:
        writer.put("activations/true_label", truth)
        writer.put("activations/held_out", np.asarray(held).astype(int))
        writer.put("activations/source_index", np.arange(len(truth)) if source_index is None else source_index)
        for (layer, stage), rows in recorded.items():
            more = unreduced if unreduced and layer != "input" else {}
            for epoch, x in rows.items():
                writer.append(f"activations/{layer}/{stage}", {"activation": x, "epoch": epoch, **more})
        writer.append("metrics", {"epoch": 1})
        writer.commit()
        return writer.finish()
