"""Prints the trials of a search, best first."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ffprobe.cli.console import stderr, stdout

if TYPE_CHECKING:
    from ffprobe.sweep.ranking import RankedTrial

SHOWN = 10
"""Number of trials in the table; --json lists all."""


def print_ranking(trials: Sequence[RankedTrial]) -> None:
    """Print the best trials by validation accuracy, and the command that evaluates the best one on the test set."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("trial", no_wrap=True)
    table.add_column("validation", justify="right", no_wrap=True)
    for key in trials[0].drawn:
        table.add_column(key.rpartition(".")[2].replace("_", " "), justify="right")
    for trial in trials[:SHOWN]:
        spread = f" ± {trial.spread:.2f}" if trial.spread == trial.spread else ""
        accuracy = f"{trial.mean:.2f}{spread} %"
        drawn = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in trial.drawn.values()]
        table.add_row(*(Text(cell) for cell in (trial.name, accuracy, *drawn)))
    stdout().print(table)
    console = stderr()
    if len(trials) > SHOWN:
        console.print(f"The best {SHOWN} of {len(trials)} trials; --json lists all.")
    best = shlex.quote(str(trials[0].files[0]))
    console.print("Validation chose; the test set was not read. To evaluate the best trial on it, once:")
    console.print(f"  ffprobe run --from {best} --set training.test=end --out best.h5", soft_wrap=True)
