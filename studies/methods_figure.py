"""Accuracy over steps of every method of methods.toml, a panel for each family: docs/results/methods-steps.svg.

``python studies/methods_figure.py``, after ``studies/methods.py``; it reads docs/results/methods.csv alone. Grey lines
are backpropagation on the networks of all methods.
"""

from __future__ import annotations

import csv
import statistics
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ffprobe.analysis.plots.figure import line_look, new_figure, write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = Path(__file__).parent
RESULTS = HERE.parent / "docs" / "results"
COLUMNS = 2
Curve = tuple[list[int], list[float]]
"""Steps, and mean accuracy over seeds in percent."""


def main(
    rows: Annotated[Path, typer.Option(help="CSV of studies/methods.py.")] = RESULTS / "methods.csv",
    data: Annotated[str, typer.Option(help="Which of its data sets.")] = "cifar10-jpeg",
    out: Annotated[Path, typer.Option(help="The figure to write.")] = RESULTS / "methods-steps.svg",
) -> None:
    """Draw the figure."""
    families = tomllib.loads((HERE / "published.toml").read_text(encoding="utf-8"))["families"]
    found = curves(rows, data)
    backpropagation = [curve for name, curve in found.items() if name.startswith("bp")]
    panels = {
        family: {name: found[name] for name in names if name in found}
        for family, names in families.items()
        if any(name in found for name in names)
    }
    rows_of_panels = -(-len(panels) // COLUMNS)
    figure = new_figure(lambda figure: draw(figure, panels, backpropagation), (6.5, 2.6 * rows_of_panels))
    command = "python studies/methods_figure.py"
    write_figure(figure, out, {"title": "Validation accuracy over steps", "command": command, "runs": ""})


def curves(rows: Path, data: str) -> dict[str, Curve]:
    """The curve of every method, mean over its seeds."""
    values: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    with rows.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["data"] == data:
                for point in row["curve"].split():
                    step, accuracy = point.split(":")
                    values[row["method"]][int(step)].append(float(accuracy))
    return {
        method: (sorted(steps), [statistics.mean(steps[step]) for step in sorted(steps)])
        for method, steps in values.items()
    }


def draw(figure: Figure, panels: Mapping[str, Mapping[str, Curve]], behind: Sequence[Curve]) -> None:
    """One panel for each family, all on the same scale."""
    rows = -(-len(panels) // COLUMNS)
    grid = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).flatten()
    for axes, (family, found) in zip(grid, panels.items(), strict=False):
        for steps, accuracy in behind:
            axes.plot(steps, accuracy, color="0.8", linewidth=0.8, linestyle="-", marker="")
        for colour, (name, (steps, accuracy)) in enumerate(found.items()):
            axes.plot(steps, accuracy, label=name, **line_look(colour))
        axes.set_title(family, fontsize="medium", loc="left")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="x-small", borderaxespad=0.2)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    for axes in grid[max(0, len(panels) - COLUMNS) : len(panels)]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel("step", fontsize="medium")
    figure.supylabel("validation accuracy (%)", fontsize="medium")


if __name__ == "__main__":
    typer.run(main)
