"""Makes docs/methods.md from the runs of ``methods.toml``: one table of every method of the field.

``python studies/methods.py RUNS``, after ``ffprobe sweep studies/methods.toml --out RUNS``; ``make methods`` does both.
Runs that are not there yet are left out, and the page says how many there are. Every run's numbers are kept in
docs/results/methods.csv, so that a night on one machine and a night on another make one table: a row stands for its run
file where that is not at hand, as long as the grid still asks for the same run.
"""

from __future__ import annotations

import csv
import hashlib
import json
import statistics
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from scipy.stats import t

import ffprobe
from ffprobe.config.preset_files import read_preset
from ffprobe.plugin.registry import Registry
from ffprobe.sweep.grid import Grid, read_grid
from ffprobe.sweep.plan import plan
from ffprobe.training.locality import reach, toy

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "methods.md"
READING = HERE / "methods-reading.md"
"""What was made of the numbers, by hand."""
ROWS = HERE.parent / "docs" / "results" / "methods.csv"
PAPERS = {"fashion-mnist": "fashion-mnist", "cifar10-jpeg": "cifar10"}
"""The data sets on which papers report, and what published.toml calls them."""
TITLES = {"digits": "digits", "fashion-mnist": "Fashion-MNIST", "cifar10-jpeg": "CIFAR-10 (JPEG)"}


class Row(NamedTuple):
    """One finished run.

    Attributes:
        method: its point on the axis of methods.
        data: of data sets.
        seed: of seeds.
        accuracy: on the test set by the run's evaluator, percent.
        speed: training images a second, median over epochs.
        memory: peak resident set of the process, or of the card, bytes.
        passes: how many inputs went through the layer that was asked most often, for one image.
        where: versions, device and threads of the run, in words.
        asked: of the command that made it, less folders, and of its preset, the beginning of the SHA-256.
    """

    method: str
    data: str
    seed: str
    accuracy: float
    speed: float
    memory: float
    passes: float
    where: str
    asked: str


@dataclass
class Cell:
    """One method on one data set, over its seeds.

    Attributes:
        accuracy: on the test set by the run's evaluator, percent, by seed.
        speed: training images a second, of each run.
        memory: peak resident set of the process, or of the card, bytes, of each run.
        passes: how many inputs went through the layer that was asked most often, for one image.
    """

    accuracy: dict[str, float] = field(default_factory=dict)
    speed: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    passes: float = float("nan")


@dataclass
class Method:
    """One row.

    Attributes:
        cells: by data set.
        reaches: what each loss reaches, in words.
    """

    cells: dict[str, Cell] = field(default_factory=dict)
    reaches: str = ""


def main(
    runs: Annotated[Path, typer.Argument(help="The directory that the sweep wrote.")],
    grid: Annotated[Path, typer.Option(help="The grid that was swept.")] = HERE / "methods.toml",
    out: Annotated[Path, typer.Option(help="The page to write.")] = PAGE,
    rows: Annotated[Path, typer.Option(help="Every run's numbers, kept for where its file is not at hand.")] = ROWS,
) -> None:
    """Read the runs and write the page."""
    published = tomllib.loads((HERE / "published.toml").read_text(encoding="utf-8"))
    read = read_grid(grid)
    found, told, planned = collect(read, runs, kept(rows))
    rows.parent.mkdir(parents=True, exist_ok=True)
    with rows.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows([*row[:3], *map(_text, row[3:7]), *row[7:]] for row in told)
    made = sorted({row.where for row in told})
    out.write_text(page(read, found, (len(told), planned), published, made), encoding="utf-8")


