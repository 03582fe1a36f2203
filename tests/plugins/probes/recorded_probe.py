"""A run file that holds what a probe would have recorded, written row by row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ffprobe.hookspecs import LayerInfo, RunContext
from ffprobe.store.reader import RunFile, open_run
from ffprobe.store.schema import RunMetadata, run_schema
from ffprobe.store.writer import RunWriter

SLOTS = {
    "dataset": "cifar10",
    "network": "fcn",
    "encoder": "label-channel",
    "normalizer": "length",
    "goodness": "mean-square",
    "loss": "symba",
    "negatives": "uniform-wrong",
    "scheduler": "greedy",
    "rule": "forward-forward",
    "evaluator": "layer-goodness",
}


def recorded(
    path: Path,
    probe: Any,
    rows: Mapping[str, Sequence[Mapping[str, object]]],
    *,
    layers: int,
    classes: int = 4,
    metrics: Mapping[str, np.ndarray] | None = None,
    first: np.ndarray | None = None,
    test: np.ndarray | None = None,
    truth: Sequence[int] = (),
    finish: bool = True,
    form: str = "pair",
    **slots: str,
) -> RunFile:
    """Write and open ``path``.

    Args:
        path: of the finished file.
        probe: whose variables are declared.
        rows: by group below the probe's own (empty for that itself), one mapping a row.
        layers: how many.
        classes: how many.
        metrics: ``[epoch, layer]`` by name, one commit an epoch; one epoch of NaN unless given.
        first: the largest initial weight of each layer.
        test: goodness ``[layer, sample, label]`` of the test set.
        truth: true labels of the test set; not written unless given.
        finish: False leaves a .partial.
        form: of the run's goodness.
        slots: what the config names instead of ``SLOTS``.
    """
    names = tuple(str(i) for i in range(layers))
    labels = tuple("abcdefghij"[:classes])
    infos = tuple(LayerInfo(name, "linear", (4,), (4,), 16) for name in names)
    parameters = [(f"layers.{i}.linear.weight", None) for i in range(layers)]
    network = SimpleNamespace(form=form, named_parameters=lambda: [("encoder.embedding", None), *parameters])
    context = RunContext({}, infos, labels, 2, 4, network=network)
    picked = {kind: {"name": slots.get(kind, name)} for kind, name in SLOTS.items()}
    config = {"preset": "", "seed": 0, "training": {"epochs": 100}, "probes": [{"name": probe.name}], **picked}
    facts = RunMetadata(
        layers=names,
        classes=labels,
        validation=2,
        test=0 if test is None else test.shape[1],
        weights={},
        probes={probe.name: probe.variables(context)},
        attributes={"config_json": json.dumps(config), "run_id": path.stem, "seed": 0},
    )
    metrics = metrics or {"loss": np.full((1, layers), np.nan)}
    with RunWriter.create(path, run_schema(facts)) as writer:
        if first is not None:
            writer.put("initial/weight_maximum", first)
        for group, entries in rows.items():
            for values in entries:
                writer.append(f"probes/{probe.name}/{group}".rstrip("/"), dict(values))
        for epoch in range(len(next(iter(metrics.values())))):
            writer.append("metrics", {"epoch": epoch + 1, **{k: v[epoch] for k, v in metrics.items()}})
            writer.commit()
        if test is not None:
            writer.put("test/goodness", test)
        if truth:
            writer.put("test/true_label", np.array(truth))
        if finish:
            writer.finish()
    return open_run(path if finish else Path(f"{path}.partial"))
