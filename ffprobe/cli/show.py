"""``ffprobe show RUN``: what a run file says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ffprobe.cli.console import Json, Verbose, finite, print_json, stdout


def show(
    run: Annotated[Path, typer.Argument(help="A run file, finished or not.")],
    watch: Annotated[bool, typer.Option("--watch", help="Follow a run that is being written, until it ends.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print what was run, how far it came, layer-wise results, and what the file holds.

    With --watch: a table that renews itself, in a log a line for each epoch, with --json a JSON line for each.
    """
    from ffprobe.store.overview import overview, terminal_view
    from ffprobe.store.reader import open_run

    if watch:
        from ffprobe.cli.watch import watch as follow

        follow(run, json)
        return
    with open_run(run) as file:
        document = overview(file)
    if json:
        print_json(finite(document))
    else:
        stdout().print(terminal_view(document))