def kept(path: Path) -> dict[tuple[str, str, str], Row]:
    """The rows of an earlier time by method, data set and seed; none where there is no such file."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        read = [Row(*words[:3], *map(float, words[3:7]), *words[7:]) for words in list(csv.reader(file))[1:]]
    return {row[:3]: row for row in read}


def collect(
    grid: Grid, runs: Path, before: Mapping[tuple[str, str, str], Row]
) -> tuple[dict[str, Method], list[Row], int]:
    """Every method's numbers, as far as its runs are finished; their rows; and how many runs there are to be.

    Args:
        grid: of the study.
        runs: the directory of run files.
        before: rows to take where a file is not there, if the grid still asks for the same run.
    """
    registry = Registry()
    planned = plan(grid, runs, registry)
    methods: dict[str, Method] = {point.name: Method() for point in grid.axes["method"]}
    rows: list[Row] = []
    for one, points in zip(planned, grid.cells(), strict=True):
        at = dict(zip(grid.axes, (point.name for point in points), strict=True))
        method = methods[at["method"]]
        if not method.reaches:
            audit = reach(toy({**one.config.to_dict(), "observers": []}, registry), registry)
            method.reaches = "; ".join(audit.lines())
        place, asked = (at["method"], at["data"], at["seed"]), _asked(one.job.command)
        old = before.get(place)
        if one.standing == "finished":
            with ffprobe.open(one.job.out) as run:
                numbers = (
                    100 * float(run.read("final/model_test_accuracy")),
                    float(statistics.median(run.read("metrics/images_per_second"))),
                    float(run.read("final/peak_memory")),
                    passes(run, one.config),
                )
                # as its row will have them, so that the page is the same with the file and without
                row = Row(*place, *(float(_text(number)) for number in numbers), _where(run), asked)
        elif old is not None and old.asked == asked:
            row = old
        else:
            continue
        rows.append(row)
        cell = method.cells.setdefault(row.data, Cell())
        cell.accuracy[row.seed] = row.accuracy
        cell.speed.append(row.speed)
        cell.memory.append(row.memory)
        cell.passes = row.passes
    return methods, rows, len(planned)


def _text(number: float) -> str:
    return f"{number:.6g}"


def _where(run: ffprobe.RunFile) -> str:
    said = run.attributes
    threads = f"{said['threads']} thread{'s' if said['threads'] != 1 else ''}"
    return f"torch {said['torch_version']}, ffprobe {said['ffprobe_version']}, {said['device']}, {threads}"


def _asked(command: Sequence[str]) -> str:
    """What tells a run from every other, wherever its data and its file lie: its words and what its preset says."""
    words = list(command)
    for option in ("--out", "--data-dir"):
        if option in words:
            at = words.index(option)
            del words[at : at + 2]
    presets = [read_preset(words[at + 1]) for at, word in enumerate(words) if word == "--preset"]
    return hashlib.sha256("\0".join([*words, json.dumps(presets, sort_keys=True)]).encode()).hexdigest()[:12]


def passes(run: ffprobe.RunFile, config: Any) -> float:
    """Inputs that a prediction sends through the network for one image: counted while one is read from the file."""
    evaluator = config.slots["evaluator"].build()
    calibration = ffprobe.read_calibration(run, "" if evaluator.reads_goodness else "pre")
    evaluator.calibrate(calibration)
    sweep = calibration.sweep()
    evaluator.read(sweep)
    return max(sweep.evaluations) / sweep.images


def page(
    grid: Grid,
    methods: Mapping[str, Method],
    planned: tuple[int, int],
    published: Mapping[str, Any],
    made: Sequence[str],
) -> str:
    """The page."""
    data = [point.name for point in grid.axes["data"]]
    seeds = len(grid.axes["seed"])
    parts = [
        "# Every method of the field on one bench",
        "<!-- Made by studies/methods.py from run files; change studies/methods.toml or published.toml, then `make"
        " methods`. -->",
        f"Test accuracy in percent, mean ± standard deviation over {seeds} seeds, or over as many as stand in brackets,"
        " at one small budget for all: the same images, epochs and batches, a quarter of each network's width, no"
        " augmentation (`studies/methods.toml`). **These are not the papers' numbers and cannot be:** theirs"
        " stand beside, their budgets below. Each method keeps its own network and learning rate, so a row says how"
        " far a method comes here, not which idea is better.",
        f"{planned[0]} of {planned[1]} runs are finished." if planned[0] < planned[1] else "",
        _table(methods, data, published),
        f"Made with {'; '.join(made)}. `make methods` repeats it; bfloat16 where the processor has it natively."
        if made
        else "",
        "Images a second and peak memory are of training on the last of these data sets that is finished, on the"
        " machine that made this page, with other runs beside: good for orders of magnitude. *Reaches* is measured on"
        " a toy network by what changes (`ffprobe plugins info --preset NAME`). *Passes* counts the inputs that one"
        " prediction sends through the network.",
        "## The papers' settings",
        _published(methods, published["methods"]),
        "## What agrees with the literature here",
        "An order that a paper leads one to expect *agrees* or *differs* where the 95 % interval of the mean paired"
        " difference over the seeds (behind the ±, Student's t) leaves out 0. Nothing is corrected for how many there"
        " are.",
        _orders(methods, data, published["orders"]),
        READING.read_text(encoding="utf-8").strip() if READING.exists() else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(methods: Mapping[str, Method], data: Sequence[str], published: Mapping[str, Any]) -> str:
    heads = [[TITLES.get(name, name), *(["its paper"] if name in PAPERS else [])] for name in data]
    head = ["method", "what it is", *(h for pair in heads for h in pair), "images/s", "peak MB"]
    right = ["---:"] * (len(head) - 2)
    rows = [[*head, "each loss reaches", "passes"], ["---", "---", *right, "---", "---:"]]
    for name, method in methods.items():
        said = published["methods"].get(name, {})
        numbers: list[str] = []
        for one in data:
            numbers.append(_accuracy(method.cells.get(one, Cell())))
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
                f"{last.passes:.3g}" if done else "–",
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _accuracy(cell: Cell) -> str:
    values = list(cell.accuracy.values())
    if not values:
        return "–"
    if len(values) == 1:
        return f"{values[0]:.1f} (1)"
    more = "" if len(values) > 2 else f" ({len(values)})"
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}{more}"


def _published(methods: Mapping[str, Method], published: Mapping[str, Any]) -> str:
    rows = [["method", "their setting", "source"], ["---"] * 3]
    for name in methods:
        said = published.get(name, {})
        cells = [said.get(key, "") or "–" for key in ("setting", "source")]
        if any(cell != "–" for cell in cells):
            rows.append([f"`{name}`", *cells])
    silent = [f"`{name}`" for name in methods if not published.get(name, {}).get("source")]
    text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return text + (f"\n\nNo published number is noted here for: {', '.join(silent)}." if silent else "")


def _orders(methods: Mapping[str, Method], data: Sequence[str], orders: Sequence[Mapping[str, str]]) -> str:
    lines = []
    for order in orders:
        better, worse = (methods.get(order[side], Method()) for side in ("better", "worse"))
        for name in data:
            told = judged(better.cells.get(name, Cell()), worse.cells.get(name, Cell()))
            if told:
                where = TITLES.get(name, name)
                lines.append(f"- `{order['better']}` above `{order['worse']}` ({order['source']}), {where}: {told}")
    return "\n".join(lines) or "Too few runs are finished to say."


def judged(better: Cell, worse: Cell) -> str:
    """Whether one is above the other on the same seeds: by the 95 % interval of the mean paired difference."""
    common = sorted(better.accuracy.keys() & worse.accuracy.keys())
    if not common:
        return ""
    differences = [better.accuracy[seed] - worse.accuracy[seed] for seed in common]
    mean = statistics.mean(differences)
    if len(common) < 3:
        return f"{mean:+.1f} points on {len(common)} seed{'s' if len(common) > 1 else ''}, too few to say."
    # of so few seeds, Student's t: 4.3 standard errors for three, not two
    reach = float(t.ppf(0.975, len(common) - 1)) * statistics.stdev(differences) / len(common) ** 0.5
    word = "**agrees**" if mean > reach else "**differs**" if mean < -reach else "cannot be told"
    return f"{word}, {mean:+.1f} ± {reach:.1f} points."


if __name__ == "__main__":
    typer.run(main)
