"""An equal small search of the learning rate for every method of methods.toml.

``python studies/rates.py plan`` writes rates.toml: every method with a third of its rate, its rate, and three times its
rate, on CIFAR-10 (JPEG), seed 0, without the test set, with 2,000 validation images. After ``ffprobe sweep
studies/rates.toml``, ``python studies/rates.py choose runs/rates`` writes docs/results/rates.csv, and into methods.toml
the rate with the highest validation accuracy.
"""

from __future__ import annotations

import csv
import json
import statistics
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ffprobe.analysis.runs.summary import summarize
from ffprobe.config.parsing import merge
from ffprobe.plugin.registry import Registry
from ffprobe.store.reader import open_run
from ffprobe.sweep.grid import read_grid
from ffprobe.sweep.plan import plan as planned_runs

HERE = Path(__file__).parent
METHODS, RATES = HERE / "methods.toml", HERE / "rates.toml"
TABLE = HERE.parent / "docs" / "results" / "rates.csv"
FACTORS = {"third": 1 / 3, "same": 1.0, "triple": 3.0}
UNTRAINED = 1e-9
"""Below this rate a row is meant not to learn."""
DATA = ("cifar10-jpeg",)
"""One data set chooses for all: the harder one."""
OTHERWISE = {"training.num_evaluations": 1, "training.validation_fraction": 0.5, "training.test": "never"}
"""What the search sets in another way than the table: more validation images, one evaluation, no test."""
NOT_FINITE = "A loss is not finite."
"""What a run says that diverged."""
BETWEEN = "__"
"""Between the name of a method and that of a rate."""
MARK = "[axes.method]\n"
LONG_HEAD = (
    "# Made by studies/rates.py from methods.toml: some of its rows with five times its images, and so its steps, on\n"
    "# one data set, three seeds; the rates are those chosen at the small budget. methods.py shows them in a column.\n"
    'out = "runs/methods-long"\n\n'
)
LONG_DATA = (
    "[axes]\nseed = [0, 1, 2]\n\n[axes.data]\n"
    'cifar10-jpeg-long = {dataset = "images", data-dir = "${CIFAR10_JPEG}", epochs = 12, '
    "training.max_images = 10000}\n\n" + MARK
)
app = typer.Typer(help=__doc__, no_args_is_help=True)


@app.command()
def plan(
    methods: Annotated[Path, typer.Option(help="The grid of methods.")] = METHODS,
    out: Annotated[Path, typer.Option(help="The grid to write.")] = RATES,
) -> None:
    """Write the grid of the search."""
    text = methods.read_text(encoding="utf-8")
    head, _, _ = text.partition("[axes]")
    each = "\n".join(
        line for line in head[head.index("[each]") :].splitlines() if line.split(" = ")[0] not in OTHERWISE
    )
    search = "\n".join(f"{key} = {json.dumps(value)}" for key, value in OTHERWISE.items())
    data = [line for line in text.splitlines() if line.split(" = ")[0] in DATA]
    points = []
    for name, options, rate in rates(methods):
        for factor, times in FACTORS.items():
            points.append(point(f"{name}{BETWEEN}{factor}", options, float(f"{rate * times:.3g}")))
    write_long(methods)
    out.write_text(
        "# Made by studies/rates.py from methods.toml: each method with three learning rates; validation chooses.\n"
        'out = "runs/rates"\n\n'
        + each.rstrip()
        + f"\n{search}\n\n[axes]\nseed = [0]\n\n[axes.data]\n"
        + "\n".join(data)
        + "\n\n"
        + MARK
        + "\n".join(points)
        + "\n",
        encoding="utf-8",
    )


