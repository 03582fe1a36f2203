"""``/api/runs/ID``: settings, layers, update groups, log and findings of one run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ffprobe.analysis.runs.diagnosis import diagnose
from ffprobe.analysis.runs.labels import config_components, layer_numbers
from ffprobe.errors import FfprobeError
from ffprobe.store.overview import FACTS
from ffprobe.view.payload.images import IMAGE_PARTS, recorded_images
from ffprobe.view.payload.layer_facts import layer_facts, update_groups
from ffprobe.view.payload.layer_health import layer_health
from ffprobe.view.payload.plain_values import plain

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

MAX_LOG = 500
"""Entries of the log, the latest ones."""


def overview_document(run: RunFile) -> dict[str, Any]:
    """What the page shows of a run beside its row in the list."""
    attributes = run.attributes
    layers = layer_numbers(run) if run.has("metrics/layer") else []
    groups = update_groups(run, len(layers))
    names = [str(name) for name in run.read("metrics/layer")] if layers else []
    facts = layer_facts(run, layers, groups)
    return plain({
        "layers": [{**fact, **how} for fact, how in zip(facts, layer_health(run, names), strict=True)],
        "groups": groups,
        "labels": class_names(run),
        "evaluators": [name for name in [config_components(run.config).get("evaluator")] if name],
        "metrics": [path.removeprefix("metrics/") for path in run.paths() if path.startswith("metrics/")],
        "config": json.dumps(run.config, indent=2, ensure_ascii=False, default=str),
        "command": str(attributes.get("command", "")),
        "title": str(attributes.get("title", "")),
        "environment": [[name, attributes[name]] for name in FACTS if name in attributes and name != "command"],
        "log": [{"step": step, "message": message} for step, message in run.messages(last=MAX_LOG)],
        "images": {part: len(recorded_images(run, part)) for part in IMAGE_PARTS},
        "activations": run.has("activations/sample"),
        "findings": _findings(run),
    })  # fmt: skip


def class_names(run: RunFile) -> list[str]:
    """The names of the classes; their numbers where the file has no names."""
    names = run.attributes.get("class_names")
    if isinstance(names, list | tuple):
        return [str(name) for name in names]
    for path in ("evaluation/label", "test/label"):
        if run.has(path):
            return [str(name) for name in run.read(path)]
    return []


def _findings(run: RunFile) -> list[dict[str, str]]:
    try:
        return [{"text": f"{f.what} {f.why}", "command": f.command, "level": "warning"} for f in diagnose(run)]
    except (FfprobeError, ValueError, IndexError, TypeError):  # what a hostile file has must not hide the rest
        return []
