"""``ffprobe plugins list`` and ``ffprobe plugins info``."""

from __future__ import annotations

import itertools
from typing import Annotated, Any

import typer
from rich.cells import cell_len

from ffprobe.cli import plugins_check, plugins_new
from ffprobe.cli.completion import complete_plugin_or_preset
from ffprobe.cli.console import Json, Verbose, print_json, stdout
from ffprobe.display import plain_text

DISTRIBUTION = "ffprobe-nn"
"""The distribution of the presets and of the plugins that are installed with ffprobe."""
TITLES = {
    "": "without components (hooks or commands)",
    "preset": "preset (ffprobe run --preset NAME; see ffprobe presets)",
}
"""Headings of the groups that are not named by their kind."""

app = typer.Typer(help="List, describe, create and check plugins.", no_args_is_help=True, rich_markup_mode=None)
app.command("new")(plugins_new.new)
app.command("check")(plugins_check.check)


@app.command("list")
def list_(json: Json = False, verbose: Verbose = False) -> None:
    """List all installed plugins by kind, and the presets, without importing them.

    On a terminal, descriptions are shortened to one line; `plugins info NAME` and --json have them in full.
    """
    rows = _rows()
    if json:
        print_json(rows)
        return
    console = stdout()
    for kind, group in itertools.groupby(rows, key=lambda row: row["kind"]):
        members = list(group)
        console.print(TITLES.get(kind, kind), style="bold")
        longest = max(len(row["name"]) for row in members)
        for row in members:
            text = row["summary"].rstrip(".")
            if row["distribution"] != DISTRIBUTION:
                text = f"{row['distribution']} {row['version']}: {text}"
            _print_line(console, f"  {row['name']:{longest}}  ", text)
    if console.is_terminal:
        console.print("Descriptions in full, and settings: ffprobe plugins info NAME", style="dim")


def _rows() -> list[dict[str, Any]]:
    """Every component, every plugin without one, and every preset, in the order of the kinds."""
    from ffprobe.config.preset_files import preset_names, preset_summary
    from ffprobe.plugin.discovery import BASES, installed
    from ffprobe.runtime.version import __version__

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
    host = {"plugin": "", "distribution": DISTRIBUTION, "version": __version__, "module": ""}
    rows += [{"name": n, "kind": "preset", "summary": preset_summary(n), **host} for n in preset_names()]
    order = [*dict.fromkeys(BASES.values()), "", "preset"]
    return sorted(rows, key=lambda row: (order.index(row["kind"]), row["name"]))


def _print_line(console: Any, head: str, text: str) -> None:
    """Print one line: on a terminal the text is cut between words to fit, in a log it is complete."""
    from rich.text import Text

    head, text = plain_text(head, one_line=True), plain_text(text, one_line=True)
    room = console.width - cell_len(head)
    if console.is_terminal and cell_len(text) > room > 1:
        text = f"{Text(text).wrap(console, room - 1)[0].plain.rstrip(' ,;:')}…"
    console.print(head + text, soft_wrap=True)


@app.command("info")
def info(
    name: Annotated[
        str,
        typer.Argument(
            help="Name of a plugin or a preset, ./file.py or module:attr.", autocompletion=complete_plugin_or_preset
        ),
    ],
    preset: Annotated[bool, typer.Option("--preset", help="NAME is the name of a preset.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Describe a plugin: its settings with units, its source in the literature, and which parameters its losses train.

    The last part is measured on a toy network that trains for a few steps. A preset is described by its components, its
    paper's accuracy and the accuracy measured here. If a plugin and a preset have the same name, both are described;
    --preset shows the preset alone.
    """
    from ffprobe.cli.preset_info import describe_preset, print_preset
    from ffprobe.cli.slow import shown_if_slow
    from ffprobe.config.preset_files import preset_names
    from ffprobe.plugin.registry import Registry

    registry = Registry()
    is_preset = preset or name in preset_names()
    is_plugin = not preset and _names_plugin(name, registry, is_preset)
    with shown_if_slow(f"Measuring which parameters the losses of {name} train"):
        components = [_describe(component, registry) for component in (registry.load(name) if is_plugin else [])]
        described = [describe_preset(name, registry)] if is_preset else []
    if json:
        documents = [*components, *described]
        print_json(documents[0] if len(documents) == 1 else documents)
        return
    console = stdout()
    for document in components:
        _print(console, document)
    if is_plugin and not components:
        console.print(f"{name} provides no component; it has only observer hooks.")
    for document in described:
        if is_plugin:
            console.print()
        print_preset(console, document)


def _names_plugin(name: str, registry: Any, is_preset: bool) -> bool:
    """Whether to load a plugin for this name.

    Raises:
        PluginError: neither a plugin nor a preset has the name; the message suggests the closest names of both.
    """
    from ffprobe.config.preset_files import preset_names
    from ffprobe.errors import PluginError, did_you_mean
    from ffprobe.plugin.discovery import CHOICE

    known = {name for plugin in registry.plugins for name in (plugin.name, *(o.name for o in plugin.offers))}
    if name in known or not CHOICE.fullmatch(name):  # files and module:attr are no names
        return True
    if is_preset:
        return False
    raise PluginError(
        f"There is no plugin or preset {name!r}.",
        hint=f"{did_you_mean(name, [*known, *preset_names()])} `ffprobe plugins list` lists all.",
    )


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
