"""``ffprobe replay FILE.npz...``: prove that a method is the method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ffprobe.cli.console import Json, Verbose, finite, print_json, stdout

if TYPE_CHECKING:
    from ffprobe.replay import Replay


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
    from ffprobe.plugin.registry import Registry
    from ffprobe.replay import replay as replay_one

    results = [replay_one(path, Registry(), fast=fast) for path in files]
    failed = [r.file for r in results if not r.passed]
    if json:
        print_json(finite({"passed": not failed, "replays": [r.to_dict() for r in results]}))
    else:
        _print_results(results)
    if failed:
        raise CheckFailed(f"{len(failed)} of {len(results)} trajectories stray: {', '.join(failed)}.")


def _print_results(results: Sequence[Replay]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("trajectory", overflow="fold")
    for title in ("peer", "loss", "weights", "evaluation", "other", "share", ""):
        table.add_column(title, justify="left" if title in ("peer", "") else "right")
    for result in results:
        groups: dict[str, float] = {}
        for name, value in result.deviations.items():
            group = name if name in ("loss", "weights") else "evaluation" if name.startswith("evaluation_") else "other"
            groups[group] = max(groups.get(group, 0.0), value)
        cells = [f"{groups[g]:.0e}" if g in groups else "" for g in ("loss", "weights", "evaluation", "other")]
        share = f"{max(result.excess.values()):.2g}"
        verdict = "[green]passed[/]" if result.passed else "[red]strays[/]"
        peer = result.peer.removeprefix("peer-").replace("named-components", "–")
        table.add_row(Path(result.file).stem, peer, *cells, share, verdict)
    console = stdout()
    console.print(table)
    console.print("Largest absolute deviations, and the largest as a share of what is allowed.", style="dim")
    for result in results:
        for name, share_of in result.excess.items():
            if share_of > 1:
                text = f"{Path(result.file).stem}: {name} strays by {result.deviations[name]:.1e}, {share_of:.2g} times"
                console.print(f"{text} what is allowed.", markup=False)
        for key, reason in result.not_compared.items():
            console.print(f"{Path(result.file).stem}: {key} was not compared: {reason}.", style="dim", markup=False)
