"""Make docs/methods.md from the runs of ``methods.toml``: one table of every method of the field.

``python studies/methods.py RUNS``, after ``ffprobe sweep studies/methods.toml --out RUNS``; ``make methods`` does both.
Missing runs are left out, and the page states how many are finished. Every run's numbers are stored in
docs/results/methods.csv, so that the results of two machines make one table: a row replaces a missing run file as long
as the grid still contains the same run.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import statistics
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

import ffprobe
from ffprobe.analysis.measures.statistics import Estimate, holm, paired_difference
from ffprobe.config.preset_files import read_preset
from ffprobe.plugin.registry import Registry
from ffprobe.sweep.grid import Grid, read_grid
from ffprobe.sweep.plan import plan
from ffprobe.training.locality import loss_locality, toy

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "methods.md"
READING = HERE / "methods-reading.md"
"""The interpretation of the numbers, written by hand."""
ROWS = HERE.parent / "docs" / "results" / "methods.csv"
FLOORS = HERE.parent / "docs" / "results" / "floors.csv"
FLOOR = "logistic-regression"
PAPERS = {"fashion-mnist": "fashion-mnist", "cifar10-jpeg": "cifar10"}
"""The data sets that papers report, and their names in published.toml."""
TITLES = {
    "digits": "digits",
    "fashion-mnist": "Fashion-MNIST",
    "cifar10-jpeg": "CIFAR-10 (JPEG)",
    "cifar10-jpeg-long": "5 times the steps",
}


class Row(NamedTuple):
    """One finished run.

    Attributes:
        method: its point on the axis of methods.
        data: its point on the axis of data sets.
        seed: its point on the axis of seeds.
        accuracy: on the test set by the run's evaluator, percent.
        last: on the test set by the goodness of the last layer alone, percent; NaN where it has none.
        tested: number of test images.
        speed: training images per second, median over epochs.
        memory: peak resident set of the process, or peak GPU memory, in bytes.
        passes: inputs that went through the most evaluated layer, per image.
        curve: validation accuracy in percent after so many steps, as ``125:31.5 250:40.1``.
        where: versions, device and threads of the run, as text.
        asked: the first digits of the SHA-256 of its command, without folders, and of its preset.
    """

    method: str
    data: str
    seed: str
    accuracy: float
    last: float
    tested: float
    speed: float
    memory: float
    passes: float
    curve: str
    where: str
    asked: str


LITERATURE = (
    "The newest numbers that the field reports at the end of 2026, in percent unless stated, each in its own "
    "setting, with backpropagation's in the same setting where the source has it. None was measured here, and a "
    "preset here has another budget, and often another network. *Second hand* means quoted by another source. Of "
    "DTG-FF, ASGE, Distance-Forward and BiCovG no complete recipe could be read, so there is no preset of them. "
    "The recipe of the preset `noprop` was read in a public port. The preset `clapp` follows the authors' code "
    "of CLAPP (arXiv:2010.08262, EPFL-LCN/pub-illing2021-neurips), not CLAPP++; `ep-pcn` follows what the paper's "
    "text gives, and states what is assumed."
)
"""What stands above the table of the literature."""


NUMBERS = slice(3, 9)
"""The numbers of a row."""


@dataclass
class Cell:
    """One method on one data set, over its seeds.

    Attributes:
        accuracy: on the test set by the run's evaluator, percent, by seed.
        last: by the last layer's goodness, percent, of each run.
        tested: number of test images; 0 if unknown.
        speed: training images per second, of each run.
        memory: peak resident set of the process, or peak GPU memory, in bytes, of each run.
        passes: inputs that went through the most evaluated layer, per image.
    """

    accuracy: dict[str, float] = field(default_factory=dict)
    last: list[float] = field(default_factory=list)
    tested: float = 0
    speed: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    passes: float = float("nan")


@dataclass
class Method:
    """One row.

    Attributes:
        cells: by data set.
        reaches: the parameters that each loss changes, as text.
    """

    cells: dict[str, Cell] = field(default_factory=dict)
    reaches: str = ""


def main(
    runs: Annotated[Path, typer.Argument(help="The directory that the sweep wrote.")],
    grid: Annotated[Path, typer.Option(help="The grid that was swept.")] = HERE / "methods.toml",
    out: Annotated[Path, typer.Option(help="The page to write.")] = PAGE,
    rows: Annotated[Path, typer.Option(help="CSV with every run's numbers, used where a run file is missing.")] = ROWS,
    floor_rows: Annotated[Path, typer.Option(help="CSV of studies/floors.py.")] = FLOORS,
    long: Annotated[Path | None, typer.Option(help="A second grid of some methods; runs are in RUNS-long.")] = None,
) -> None:
    """Read the runs and write the page."""
    published = tomllib.loads((HERE / "published.toml").read_text(encoding="utf-8"))
    read = read_grid(grid)
    stored = kept(rows)
    methods, finished, planned = collect(read, runs, stored)
    data = [point.name for point in read.axes["data"]]
    if long:
        longer = read_grid(long)
        more, found, count = collect(longer, runs.with_name(f"{runs.name}-long"), stored)
        finished, planned = finished + found, planned + count
        data += [point.name for point in longer.axes["data"]]
        for name, method in more.items():
            methods[name].cells |= method.cells
    rows.parent.mkdir(parents=True, exist_ok=True)
    with rows.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows([*row[:3], *map(_text, row[NUMBERS]), *row[NUMBERS.stop :]] for row in finished)
    made = sorted({row.where for row in finished})
    methods = {**floors(floor_rows), **methods}
    out.write_text(
        page(data, len(read.axes["seed"]), methods, (len(finished), planned), published, made), encoding="utf-8"
    )


def floors(path: Path) -> dict[str, Method]:
    """The row of logistic regression on pixels; none without the file of studies/floors.py."""
    if not path.exists():
        return {}
    method = Method(reaches="no layers")
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            cell = method.cells.setdefault(line["data"], Cell())
            cell.accuracy[line["seed"]] = float(line["accuracy"])
            cell.tested = float(line["tested"])
    return {FLOOR: method}


def kept(path: Path) -> dict[tuple[str, str, str], Row]:
    """The stored rows by method, data set and seed; empty if there is no such file, or one with other columns."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        head, *lines = csv.reader(file)
    if tuple(head) != Row._fields:
        return {}
    read = [Row(*words[:3], *map(float, words[NUMBERS]), *words[NUMBERS.stop :]) for words in lines]
    return {row[:3]: row for row in read}


