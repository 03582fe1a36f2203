"""The overview of a run file: one document, shown in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ffprobe.display import HtmlTable, html_view, plain_text
from ffprobe.errors import FileError

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

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


LAST_MESSAGES = 20
"""Number of log entries in the overview, the latest ones."""

MAX_LINES = 200
"""Groups in the view of the contents; the document has all of them."""

MAX_TEXT = 2000
"""Characters of one value in a view; the document has all of them."""


def overview(run: RunFile) -> dict[str, Any]:
    """The overview as nested plain values; NaN for a layer that was not measured.

    It reads the names of the layers, their final accuracies and the latest entries of the log, and no other array.

    Raises:
        FileError: the file is damaged.
    """
    layers = [str(name) for name in run.read("metrics/layer")]
    accuracies = {
        name: _per_layer(run, f"final/{name}", len(layers)) for name in ("validation_accuracy", "test_accuracy")
    }
    training = run.config.get("training")
    messages = run.messages(last=LAST_MESSAGES)
    shapes = run.shapes()
    return {
        "path": str(run.path),
        "complete": bool(run.complete),
        "epochs": int(run.epochs),
        "epochs_planned": training.get("epochs") if isinstance(training, dict) else None,
        "config": run.config,
        "attributes": {name: value for name, value in run.attributes.items() if name != "config_json"},
        "layers": layers,
        **accuracies,
        "messages": [{"step": int(step), "message": text} for step, text in messages],
        "messages_total": shapes.get("log/message", (0,))[0],
        "contents": {path: list(shape) for path, shape in shapes.items()},
    }


def terminal_view(document: Mapping[str, Any]) -> Group:
    """The overview for rich."""
    from rich.console import Group
    from rich.table import Table

    facts = Table(box=None, show_header=False, pad_edge=False)
    for fact in _facts(document):
        facts.add_row(*map(_text, fact))
    layers = Table("layer", box=None, pad_edge=False)
    layers.add_column("validation", justify="right")
    layers.add_column("test", justify="right")
    for layer in _layers(document):
        layers.add_row(*map(_text, layer))
    contents = Table("group", "holds", box=None, pad_edge=False)
    for row in _contents(document):
        contents.add_row(*map(_text, row))
    messages = [_text(text, "yellow") for text in _messages(document)]
    return Group(_text(_title(document), "bold"), facts, layers, *messages, contents)


def _text(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(plain_text(text), style=style)


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
            yield name, _cut(str(document["attributes"][name]))
    for kind, choice in document["config"].items():
        if isinstance(choice, dict) and "name" in choice:
            rest = ", ".join(f"{key}={value}" for key, value in choice.items() if key not in ("name", "plugin"))
            yield kind, _cut(f"{choice['name']}" + (f"  ({rest})" if rest else ""))


def _layers(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    # the file names layers 0, 1, ...; a reader sees their position from 1
    for index, layer in enumerate(document["layers"]):
        validation, test = (
            _percent(document[key][index] if document[key] else None)
            for key in ("validation_accuracy", "test_accuracy")
        )
        yield str(index + 1) if layer.isdigit() else layer, validation, test


def _messages(document: Mapping[str, Any]) -> list[str]:
    entries, total = document["messages"], document["messages_total"]
    lines = [f"step {entry['step']}: {entry['message']}" for entry in entries]
    return [f"… {total - len(entries)} earlier messages", *lines] if total > len(entries) else lines


def _contents(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    groups: dict[str, list[str]] = {}
    for path, shape in document["contents"].items():
        group, _, name = path.rpartition("/")
        if ".axis" in name:  # the scale of a weight's axis, which only counts
            continue
        groups.setdefault(group, []).append(f"{name}{tuple(shape)}".replace(",)", ")"))
    for group, names in list(groups.items())[:MAX_LINES]:
        yield group, _cut(", ".join(names))
    if len(groups) > MAX_LINES:
        yield f"… and {len(groups) - MAX_LINES} more groups", ""


def _percent(value: float | None) -> str:
    return "–" if value is None or value != value else f"{100 * value:.2f} %"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… ({len(text)} characters)"


def _per_layer(run: RunFile, path: str, layers: int) -> list[float]:
    if not run.has(path):
        return []
    values = run.variable(path)
    if values.shape != (layers,):
        raise FileError(
            f"{path} has shape {values.shape}, not one number for each of {layers} layers.", where=str(run.path)
        )
    return [float(value) for value in values[...]]