@app.command()
def choose(
    runs: Annotated[Path, typer.Argument(help="The directory that the sweep wrote.")],
    methods: Annotated[Path, typer.Option(help="The grid of methods; it is rewritten.")] = METHODS,
    grid: Annotated[Path, typer.Option(help="The grid of the search.")] = RATES,
    table: Annotated[Path, typer.Option(help="CSV of all rates; rows of runs that are not at hand are kept.")] = TABLE,
) -> None:
    """Write the table of all rates, and the chosen ones into the grid of methods.

    A method is left as it is until all its runs are finished or stored. A run whose loss was not finite counts as 0 %.
    """
    found = {**_stored(table), **_finished(runs, grid)}
    by_method: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (method, rate, _), accuracy in found.items():
        by_method[method][rate].append(accuracy)
    chosen = {
        method: max(of, key=lambda rate: statistics.mean(of[rate]))
        for method, of in by_method.items()
        if len(of) == len(FACTORS) and all(len(values) == len(DATA) for values in of.values())
    }
    table.parent.mkdir(parents=True, exist_ok=True)
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["method", "rate", "data", "validation", "chosen"])
        for (method, rate, data), accuracy in sorted(found.items()):
            writer.writerow([method, f"{rate:g}", data, f"{accuracy:.2f}", "yes" if chosen.get(method) == rate else ""])
    text = methods.read_text(encoding="utf-8")
    head, mark, _ = text.partition(MARK)
    lines = [point(name, options, chosen.get(name)) for name, options in _written(methods).items()]
    methods.write_text(head + mark + "\n".join(lines) + "\n", encoding="utf-8")
    write_long(methods)


def write_long(methods: Path) -> None:
    """Write methods-long.toml beside the grid of methods: some of its rows at five times its steps."""
    text = methods.read_text(encoding="utf-8")
    each = text[text.index("[each]") : text.index("[axes]")]
    chosen = tomllib.loads((HERE / "published.toml").read_text(encoding="utf-8"))["long"]
    lines = [point(name, options, None) for name, options in _written(methods).items() if name in chosen]
    methods.with_name("methods-long.toml").write_text(LONG_HEAD + each + LONG_DATA + "\n".join(lines) + "\n", "utf-8")


def rates(grid: Path) -> Iterator[tuple[str, dict[str, Any], float]]:
    """Every method that learns: its name, its options, and its learning rate."""
    read, written, seen = read_grid(grid), _written(grid), set()
    for run, points in zip(planned_runs(read, Path("runs/none"), Registry()), read.cells(), strict=True):
        name = dict(zip(read.axes, points, strict=True))["method"].name
        rate = run.config.settings.training.learning_rate
        if name not in seen and rate > UNTRAINED:
            yield name, written[name], rate
        seen.add(name)


def _written(grid: Path) -> dict[str, dict[str, Any]]:
    """The options of every method as they are written."""
    table: dict[str, dict[str, Any]] = tomllib.loads(grid.read_text(encoding="utf-8"))["axes"]["method"]
    return table


def point(name: str, options: Mapping[str, Any], rate: float | None) -> str:
    """One line of a grid: the options, with this learning rate unless it is None."""
    if rate is not None:
        options = merge(dict(options), {"training": {"learning_rate": rate}})
    words = [f"{key} = {json.dumps(value)}" for key, value in _flat(options)]
    key = name if all(c.isalnum() or c in "-_" for c in name) else json.dumps(name)
    return f"{key} = {{{', '.join(words)}}}"


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping) and value and before + key != "set":
            yield from _flat(value, f"{before}{key}.")
        else:
            yield before + key, value


def _stored(table: Path) -> dict[tuple[str, float, str], float]:
    if not table.exists():
        return {}
    with table.open(newline="", encoding="utf-8") as file:
        return {(r["method"], float(r["rate"]), r["data"]): float(r["validation"]) for r in csv.DictReader(file)}


def _finished(runs: Path, grid: Path) -> dict[tuple[str, float, str], float]:
    read = read_grid(grid)
    found = {}
    for run, points in zip(planned_runs(read, runs, Registry()), read.cells(), strict=True):
        at = dict(zip(read.axes, (one.name for one in points), strict=True))
        place = (at["method"].partition(BETWEEN)[0], run.config.settings.training.learning_rate, at["data"])
        log = runs / "logs" / f"{run.job.name}.log"
        if run.status == "finished":
            with open_run(run.job.out) as file:
                found[place] = summarize(file).validation
        elif log.exists() and NOT_FINITE in log.read_text(encoding="utf-8", errors="replace"):
            found[place] = 0.0
    return found


if __name__ == "__main__":
    app()
