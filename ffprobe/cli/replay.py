"""``ffprobe replay FILE.npz...``: prove that a method is the method."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ffprobe.cli.console import Json, Verbose, finite, print_json, stdout


def replay(
    files: Annotated[list[Path], typer.Argument(help="Recorded trajectories.")],
    fast: Annotated[
        bool, typer.Option("--fast", help="In the memory layout of an ordinary run, not that of the recording.")
    ] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Feed recorded trajectories through the ordinary trainer and plugins, and say how far the numbers stray.

    Exit code 5 when one strays further than its tolerance, 3 when a component is missing, 4 when a file is damaged.
    """
    from ffprobe.errors import CheckFailed
    from ffprobe.registry import Registry
    from ffprobe.replay import replay as replay_one

    results = [replay_one(path, Registry(), fast=fast) for path in files]
    failed = [r.file for r in results if not r.passed]
    if json:
        print_json(finite({"passed": not failed, "replays": [r.document() for r in results]}))
    else:
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        table.add_column("trajectory", overflow="fold")
        quantities = list(dict.fromkeys(name for r in results for name in r.deviations))
        for name in quantities:
            table.add_column(name.replace("_", " "), justify="right")
        table.add_column("")
        for result in results:
            cells = [f"{result.deviations[q]:.1e}" if q in result.deviations else "" for q in quantities]
            verdict = "[green]passed[/]" if result.passed else "[red]strays[/]"
            table.add_row(Path(result.file).stem, *cells, verdict)
        stdout().print(table)
        stdout().print("Largest absolute deviations.", style="dim")
    if failed:
        raise CheckFailed(f"{len(failed)} of {len(results)} trajectories stray: {', '.join(failed)}.")
