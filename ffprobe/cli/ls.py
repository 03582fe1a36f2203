"""``ffprobe ls [DIR|RUN...]``: a table of runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ffprobe.cli.completion import complete_run_file
from ffprobe.cli.console import Json, Verbose, print_json, stderr, stdout
from ffprobe.cli.slow import shown_if_slow

if TYPE_CHECKING:
    from ffprobe.analysis.runs.listing import ListedRun


class Order(StrEnum):
    """The orders of the table; those of ``ffprobe.list_runs``."""

    name = "name"
    accuracy = "accuracy"
    age = "age"
    epochs = "epochs"
    size = "size"
    state = "state"


def ls(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Directories that are searched for runs, and run files; the current directory by default.",
            autocompletion=complete_run_file,
        ),
    ] = None,
    sort: Annotated[
        Order, typer.Option(help="Order of the runs: highest accuracy, newest, most epochs or largest first.")
    ] = Order.name,
    reverse: Annotated[bool, typer.Option("--reverse", help="Reverse the order.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """List runs: state, plugins, accuracy, epochs, age and size.

    Accuracy is that of the run's evaluator: test accuracy of a finished run that was tested, else validation accuracy
    at the last evaluation. The plugins are those that differ from the preset; what all runs share is printed once. A
    narrow terminal lacks the last columns. Hidden directories are not searched.
    """
    paths = runs or [Path()]
    listed = read_runs(paths, sort.value, reverse)
    if json:
        print_json({"runs": [run.to_dict() for run in listed]})
    elif listed:
        print_listed(paths, listed, sort.value)
    else:
        where = " and ".join(map(str, runs)) if runs else "the current directory"
        stderr().print(f"There is no run in or below {where}.", markup=False, soft_wrap=True)


def read_runs(paths: Sequence[Path], sort: str = "name", reverse: bool = False) -> list[ListedRun]:
    """``ffprobe.list_runs`` with its progress on stderr."""
    from ffprobe.analysis.runs.find import find_runs
    from ffprobe.analysis.runs.listing import list_run, sort_runs

    listed = []
    with shown_if_slow("Searching for runs") as update:
        for number, path in enumerate(files := find_runs(*paths), 1):
            update(f"Reading runs: {number:,} of {len(files):,}")
            listed.append(list_run(path))
    return sort_runs(listed, sort, reverse)


def print_listed(paths: Sequence[Path], listed: Sequence[ListedRun], sort: str = "") -> None:
    """Print the table on stdout; names are relative to the directory if only one was searched."""
    from ffprobe.cli.run_table import print_runs

    only = paths[0] if len(paths) == 1 and os.path.isdir(paths[0]) else None
    print_runs(stdout(), listed, only, sort)
