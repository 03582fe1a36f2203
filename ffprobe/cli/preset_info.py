"""Descriptions of presets, and of the parameters that the losses of a preset or a component train."""

from __future__ import annotations

from typing import Any

AUDITED = ("loss", "goodness", "rule", "scheduler", "network")
"""The kinds of component that can affect which parameters a loss trains."""


def describe_preset(name: str, registry: Any) -> dict[str, Any]:
    """A description of a preset: the comment in its file, its components with settings, what its losses train, numbers.

    Raises:
        UsageError: there is no such preset.
    """
    from ffprobe.components.kinds import SINGLE_SLOTS
    from ffprobe.config.parsing import merge
    from ffprobe.config.preset_files import (
        BASE_PRESET,
        preset_comment,
        preset_measurement,
        preset_publication,
        read_preset,
    )
    from ffprobe.config.resolve import resolve

    table = merge(read_preset(BASE_PRESET), read_preset(name))
    config = resolve(table, registry)
    return {
        "name": name,
        "kind": "preset",
        "description": preset_comment(name),
        "measured": preset_measurement(name),
        "paper": preset_publication(name),
        "components": {kind: config.slots[kind].to_dict() for kind in SINGLE_SLOTS if kind != "dataset"},
        "training": read_preset(name).get("training", {}),
        "locality": _locality(lambda: _preset_locality(name, table, registry)),
    }


def locality_of(component: Any, registry: Any) -> dict[str, Any]:
    """The parameters that losses train with this component, under ``locality``; empty for kinds without influence."""
    if component.kind not in AUDITED:
        return {}
    from ffprobe.training.locality import component_loss_locality

    plugin = registry.provider(component).name

    def measure() -> Any:
        return component_loss_locality(component, registry, plugin)

    return {"locality": _locality(measure)}


def print_preset(console: Any, document: dict[str, Any]) -> None:
    """Print the result of ``describe_preset`` on a terminal."""
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
        training = ", ".join(f"{key}={value}" for key, value in document["training"].items())
        console.print(f"Training: {training}", markup=False)
    for sentence in _numbers(document):
        console.print(sentence)
    print_locality(console, document["locality"])
    console.print(f"For example: ffprobe run --preset {document['name']}", markup=False)


def _numbers(document: dict[str, Any]) -> list[str]:
    """What was measured here and what the paper reports, in sentences."""
    from ffprobe.cli.presets import expected_time

    sentences = []
    if measured := document["measured"]:
        test, validation = (f"{100 * measured[f'{split}_accuracy']:.2f} %" for split in ("test", "validation"))
        threads = f"{measured['threads']} thread{'s' * (measured['threads'] != 1)}"
        sentences.append(
            f"Measured on {measured['dataset']}, seed {measured['seed']}, {measured['epochs']} epochs: test accuracy "
            f"{test}, validation accuracy {validation} in {expected_time(measured)} ({measured['processor']}, "
            f"{threads}, {measured['precision']}, torch {measured['torch']}, {measured['date']})."
        )
    if paper := document["paper"]:
        numbers = ", ".join(f"{number} % on {data}" for data, number in paper["test_accuracy"].items())
        sentences.append(f"Its paper: {numbers} ({paper['setting']}; {paper['source']}).")
    return sentences


def print_locality(console: Any, locality: dict[str, Any]) -> None:
    """Print which parameters the losses train, one line for each group of losses with the same reach."""
    if locality["refusal"]:
        console.print(f"Could not measure which parameters its losses train: {locality['refusal']}", markup=False)
        return
    console.print(f"Parameters that changed on a toy network, preset {locality['preset']}:", markup=False)
    for line in locality["lines"]:
        console.print(f"  {line}", markup=False)


def _preset_locality(name: str, table: Any, registry: Any) -> Any:
    from ffprobe.training.locality import loss_locality, toy

    config = toy(table, registry)
    return name, config, loss_locality(config, registry)


def _locality(measure: Any) -> dict[str, Any]:
    from ffprobe.errors import FfprobeError

    try:
        preset, config, report = measure()
    except FfprobeError as error:
        return {"refusal": str(error), "preset": "", "components": {}, "lines": [], "losses": []}
    losses = [
        {
            "layer": loss.layer,
            "layers": list(loss.layers),
            "encoder": loss.encoder,
            "parameters": list(loss.parameters),
        }
        for loss in report.losses
    ]
    components = {kind: choice.to_dict()["name"] for kind, choice in config.slots.items() if kind != "dataset"}
    return {
        "refusal": "",
        "preset": preset,
        "components": components,
        "lines": report.lines(),
        "losses": losses,
    }
