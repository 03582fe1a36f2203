"""What a preset is, and what the losses of a preset or of a component reach."""

from __future__ import annotations

from typing import Any

AUDITED = ("loss", "goodness", "rule", "scheduler", "network")
"""The kinds of component that may decide what a loss reaches."""


def describe_preset(name: str, registry: Any) -> dict[str, Any]:
    """A preset in words: what its file says of it, its components with their settings, and what its losses reach.

    Raises:
        UsageError: there is no such preset.
    """
    from ffprobe.components.kinds import SINGLE_SLOTS
    from ffprobe.config.parsing import merge
    from ffprobe.config.preset_files import BASE_PRESET, preset_comment, read_preset
    from ffprobe.config.resolve import resolve

    table = merge(read_preset(BASE_PRESET), read_preset(name))
    config = resolve(table, registry)
    return {
        "name": name,
        "description": preset_comment(name),
        "components": {kind: config.slots[kind].to_dict() for kind in SINGLE_SLOTS if kind != "dataset"},
        "training": read_preset(name).get("training", {}),
        "locality": _locality(lambda: _preset_reach(name, table, registry)),
    }


def locality_of(component: Any, registry: Any) -> dict[str, Any]:
    """Under ``locality``, what losses reach with this component; nothing for kinds that have no say in it."""
    if component.kind not in AUDITED:
        return {}
    from ffprobe.training.locality import reach_of

    plugin = registry.provider(component).name

    def ask() -> Any:
        return reach_of(component, registry, plugin)

    return {"locality": _locality(ask)}


def print_preset(console: Any, document: dict[str, Any]) -> None:
    """On a terminal."""
    from rich.table import Table
    from rich.text import Text

    console.print(document["name"], style="bold", end="")
    console.print("  preset", markup=False)
    console.print(document["description"], markup=False)
    table = Table("slot", "component", "settings", box=None, pad_edge=False)
    for kind, chosen in document["components"].items():
        settings = ", ".join(f"{k}={v}" for k, v in chosen.items() if k not in ("name", "plugin"))
        table.add_row(*(Text(cell) for cell in (kind, chosen["name"], settings)))
    console.print(table)
    if document["training"]:
        said = ", ".join(f"{key}={value}" for key, value in document["training"].items())
        console.print(f"Training: {said}", markup=False)
    print_locality(console, document["locality"])
    console.print(f"For example: ffprobe run --preset {document['name']}", markup=False)


def print_locality(console: Any, found: dict[str, Any]) -> None:
    """On a terminal, one line for losses that reach equally far."""
    if found["refusal"]:
        console.print(f"What its losses reach could not be asked: {found['refusal']}", markup=False)
        return
    console.print(f"Parameters that changed on a toy network, preset {found['preset']}:", markup=False)
    for line in found["lines"]:
        console.print(f"  {line}", markup=False)


def _preset_reach(name: str, table: Any, registry: Any) -> Any:
    from ffprobe.training.locality import reach, toy

    config = toy(table, registry)
    return name, config, reach(config, registry)


def _locality(ask: Any) -> dict[str, Any]:
    from ffprobe.errors import FfprobeError

    try:
        preset, config, audit = ask()
    except FfprobeError as error:
        return {"refusal": str(error), "preset": "", "components": {}, "lines": [], "losses": []}
    losses = [
        {
            "layer": one.layer,
            "layers": list(one.layers),
            "encoder": one.encoder,
            "parameters": list(one.parameters),
        }
        for one in audit.reaches
    ]
    components = {kind: choice.to_dict()["name"] for kind, choice in config.slots.items() if kind != "dataset"}
    return {
        "refusal": "",
        "preset": preset,
        "components": components,
        "lines": audit.lines(),
        "losses": losses,
    }
