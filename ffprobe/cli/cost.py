"""``ffprobe cost RUN...``: what it took to reach an accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ffprobe.cli.analyze import analyze
from ffprobe.cli.completion import complete_run_file
from ffprobe.cli.console import Json, Verbose
from ffprobe.cli.opened import NoCache


def cost(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run files, and directories that are searched for finished runs.", autocompletion=complete_run_file
        ),
    ],
    accuracy: Annotated[
        float | None,
        typer.Option(help="Target, validation accuracy in percent; by default the highest that all runs reached."),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this CSV file.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write the figure, accuracy over time, to this file (.png, .svg or .pdf).")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Print all rows and columns.")] = False,
    no_cache: NoCache = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Compare what runs cost at equal accuracy and at equal time: time, operations, memory and energy.

    Short for ``ffprobe analyze cost``. Operations, traffic and energy need runs that were trained with
    ``--plugin cost``; ``ffprobe bench cost`` measures single steps instead.
    """
    question = "cost" if accuracy is None else f"cost:accuracy={accuracy:g}"
    analyze(question, runs, csv, plot, everything, no_cache, json, verbose)