def collect(
    grid: Grid, runs: Path, before: Mapping[tuple[str, str, str], Row]
) -> tuple[dict[str, Method], list[Row], int]:
    """The numbers of every method with finished runs, their rows, and the number of planned runs.

    Args:
        grid: of the study.
        runs: the directory of run files.
        before: rows to use where a file is missing, if the grid still contains the same run.
    """
    registry = Registry()
    planned = plan(grid, runs, registry)
    methods: dict[str, Method] = {point.name: Method() for point in grid.axes["method"]}
    rows: list[Row] = []
    for run_plan, points in zip(planned, grid.cells(), strict=True):
        at = dict(zip(grid.axes, (point.name for point in points), strict=True))
        method = methods[at["method"]]
        if not method.reaches:
            report = loss_locality(toy({**run_plan.config.to_dict(), "observers": []}, registry), registry)
            method.reaches = "; ".join(report.lines())
        place, asked = (at["method"], at["data"], at["seed"]), _asked(run_plan.job.command)
        old = before.get(place)
        if run_plan.status == "finished":
            with ffprobe.open(run_plan.job.out) as run:
                numbers = (
                    100 * float(run.read("final/model_test_accuracy")),
                    100 * float(run.read("final/test_accuracy")[-1]),
                    float(run.variable("test/true_label").shape[0]),
                    float(statistics.median(run.read("metrics/images_per_second"))),
                    float(run.read("final/peak_memory")),
                    passes(run, run_plan.config),
                )
                # rounded as in its row, so that the page is the same with the file and without it
                row = Row(*place, *(float(_text(number)) for number in numbers), curve(run), _where(run), asked)
        elif old is not None and old.asked == asked:
            row = old
        else:
            continue
        rows.append(row)
        cell = method.cells.setdefault(row.data, Cell())
        cell.accuracy[row.seed] = row.accuracy
        cell.last.append(row.last)
        cell.tested = row.tested
        cell.speed.append(row.speed)
        cell.memory.append(row.memory)
        cell.passes = row.passes
    return methods, rows, len(planned)


def _text(number: float) -> str:
    return f"{number:.6g}"


