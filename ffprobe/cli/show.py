"""``ffprobe show RUN``: what a run file says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ffprobe.cli.console import Json, Verbose, finite, print_json, stdout

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

SAID = (
    "title",
    "command",
    "created_utc",
    "device",
    "precision",
    "threads",
    "ffprobe_version",
    "torch_version",
    "training_images",
    "test_set_read",
)


def show(
    run: Annotated[Path, typer.Argument(help="A run file, finished or not.")],
    watch: Annotated[bool, typer.Option("--watch", help="Follow a run that is being written, until it ends.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print what was run, how far it came, layer-wise results, and what the file holds.

    With --watch: a table that renews itself, in a log a line for each epoch, with --json a JSON line for each.
    """
    from ffprobe.store.reader import open_run

    if watch:
        from ffprobe.cli.watch import watch as follow

        follow(run, json)
        return
    with open_run(run) as file:
        document = _document(file)
        if json:
            print_json(finite(document))
            return
        _print(document)


def _document(file: RunFile) -> dict[str, Any]:
    layers = [str(name) for name in file.read("metrics/layer")]
    final = {name: _list(file, f"final/{name}") for name in ("validation_accuracy", "test_accuracy")}
    return {
        "path": str(file.path),
        "complete": bool(file.complete),
        "epochs": int(file.epochs),
        "epochs_planned": file.config["training"]["epochs"],
        "config": file.config,
        "attributes": {k: v for k, v in file.attributes.items() if k not in ("config_json",)},
        "layers": layers,
        **final,
        "messages": [{"step": int(step), "message": text} for step, text in file.messages()],
        "contents": {path: list(file.variable(path).shape) for path in sorted(file.paths())},
    }


def _list(file: RunFile, path: str) -> list[float]:
    return [float(value) for value in file.read(path)] if file.has(path) else []


def _print(document: dict[str, Any]) -> None:
    from rich.table import Table

    console = stdout()
    state = "finished" if document["complete"] else "not finished"
    console.print(
        f"{document['path']}: {state}, {document['epochs']} of {document['epochs_planned']} epochs", style="bold"
    )
    facts = Table(box=None, show_header=False, pad_edge=False)
    for name in SAID:
        if name in document["attributes"]:
            facts.add_row(name, str(document["attributes"][name]))
    for kind, choice in document["config"].items():
        if isinstance(choice, dict) and "name" in choice:
            rest = ", ".join(f"{k}={v}" for k, v in choice.items() if k not in ("name", "plugin"))
            facts.add_row(kind, choice["name"] + (f"  ({rest})" if rest else ""))
    console.print(facts)
    table = Table("layer", box=None, pad_edge=False)
    table.add_column("validation", justify="right")
    table.add_column("test", justify="right")
    for index, layer in enumerate(document["layers"]):
        cells = [document[key][index] if document[key] else None for key in ("validation_accuracy", "test_accuracy")]
        table.add_row(str(int(layer) + 1 if layer.isdigit() else layer), *map(_percent, cells))
    console.print(table)
    for entry in document["messages"]:
        console.print(f"step {entry['step']}: {entry['message']}", style="yellow", markup=False)
    groups: dict[str, list[str]] = {}
    for path, shape in document["contents"].items():
        group, _, name = path.rpartition("/")
        groups.setdefault(group, []).append(f"{name}{tuple(shape)}".replace(",)", ")"))
    contents = Table("group", "holds", box=None, pad_edge=False)
    for group, names in groups.items():
        contents.add_row(group, ", ".join(names))
    console.print(contents)


def _percent(value: float | None) -> str:
    return "–" if value is None or value != value else f"{100 * value:.2f} %"
