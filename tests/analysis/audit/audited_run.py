"""A small finished run file with just what an audit reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ffprobe.store.reader import RunFile, open_run
from ffprobe.store.schema import ActivationRecord, Dimension, RunMetadata, Variable, run_schema
from ffprobe.store.writer import RunWriter

TRUTH = np.arange(40) % 4
LAYERS = ("0", "1")
ALIGNMENT_DIMS = (Dimension("row", None, long_name="sandbox"), Dimension("layer", 2, "str", LAYERS, long_name="layer"))
ALIGNMENT = tuple(
    Variable(name, ("row", "layer"), long_name=name, dimensions=ALIGNMENT_DIMS) for name in ("cosine", "floor")
)


def audited(
    path: Path,
    *,
    seed: int = 0,
    right: int = 30,
    attributes: Mapping[str, object] | None = None,
    training: Mapping[str, object] | None = None,
    features: Mapping[str, np.ndarray] | None = None,
    norms: tuple[list[float], list[float]] = ([1.0, 2.0], [1.5, 2.5]),
    alignment: tuple[list[float], list[float]] | None = None,
    no_label: bool = False,
) -> RunFile:
    """Write and open a run of two layers that classifies ``right`` of 40 test images correctly.

    Args:
        path: of the file.
        seed: of the run.
        right: number of correct test images.
        attributes: of the root, beside the usual ones.
        training: settings of the run.
        features: activations ``[40, F]`` of the pixels, and of both layers before and after training, by name
            (``pixels``, ``untrained``, ``trained``); none are recorded by default.
        norms: of the weights, before and after training.
        alignment: cosine and floor of each layer in one sandbox.
        no_label: whether no label enters the network, so that recorded goodness is NaN.
    """
    goodness = np.tile(np.eye(4)[TRUTH], (2, 1, 1))
    wrong = np.arange(40) >= right
    goodness[:, wrong] = np.roll(goodness[:, wrong], 1, axis=2)
    places = {"input": ("pre",), "0": ("pre", "post"), "1": ("pre", "post")} if features else {}
    width = next(iter(features.values())).shape[1] if features else 0
    facts = RunMetadata(
        layers=LAYERS,
        classes=("a", "b", "c", "d"),
        validation=40,
        test=40,
        weights={},
        activations=tuple(
            ActivationRecord(p, s, width, (width,), "none") for p, stages in places.items() for s in stages
        ),
        activation_samples=(20, 20),
        probes={"alignment": ALIGNMENT} if alignment else {},
        attributes={
            "config_json": json.dumps(
                {"seed": seed, "training": {"epochs": 1, **(training or {})}, "dataset": {"name": "digits"}}
            ),
            "seed": seed,
            "run_id": path.stem,
            "test_set_read": "once, at the end",
            "training_images": 20,
            **(attributes or {}),
        },
    )
    accuracy = (goodness.argmax(axis=2) == TRUTH).mean(axis=1)
    with RunWriter.create(path, run_schema(facts)) as writer:
        writer.put("evaluation/true_label", TRUTH)
        writer.put("initial/weight_norm", np.array(norms[0]))
        if features:
            writer.put("activations/true_label", TRUTH)
            writer.put("activations/held_out", (np.arange(40) >= 20).astype(int))
            for place, stages in places.items():
                for stage in stages:
                    for epoch, name in ((0, "untrained"), (1, "trained")):
                        x = features["pixels" if place == "input" else name]
                        writer.append(f"activations/{place}/{stage}", {"activation": x, "epoch": epoch})
        if alignment:
            writer.append("probes/alignment", {"cosine": alignment[0], "floor": alignment[1]})
        metrics = {
            "validation_accuracy": accuracy,
            "loss": [0.1, 0.1],
            "weight_norm": norms[1],
            "images_per_second": 100.0,
        }
        writer.append("metrics", {"epoch": 1, **metrics})
        writer.append("evaluation", {"epoch": 1, "goodness": goodness * np.nan if no_label else goodness})
        writer.commit()
        writer.put("test/goodness", goodness)
        writer.put("test/true_label", TRUTH)
        for part in ("test", "validation"):
            writer.put(f"final/{part}_accuracy", accuracy)
            writer.put(f"final/model_{part}_accuracy", accuracy[-1])
        writer.put("final/wall_time", 12.0)
        writer.put("final/peak_memory", 5e6)
        writer.finish()
    return open_run(path)
