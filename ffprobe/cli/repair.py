"""``ffprobe repair RUN.partial``: close cleanly what a killed run left open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ffprobe.cli.console import Verbose, stderr


def repair(
    partial: Annotated[Path, typer.Argument(help="The .partial file of a run that was killed.")],
    out: Annotated[Path | None, typer.Option(help="Write here instead of in place.")] = None,
    verbose: Verbose = False,
) -> None:
    """Rewrite what was committed into a file that every HDF5 reader opens."""
    from ffprobe.store.reader import open_run
    from ffprobe.store.repair import repair as rewrite

    written = rewrite(partial, out)
    with open_run(written) as run:
        stderr().print(f"{written}: {run.epochs} committed epochs, closed cleanly.", markup=False)
