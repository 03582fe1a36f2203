"""A run file with names that try to be code, terminal commands or right-to-left text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ffprobe.store.schema import RunMetadata, run_schema
from ffprobe.store.writer import RunWriter

EVIL = "<script>alert(1)</script>\x1b[2J\u202e\"'&`${1}"
EVIL_FILE = "evil <img src=x onerror=alert(1)> \u202e"


def evil_run(path: Path, *, finish: bool = True) -> Path:
    """Write a run of one epoch whose texts are all hostile.

    Args:
        path: the run file.
        finish: whether the run finishes; otherwise its file stays ``path``.partial, and nobody writes it.
    """
    config = {
        "preset": EVIL, "seed": 0, "training": {"epochs": 1}, EVIL: {"name": EVIL, EVIL: EVIL},
        "loss": {"name": EVIL}, "dataset": {"name": EVIL},
    }  # fmt: skip
    facts = RunMetadata(
        layers=(EVIL.replace("/", "|"),),
        classes=(EVIL, "b"),
        validation=4,
        test=4,
        weights={},
        attributes={
            "config_json": json.dumps(config), "class_names": [EVIL, "b"], "command": EVIL, "title": EVIL,
            "device": EVIL, "layer_shapes": [EVIL], "layer_kinds": [EVIL], "update_groups": [EVIL],
        },
    )  # fmt: skip
    with RunWriter.create(path, run_schema(facts)) as writer:
        for group in ("evaluation", "test"):
            writer.put(f"{group}/true_label", np.array([0, 1, 0, 1]))
        writer.put("evaluation/source_index", np.arange(4))
        goodness = np.array([[[1, 0], [0, 1], [0, 1], [1, 0]]], np.float32)
        writer.append("evaluation", {"epoch": 1, "goodness": goodness})
        writer.put("test/goodness", goodness)
        writer.append("metrics", {"epoch": 1, "loss": [0.5], "model_validation_accuracy": 0.5})
        writer.log(1, EVIL)
        writer.commit()
        if finish:
            writer.finish()
    return path
