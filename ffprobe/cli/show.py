"""``ffprobe show RUN``: the summary of a run file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ffprobe.cli.console import Json, Verbose, finite, print_json, stdout


def show(
    run: Annotated[Path, typer.Argument(help="A run file, finished or not.")],
    watch: Annotated[bool, typer.Option("--watch", help="Follow a run in progress until it ends.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print the settings, the progress, the results of each layer, and the contents of the file.

    With --watch: a live table on a terminal, one line per epoch in a log, one JSON document per line with --json.
    """
    from ffprobe.store.caps import VIEW_LIMIT
    from ffprobe.store.overview import overview, terminal_view
    from ffprobe.store.reader import open_run

    if watch:
        from ffprobe.cli.watch import watch as follow

        follow(run, json)
        return
    with open_run(run, limit=VIEW_LIMIT) as file:
        document = overview(file)
    if json:
        print_json(finite(document))
    else:
        stdout().print(terminal_view(document))
