"""``ffprobe plugins list`` and ``ffprobe plugins info``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ffprobe.cli import plugins_check, plugins_new
from ffprobe.cli.console import Json, Verbose, print_json, stdout

app = typer.Typer(help="List, describe, create and check plugins.", no_args_is_help=True, rich_markup_mode=None)
app.command("new")(plugins_new.new)
app.command("check")(plugins_check.check)


@app.command("list")
def list_(json: Json = False, verbose: Verbose = False) -> None:
    """List all installed plugins by kind, without importing them."""
    from ffprobe.plugin.discovery import BASES, installed

    rows = []
    for plugin in installed():
        offers: list[Any] = list(plugin.offers) or [None]
        for offer in offers:
            rows.append(
                {
                    "name": offer.name if offer else plugin.name,
                    "kind": offer.kind if offer else "",
                    "summary": offer.summary if offer else "",
                    "plugin": plugin.name,
                    "distribution": plugin.distribution,
                    "version": plugin.version,
                    "module": plugin.target,
                }
            )
    order = [*BASES.values(), ""]
    rows.sort(key=lambda row: (order.index(row["kind"]), row["name"]))
    if json:
        print_json(rows)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table("kind", "name", "description", "distribution", box=None, pad_edge=False)
    before = ""
    for row in rows:
        kind = row["kind"] or "?"
        distribution = f"{row['distribution']} {row['version']}"
        cells = (kind if kind != before else "", row["name"], row["summary"].rstrip("."), distribution)
        table.add_row(*(Text(cell) for cell in cells))  # Text, because brackets in a summary are not markup
        before = kind
    stdout().print(table)


@app.command("info")
def info(
    name: Annotated[str, typer.Argument(help="Name of a plugin, ./file.py or module:attr.")],
    preset: Annotated[bool, typer.Option("--preset", help="NAME is the name of a preset.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Describe a plugin: its settings with units, its source in the literature, and which parameters its losses train.

    The last part is measured on a toy network that trains for a few steps. With --preset, describe a preset.
    """
    from ffprobe.plugin.registry import Registry

    registry = Registry()
    if preset:
        from ffprobe.cli.preset_info import describe_preset, print_preset

        described = describe_preset(name, registry)
        if json:
            print_json(described)
        else:
            print_preset(stdout(), described)
        return
    documents = [_describe(component, registry) for component in registry.load(name)]
    if json:
        print_json(documents[0] if len(documents) == 1 else documents)
        return
    console = stdout()
    for document in documents:
        _print(console, document)
    if not documents:
        console.print(f"{name} provides no component; it has only observer hooks.", markup=False)


def _describe(component: Any, registry: Any) -> dict[str, Any]:
    import inspect

    from ffprobe.cli.preset_info import locality_of

    plugin = registry.provider(component)
    settings = {}
    for key, field in component.Params.model_fields.items():
        annotation = field.annotation
        settings[key] = {
            "type": annotation.__name__ if inspect.isclass(annotation) else str(annotation).replace("typing.", ""),
            "default": field.get_default(call_default_factory=True),
            "description": field.description or "",
        }
    return {
        "name": component.name,
        "kind": component.kind,
        "description": inspect.getdoc(component) or "",
        "source": component.source,
        "settings": settings,
        "aliases": list(component.aliases),
        **locality_of(component, registry),
        "plugin": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "module": plugin.target,
    }


def _print(console: Any, document: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    console.print(f"{document['name']}", style="bold", end="")
    console.print(f"  {document['kind']}, from {document['distribution']} {document['version']}".rstrip(), markup=False)
    console.print(document["description"], markup=False)
    if document["source"]:
        console.print(f"Source: {document['source']}", markup=False)
    if document["settings"]:
        table = Table("setting", "default", "description", box=None, pad_edge=False)
        for key, setting in document["settings"].items():
            table.add_row(
                *(
                    Text(cell)
                    for cell in (
                        key,
                        "" if setting["default"] is None else str(setting["default"]),
                        setting["description"],
                    )
                )
            )
        console.print(table)
        example = next((k for k, v in document["settings"].items() if v["default"] is not None), None)
        if example:
            value = document["settings"][example]["default"]
            console.print(f"For example: --plugin {document['name']}:{example}={value}", markup=False)
    if "locality" in document:
        from ffprobe.cli.preset_info import print_locality

        print_locality(console, document["locality"])
