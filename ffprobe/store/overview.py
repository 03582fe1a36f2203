"""The overview of a run file: one document, shown in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ffprobe.display import HtmlTable, html_view

if TYPE_CHECKING:
    from rich.console import Group

    from ffprobe.store.reader import RunFile

FACTS = (
    "title",
    "command",
    "created_utc",
    "device",
    "precision",
    "threads",
    "processes",
    "ffprobe_version",
    "torch_version",
    "training_images",
    "test_set_read",
)
"""Attributes of the file that the overview shows, one per line."""


def overview(run: RunFile) -> dict[str, Any]:
    """The overview as nested plain values; NaN for a layer that was not measured.

    Raises:
        FileError: the file is damaged.
    """
    accuracies = {name: _list(run, f"final/{name}") for name in ("validation_accuracy", "test_accuracy")}
    training = run.config.get("training")
    return {
        "path": str(run.path),
        "complete": bool(run.complete),
        "epochs": int(run.epochs),
        "epochs_planned": training.get("epochs") if isinstance(training, dict) else None,
        "config": run.config,
        "attributes": {name: value for name, value in run.attributes.items() if name != "config_json"},
        "layers": [str(name) for name in run.read("metrics/layer")],
        **accuracies,
        "messages": [{"step": int(step), "message": text} for step, text in run.messages()],
        "contents": {path: list(run.variable(path).shape) for path in run.paths()},
    }


def terminal_view(document: Mapping[str, Any]) -> Group:
    """The overview for rich."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    facts = Table(box=None, show_header=False, pad_edge=False)
    for fact in _facts(document):
        facts.add_row(*map(Text, fact))
    layers = Table("layer", box=None, pad_edge=False)
    layers.add_column("validation", justify="right")
    layers.add_column("test", justify="right")
    for layer in _layers(document):
        layers.add_row(*layer)
    contents = Table("group", "holds", box=None, pad_edge=False)
    for row in _contents(document):
        contents.add_row(*map(Text, row))
    messages = [Text(text, style="yellow") for text in _messages(document)]
    return Group(Text(_title(document), style="bold"), facts, layers, *messages, contents)


def notebook_view(document: Mapping[str, Any]) -> str:
    """The overview as HTML."""
    tables = [
        HtmlTable((), list(_facts(document))),
        HtmlTable(("layer", "validation", "test"), list(_layers(document)), numbers=(1, 2)),
        HtmlTable(("group", "holds"), list(_contents(document)), caption="arrays", folded=True),
    ]
    return html_view(_title(document), tables, _messages(document))


def _title(document: Mapping[str, Any]) -> str:
    state = "finished" if document["complete"] else "not finished"
    planned = f" of {document['epochs_planned']}" if document["epochs_planned"] is not None else ""
    return f"{document['path']}: {state}, {document['epochs']}{planned} epochs"


def _facts(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in FACTS:
        if name in document["attributes"]:
            yield name, str(document["attributes"][name])
    for kind, choice in document["config"].items():
        if isinstance(choice, dict) and "name" in choice:
            rest = ", ".join(f"{key}={value}" for key, value in choice.items() if key not in ("name", "plugin"))
            yield kind, f"{choice['name']}" + (f"  ({rest})" if rest else "")


def _layers(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    # the file names layers 0, 1, ...; a reader sees their position from 1
    for index, layer in enumerate(document["layers"]):
        validation, test = (
            _percent(document[key][index] if document[key] else None)
            for key in ("validation_accuracy", "test_accuracy")
        )
        yield str(index + 1) if layer.isdigit() else layer, validation, test


def _messages(document: Mapping[str, Any]) -> list[str]:
    return [f"step {entry['step']}: {entry['message']}" for entry in document["messages"]]


def _contents(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    groups: dict[str, list[str]] = {}
    for path, shape in document["contents"].items():
        group, _, name = path.rpartition("/")
        if ".axis" in name:  # the scale of a weight's axis, which only counts
            continue
        groups.setdefault(group, []).append(f"{name}{tuple(shape)}".replace(",)", ")"))
    for group, names in groups.items():
        yield group, ", ".join(names)


def _percent(value: float | None) -> str:
    return "–" if value is None or value != value else f"{100 * value:.2f} %"


def _list(run: RunFile, path: str) -> list[float]:
    return [float(value) for value in run.read(path)] if run.has(path) else []
