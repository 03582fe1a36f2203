"""``ffprobe bench cost``: what a training step costs, beside backpropagation on the same body."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from ffprobe.cli.completion import complete_plugin, complete_preset
from ffprobe.cli.console import Json, Verbose, print_json, stderr, stdout
from ffprobe.cli.slow import shown_if_slow

app = typer.Typer(help="Measure this machine.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def benchmarks() -> None:
    """Measure methods on this machine, without data and without a run file."""


@app.command(short_help="Measure what a training step costs.")
def cost(
    preset: Annotated[
        list[str] | None, typer.Option(help="Preset to measure; repeatable.", autocompletion=complete_preset)
    ] = None,
    plugin: Annotated[
        list[str] | None,
        typer.Option("--plugin", "-p", help="Plugin over every preset; repeatable.", autocompletion=complete_plugin),
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="Setting over every preset: key=value; repeatable.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", "-b", help="Images in a step.", min=2)] = None,
    shape: Annotated[
        str, typer.Option(help="Shape of an input: 3x32x32, 16x100 (a signal) or 30 (a table).")
    ] = "3x32x32",
    classes: Annotated[int, typer.Option(help="Number of classes.", min=2)] = 10,
    steps: Annotated[int, typer.Option(help="Number of timed pairs of steps.", min=1)] = 5,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this CSV file.")] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Measure time, operations, memory traffic and memory of a training step, beside backpropagation.

    Each preset is measured as it is, and its network under backpropagation of a cross entropy at its last layer: plain,
    with checkpointing, and with the gradients of eight small batches added up. Local learning saves memory only where
    it needs less than those. Inputs are random; every row is measured in a process of its own. What a whole training
    costs: ffprobe cost RUN...
    """
    from ffprobe.bench.compared import compare_steps, step_costs
    from ffprobe.config.options import RunOptions
    from ffprobe.config.resolve import resolve
    from ffprobe.plugin.registry import Registry

    sizes = _shape(shape)
    registry, tables = Registry(), {}
    for name in preset or [""]:
        options = RunOptions(preset=name, plugin=tuple(plugin or ()), set=tuple(setting or ()), batch_size=batch_size)
        # resolved here, so that a wrong name is reported once and at once
        tables[name or "default"] = resolve(options.table(registry), registry).to_dict()
    with shown_if_slow("bench cost") as show:
        rows = compare_steps(tables, sizes, classes, steps, lambda text: show(f"bench cost: {text}"))
    result = step_costs(rows, shape, classes)
    if csv:
        result.write_csv(csv)
    if json:
        print_json(result.to_dict())
    else:
        stdout().print(result.table())
    if csv:
        stderr().print(f"Wrote {csv}.", markup=False)


def _shape(text: str) -> tuple[int, ...]:
    from ffprobe.errors import UsageError

    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){0,2}", text):
        raise UsageError(f"{text!r} is no shape.", hint="Write sizes joined by x, channels first: 3x32x32.")
    return tuple(map(int, text.split("x")))
