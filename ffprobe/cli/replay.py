"""``ffprobe replay FILE.npz...``: verifies a method against recorded trajectories of its public code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ffprobe.cli.completion import complete_preset
from ffprobe.cli.console import Json, Verbose, finite, print_json, stdout

if TYPE_CHECKING:
    from ffprobe.replay import Replay


def replay(
    files: Annotated[list[Path], typer.Argument(help="Recorded trajectories, .npz files.")],
    fast: Annotated[
        bool, typer.Option("--fast", help="Use the memory layout of an ordinary run instead of the recording's.")
    ] = False,
    against: Annotated[
        str,
        typer.Option(
            "--against",
            metavar="PRESET",
            help="Hold the recordings against a preset: where do they first part, and what does that most likely mean?",
            autocompletion=complete_preset,
        ),
    ] = "",
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Replay recorded trajectories with the ordinary trainer and plugins, and report how far the numbers deviate.

    With --against, the recording and the preset start from the recorded weights and see the recorded batches. The step,
    layer and quantity in which they first part is named, and the single change of the preset that lets them agree for
    longest; the search then goes on from there. The constants, the optimizer and the learning rates of the recording
    are kept.

    The exit code is 5 if a deviation exceeds its tolerance or a recording parts from the preset, 3 if a component is
    missing, 4 if a file is damaged.
    """
    if against:
        return _against(files, against, json)
    from ffprobe.cli.slow import shown_if_slow
    from ffprobe.errors import CheckFailed
    from ffprobe.plugin.registry import Registry
    from ffprobe.replay import replay as replay_one

    results = []
    with shown_if_slow("Replaying") as show:
        for number, path in enumerate(files, 1):
            show(f"Replaying {path.name}, {number} of {len(files)}")
            results.append(replay_one(path, Registry(), fast=fast))
    failed = [r.file for r in results if not r.passed]
    if json:
        print_json(finite({"passed": not failed, "replays": [r.to_dict() for r in results]}))
    else:
        _print_results(results)
    if failed:
        raise CheckFailed(f"{len(failed)} of {len(results)} trajectories deviate: {', '.join(failed)}.")


def _against(files: Sequence[Path], preset: str, json: bool) -> None:
    from ffprobe.cli.slow import shown_if_slow
    from ffprobe.errors import CheckFailed
    from ffprobe.plugin.registry import Registry
    from ffprobe.replay.against import against

    results = []
    with shown_if_slow("Replaying") as show:
        for path in files:
            show(f"Holding {path.name} against {preset}")
            results.append(against(path, preset, Registry()))
    parted = [r for r in results if r.partings]
    if json:
        print_json(finite({"preset": preset, "agrees": not parted, "recordings": [r.to_dict() for r in results]}))
    else:
        for result in results:
            for line in result.lines():
                stdout().print(line, markup=False, highlight=False)
    if parted:
        raise CheckFailed(f"{len(parted)} of {len(results)} recordings part from the preset {preset!r}.")


def _print_results(results: Sequence[Replay]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("trajectory", overflow="fold")
    for title in ("peer", "loss", "weights", "evaluation", "other", "of tolerance", ""):
        table.add_column(title, justify="left" if title in ("peer", "") else "right")
    stems = [Path(result.file).stem for result in results]
    names = stems if len(set(stems)) == len(stems) else [result.file for result in results]
    for name, result in zip(names, results, strict=True):
        groups: dict[str, float] = {}
        for key, value in result.deviations.items():
            group = key if key in ("loss", "weights") else "evaluation" if key.startswith("evaluation_") else "other"
            groups[group] = max(groups.get(group, 0.0), value)
        cells = [f"{groups[g]:.0e}" if g in groups else "" for g in ("loss", "weights", "evaluation", "other")]
        ratio = f"{max(result.excess.values()):.2g}"
        verdict = Text("passed", "green") if result.passed else Text("failed", "red")
        peer = result.peer.removeprefix("peer-").replace("named-components", "–")
        table.add_row(Text(name), peer, *cells, ratio, verdict)
    console = stdout()
    console.print(table)
    console.print("Largest absolute deviations, and the largest ratio of a deviation to its tolerance.", style="dim")
    for name, result in zip(names, results, strict=True):
        for key, excess in result.excess.items():
            if excess > 1:
                text = f"{name}: {key} deviates by {result.deviations[key]:.1e}"
                console.print(f"{text}, {excess:.2g} times its tolerance.", markup=False)
        for key, reason in result.not_compared.items():
            console.print(f"{name}: {key} was not compared: {reason}.", style="dim", markup=False)
