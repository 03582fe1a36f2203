"""Write docs/results/speedrun-changes.csv from the runs of speedrun.toml.

``python studies/speedrun.py runs/speedrun``, after ``ffprobe sweep studies/speedrun.toml``; one row a finished run.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Annotated, Any

import typer

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.sweep.grid import read_grid
from ffprobe.sweep.plan import plan

HERE = Path(__file__).parent
TABLE = HERE.parent / "docs" / "results" / "speedrun-changes.csv"
FACTS = ("processor", "threads", "precision", "torch_version", "ffprobe_version")


def main(
    runs: Annotated[Path, typer.Argument(help="The directory that the sweep wrote.")],
    grid: Annotated[Path, typer.Option(help="The grid that was swept.")] = HERE / "speedrun.toml",
    out: Annotated[Path, typer.Option(help="CSV to write.")] = TABLE,
) -> None:
    """Write the table; accuracies are of validation images, in percent, the model's and each layer's alone."""
    read, rows = read_grid(grid), []
    for one, points in zip(plan(read, runs, Registry()), read.cells(), strict=True):
        if one.status == "finished":
            at = dict(zip(read.axes, (point.name for point in points), strict=True))
            with ffprobe.open(one.job.out) as run:
                rows.append([at["change"], one.config.settings.seed, *numbers(run)])
    layers = max((len(row) for row in rows), default=0) - 4 - len(FACTS)
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["change", "seed", "model", *(f"layer {i + 1}" for i in range(layers)), "seconds", *FACTS],
        )
        writer.writerows(rows)


def numbers(run: ffprobe.RunFile) -> list[Any]:
    """Accuracy of the model and of every layer, wall time, and what the run was made with."""
    accuracy = [float(run.read("final/model_validation_accuracy")), *map(float, run.read("final/validation_accuracy"))]
    shown = ["" if math.isnan(value) else f"{100 * value:.2f}" for value in accuracy]
    return [*shown, round(float(run.read("final/wall_time"))), *(run.attributes[name] for name in FACTS)]


if __name__ == "__main__":
    typer.run(main)