def curve(run: ffprobe.RunFile) -> str:
    """Validation accuracy in percent by the number of steps, of the epochs that were evaluated."""
    batch, images = int(run.config["training"]["batch_size"]), int(run.attributes["training_images"])  # type: ignore[call-overload]
    steps = max(1, images // min(batch, images))
    measured = (100 * float(value) for value in run.read("metrics/model_validation_accuracy"))
    return " ".join(f"{steps * (epoch + 1)}:{value:.1f}" for epoch, value in enumerate(measured) if value == value)


def _where(run: ffprobe.RunFile) -> str:
    said = run.attributes
    threads = f"{said['threads']} thread{'s' if said['threads'] != 1 else ''}"
    return f"torch {said['torch_version']}, ffprobe {said['ffprobe_version']}, {said['device']}, {threads}"


def _asked(command: Sequence[str]) -> str:
    """Identify a run, wherever its data and its file are: a hash of its command and of its preset's content."""
    words = list(command)
    for option in ("--out", "--data-dir"):
        if option in words:
            at = words.index(option)
            del words[at : at + 2]
    presets = [read_preset(words[at + 1]) for at, word in enumerate(words) if word == "--preset"]
    return hashlib.sha256("\0".join([*words, json.dumps(presets, sort_keys=True)]).encode()).hexdigest()[:12]


def passes(run: ffprobe.RunFile, config: Any) -> float:
    """Inputs that a prediction sends through the network per image, counted during an evaluation from the file."""
    evaluator = config.slots["evaluator"].build()
    calibration = ffprobe.read_calibration(run, "" if evaluator.reads_goodness else "pre")
    evaluator.calibrate(calibration)
    scan = calibration.scan()
    evaluator.read(scan)
    return max(scan.evaluations) / scan.images


def page(
    data: Sequence[str],
    seeds: int,
    methods: Mapping[str, Method],
    planned: tuple[int, int],
    published: Mapping[str, Any],
    made: Sequence[str],
) -> str:
    """The page."""
    parts = [
        "# Methods of the field at one budget",
        "<!-- Made by studies/methods.py from run files; change studies/methods.toml or published.toml, then `make"
        " methods`. -->",
        "**A smoke test, not a ranking**: the same small budget for all methods, 750 steps of 2,000 images at a quarter"
        " of each network's width, without augmentation (`studies/methods.toml`). **These are not the papers' numbers"
        " and cannot be:** those are in the columns beside, their budgets below.",
        "The column *5 times the steps* has some rows with 10,000 images and 3,750 steps on CIFAR-10 (JPEG), three"
        " seeds (`studies/methods-long.toml`)."
        if any(name.endswith("-long") for name in data)
        else "",
        f"Test accuracy in percent, mean over {seeds} seeds (or the number in parentheses) ± standard deviation over"
        " seeds ± standard error from the number of test images, which more seeds do not reduce. Each method predicts"
        " as its authors do; *last* is the last layer's goodness alone, a dash where it has none. Each method keeps its"
        " own network. Compare a row with its floors (logistic regression on pixels; `untrained-...`, a linear readout"
        " of the same network before training) and with backpropagation on its own network (`bp-...`).",
        f"{planned[0]} of {planned[1]} runs are finished." if planned[0] < planned[1] else "",
        _table(methods, data, published),
        f"Made with {'; '.join(made)}. `make methods` repeats it; bfloat16 where the processor has it natively."
        if made
        else "",
        "![Validation accuracy over steps on CIFAR-10 (JPEG), a panel for each family](results/methods-steps.svg)",
        "Images per second and peak memory were measured during training on the last finished data set, on the machine"
        " that made this page, with other runs at the same time: they show orders of magnitude. *Each loss reaches* is"
        " measured on a toy network by which parameters change (`ffprobe plugins info --preset NAME`). *Passes* counts"
        " the inputs that one prediction sends through the network.",
        "## The papers' settings",
        _published(methods, published["methods"]),
        "## Published, not measured here",
        LITERATURE,
        _literature(published.get("literature", [])),
        "## Agreement with the literature",
        "An order that a paper predicts *agrees* or *differs* where the paired t test over seeds gives p < 0.05, after"
        " the Holm-Bonferroni correction over all orders on all data sets; otherwise it is inconclusive. After the ±:"
        " half of the 95 % interval, not corrected.",
        _orders(methods, data, published["orders"]),
        READING.read_text(encoding="utf-8").strip() if READING.exists() else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(methods: Mapping[str, Method], data: Sequence[str], published: Mapping[str, Any]) -> str:
    heads = [[TITLES.get(name, name), "last", *(["its paper"] if name in PAPERS else [])] for name in data]
    head = ["method", "description", *(h for pair in heads for h in pair), "images/s", "peak MB"]
    right = ["---:"] * (len(head) - 2)
    rows = [[*head, "each loss reaches", "passes"], ["---", "---", *right, "---", "---:"]]
    for name, method in methods.items():
        said = published["methods"].get(name, {"says": "on pixels: the floor"} if name == FLOOR else {})
        numbers: list[str] = []
        for one in data:
            cell = method.cells.get(one, Cell())
            last = statistics.mean(cell.last) if cell.last else math.nan
            numbers += [_accuracy(cell), "–" if math.isnan(last) else f"{last:.1f}"]
            if one in PAPERS:
                numbers.append(said.get(PAPERS[one], "–"))
        done = [method.cells[one] for one in data if one in method.cells]
        last = done[-1] if done else Cell()
        rows.append(
            [
                f"`{name}`",
                said.get("says", ""),
                *numbers,
                f"{statistics.mean(last.speed):,.0f}" if last.speed else "–",
                f"{max(last.memory) / 1e6:,.0f}" if last.memory else "–",
                method.reaches,
                f"{last.passes:.3g}" if last.passes == last.passes else "–",
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _accuracy(cell: Cell) -> str:
    values = list(cell.accuracy.values())
    if not values:
        return "–"
    mean = statistics.mean(values)
    images = f" ± {(mean * (100 - mean) / cell.tested) ** 0.5:.1f}" if cell.tested else ""
    if len(values) == 1:
        return f"{mean:.1f}{images} (1)"
    more = "" if len(values) > 2 else f" ({len(values)})"
    return f"{mean:.1f} ± {statistics.stdev(values):.1f}{images}{more}"


def _published(methods: Mapping[str, Method], published: Mapping[str, Any]) -> str:
    rows = [["method", "their setting", "source"], ["---"] * 3]
    for name in methods:
        said = published.get(name, {})
        cells = [said.get(key, "") or "–" for key in ("setting", "source")]
        if any(cell != "–" for cell in cells):
            rows.append([f"`{name}`", *cells])
    own = (FLOOR, "untrained-", "bp-")
    silent = [f"`{name}`" for name in methods if not name.startswith(own) and not published.get(name, {}).get("source")]
    text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return text + (f"\n\nNo published number is listed for: {', '.join(silent)}." if silent else "")


def _literature(entries: Sequence[Mapping[str, str]]) -> str:
    rows = [
        ["method", "data", "published", "backpropagation", "setting", "source", "read in", "preset here"],
        ["---"] * 8,
    ]
    keys = ("method", "data", "number", "backprop", "setting", "source", "read", "preset")
    rows += [[entry.get(key, "–") for key in keys] for entry in entries]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _orders(methods: Mapping[str, Method], data: Sequence[str], orders: Sequence[Mapping[str, str]]) -> str:
    """One line for each order and data set; p values are corrected over all of them together."""
    found = []
    for order in orders:
        better, worse = (methods.get(order[side], Method()) for side in ("better", "worse"))
        for name in data:
            estimate = difference(better.cells.get(name, Cell()), worse.cells.get(name, Cell()))
            if estimate:
                found.append((order, TITLES.get(name, name), estimate))
    corrected = holm([estimate.p if estimate.n > 2 else math.nan for _, _, estimate in found])
    lines = [
        f"- `{order['better']}` above `{order['worse']}` ({order['source']}), {where}: {judged(estimate, p)}"
        for (order, where, estimate), p in zip(found, corrected, strict=True)
    ]
    return "\n".join(lines) or "Too few runs are finished for a verdict."


def difference(better: Cell, worse: Cell) -> Estimate | None:
    """How far one is above the other on the same seeds, in points; None without a common seed."""
    common = sorted(better.accuracy.keys() & worse.accuracy.keys())
    if not common:
        return None
    return paired_difference([worse.accuracy[seed] for seed in common], [better.accuracy[seed] for seed in common])


def judged(estimate: Estimate, p: float) -> str:
    """Whether one is above the other: by the sign of the difference, if its corrected p is below 0.05.

    Args:
        estimate: the paired difference.
        p: its p value, corrected; NaN if there was nothing to test.
    """
    if estimate.n < 3:
        seeds = f"{estimate.n} seed{'s' if estimate.n > 1 else ''}"
        return f"{estimate.mean:+.1f} points on {seeds}, too few for a verdict."
    reach = (estimate.high - estimate.low) / 2
    number = f"{estimate.mean:+.1f} ± {reach:.1f} points"
    if math.isnan(p):
        return f"inconclusive, {number} on every seed, which cannot be tested."
    word = ("**agrees**" if estimate.mean > 0 else "**differs**") if p < 0.05 else "inconclusive"
    return f"{word}, {number}, p = {p:.2g}."


if __name__ == "__main__":
    typer.run(main)
