"""``ffprobe repair RUN.partial``: recovers the run file of a killed run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ffprobe.cli.completion import complete_partial_file
from ffprobe.cli.console import Verbose, stderr


def repair(
    partial: Annotated[
        Path, typer.Argument(help="The .partial file of a run that was killed.", autocompletion=complete_partial_file)
    ],
    out: Annotated[Path | None, typer.Option(help="File to write; the .partial file itself by default.")] = None,
    verbose: Verbose = False,
) -> None:
    """Rewrite the committed epochs into a file that every HDF5 reader can open."""
    from ffprobe.cli.slow import shown_if_slow
    from ffprobe.store.reader import open_run
    from ffprobe.store.repair import repair as rewrite

    with shown_if_slow(f"Rewriting {partial}"):
        written = rewrite(partial, out)
    with open_run(written) as run:
        stderr().print(f"{written}: repaired, {run.epochs} committed epochs.", markup=False)
