"""The floor of methods.toml: logistic regression on the pixels of the same training images, on the same test images.

``python studies/floors.py`` writes docs/results/floors.csv, which methods.py shows beside the methods; minutes.
"""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Annotated

import typer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ffprobe.plugin.registry import Registry
from ffprobe.sweep.grid import read_grid
from ffprobe.sweep.plan import plan
from ffprobe.training.split import load_split

HERE = Path(__file__).parent
ROWS = HERE.parent / "docs" / "results" / "floors.csv"
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse strengths of the L2 penalty; the validation images choose."""


def main(
    grid: Annotated[Path, typer.Option(help="The grid whose images are used.")] = HERE / "methods.toml",
    out: Annotated[Path, typer.Option(help="CSV to write.")] = ROWS,
) -> None:
    """Fit on each data set and seed of the grid."""
    read, registry = read_grid(grid), Registry()
    rows = {}
    for run, points in zip(plan(read, Path("runs/none"), registry), read.cells(), strict=True):
        at = dict(zip(read.axes, (point.name for point in points), strict=True))
        place = (at["data"], at["seed"])
        if place not in rows:
            split = load_split(run.config, registry)
            assert split.test is not None
            parts = [
                (part.inputs.flatten(1).numpy() / 255.0, part.labels.numpy())
                for part in (split.train, split.validation, split.test)
            ]
            rows[place] = (floor(*parts), len(split.test))
            print(*place, f"{rows[place][0]:.2f} %")
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["data", "seed", "accuracy", "tested"])
        writer.writerows([*place, f"{accuracy:.4f}", tested] for place, (accuracy, tested) in sorted(rows.items()))


def floor(train, validation, test):  # type: ignore[no-untyped-def]
    """Test accuracy in percent of the penalty that is best on validation images; each part is (pixels, labels)."""
    fits = []
    for strength in PENALTIES:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(*train)
        fits.append((model.score(*validation), -strength, model))
    return 100 * max(fits, key=lambda fit: fit[:2])[2].score(*test)


if __name__ == "__main__":
    typer.run(main)
