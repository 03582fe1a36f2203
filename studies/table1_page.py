"""Write docs/table1.md from the run files of studies/table1-cpu.toml: Table 1 beside the paper's, with a verdict on
each ordering.

``python studies/table1_page.py runs/table1-cpu``; every run's numbers are written to docs/results/ as CSV.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ffprobe_plugins.probes.compare import TABLE_1

import ffprobe
from ffprobe.analysis.measures.statistics import holm, mean_interval, paired_difference
from ffprobe.analysis.runs.summary import RunSummary
from ffprobe.display import csv_cell
from ffprobe.errors import FileError

DOCS = Path(__file__).parents[1] / "docs"
LOSSES = {
    ("fixed-threshold", 2.0): "threshold 2",
    ("fixed-threshold", 10.0): "threshold 10",
    ("symba", 4.0): "SymBa",
}
PLUGINS = {
    ("length", "greedy"): "neither",
    ("batchnorm", "greedy"): "batchnorm",
    ("length", "olu"): "olu",
    ("batchnorm", "olu"): "batchnorm + olu",
}
LEARNED = "greedy, learned label"
CONTROLS = {
    ("length", LEARNED): "learned label, greedy",
    ("batchnorm", LEARNED): "batchnorm + learned label, greedy",
}
"""Greedy updates with a learned label encoder, which olu has by default: not in the paper's table."""
NAMES = {"images": "CIFAR-10 (JPEG)", "fashion-mnist": "Fashion-MNIST"}
Cell = tuple[tuple[str, float], tuple[str, str]]
CELLS: list[Cell] = [(loss, plugins) for plugins in (*PLUGINS, *CONTROLS) for loss in LOSSES]


def cell_of(run: RunSummary) -> Cell:
    """The cell of the paper's table that a run belongs to: its loss and its plugin set."""
    loss = run.config["loss"]
    number = float(loss.get("threshold", loss.get("alpha")))
    scheduler = run.config["scheduler"]["name"]
    learned = (run.config.get("encoder") or {}).get("learned", "auto") in ("yes", True)
    scheduler = LEARNED if learned and scheduler == "greedy" else scheduler
    return (loss["name"], number), (run.config["normalizer"]["name"], scheduler)


def paper(cell: Cell) -> tuple[float, float]:
    """Mean and standard deviation in the paper's Table 1."""
    (loss, number), (normalizer, scheduler) = cell
    return TABLE_1[loss, int(number), normalizer, scheduler]


def orderings() -> Iterator[tuple[str, Cell, Cell]]:
    """The comparisons of the paper's table: pairs of cells that differ in one ingredient, without it first."""
    fixed, ten, symba = LOSSES
    neither, batchnorm, olu, both = PLUGINS
    for plugins, name in PLUGINS.items():
        yield f"SymBa over threshold 10, {name}", (ten, plugins), (symba, plugins)
        yield f"SymBa over threshold 2, {name}", (fixed, plugins), (symba, plugins)
    for loss, name in LOSSES.items():
        yield f"batchnorm over length, {name}, greedy", (loss, neither), (loss, batchnorm)
        yield f"batchnorm over length, {name}, olu", (loss, olu), (loss, both)
        yield f"olu over greedy, {name}, length", (loss, neither), (loss, olu)
        yield f"olu over greedy, {name}, batchnorm", (loss, batchnorm), (loss, both)


def table(runs: dict[Cell, dict[int, float]], paper_s: str) -> str:
    """Losses in columns, plugin sets in rows; these runs, and the paper's numbers below."""
    text = "| | " + " | ".join(LOSSES.values()) + " |\n|---|" + "---|" * len(LOSSES) + "\n"
    controls = {p: name for p, name in CONTROLS.items() if any(runs.get((loss, p)) for loss in LOSSES)}
    for plugins, name in (PLUGINS | controls).items():
        ours, theirs = [], []
        for loss in LOSSES:
            values = list(runs.get((loss, plugins), {}).values())
            mean = mean_interval(values) if values else None
            spread = f" ± {mean.sd:.2f}" if mean and mean.n > 1 else ""
            count = f" ({mean.n})" if mean and mean.n != 3 else ""
            ours.append(f"**{mean.mean:.2f}{spread}**{count}" if mean else "not run")
            theirs.append("{:.2f} ± {:.2f}".format(*paper((loss, plugins))) if plugins in PLUGINS else "–")
        text += f"| {name} | " + " | ".join(ours) + " |\n| *" + paper_s + "* | " + " | ".join(theirs) + " |\n"
    return text


def judged(runs: dict[Cell, dict[int, float]], confidence: float = 0.95) -> list[dict[str, Any]]:
    """Every ordering: the paper's difference, the paired difference of these runs, and a verdict.

    ``holds``: the paper's sign, and p < 0.05 after the Holm-Bonferroni correction over all orderings of the data set;
    ``reversed``: the other sign, with the same significance; ``same sign`` and ``other sign``: not significant.
    """
    rows = []
    for name, lesser, greater in orderings():
        first, second = runs.get(lesser, {}), runs.get(greater, {})
        seeds = sorted(first.keys() & second.keys())
        if not seeds:
            continue
        found = paired_difference([first[s] for s in seeds], [second[s] for s in seeds], confidence)
        rows.append({"ordering": name, "paper": paper(greater)[0] - paper(lesser)[0], "found": found})
    for row, p in zip(rows, holm([row["found"].p for row in rows]), strict=True):
        same = row["found"].mean * row["paper"] > 0
        sure = p == p and p < 1 - confidence
        row |= {"p": p, "verdict": ("holds" if same else "reversed") if sure else f"{'same' if same else 'other'} sign"}
    return rows


def effects(runs: dict[Cell, dict[int, float]], confidence: float = 0.95) -> str:
    """The effect of each ingredient: its differences averaged over all contexts, paired by seed.

    The average has less noise than a single ordering; three numbers remain, one per seed.
    """
    kinds = ("SymBa over threshold 2", "SymBa over threshold 10", "batchnorm over length", "olu over greedy")
    found, theirs = {}, {}
    for kind in kinds:
        pairs = [(a, b) for name, a, b in orderings() if name.startswith(f"{kind},")]
        seeds = sorted(set.intersection(*(set(runs.get(cell, {})) for pair in pairs for cell in pair)))
        if len(seeds) < 2:
            return ""
        means = [[sum(runs[pair[side]][s] for pair in pairs) / len(pairs) for s in seeds] for side in (0, 1)]
        found[kind] = paired_difference(*means, confidence)
        theirs[kind] = sum(paper(b)[0] - paper(a)[0] for a, b in pairs) / len(pairs)
    text = "\nAveraged over every context of an ingredient, paired by seed:\n\n"
    text += "| ingredient | paper, points | here, points (95 %) | p (Holm) |\n|---|---|---|---|\n"
    for kind, p in zip(kinds, holm([found[kind].p for kind in kinds]), strict=True):
        half = (found[kind].high - found[kind].low) / 2
        text += f"| {kind} | {theirs[kind]:+.2f} | {found[kind].mean:+.2f} ± {half:.2f} | {p:.2g} |\n"
    return text


def depths(runs: Sequence[RunSummary], accuracy: Mapping[Path, list[float]]) -> str:
    """Test accuracy of the first and the last layer by plugin set: the effect of depth."""
    text = "\nTest accuracy of the first and of the last layer, mean over seeds:\n\n"
    text += "| | " + " | ".join(LOSSES.values()) + " |\n|---|" + "---|" * len(LOSSES) + "\n"
    known = {cell_of(run)[1] for run in runs}
    controls = {p: name for p, name in CONTROLS.items() if p in known}
    for plugins, name in (PLUGINS | controls).items():
        cells = []
        for loss in LOSSES:
            layers = [accuracy[run.path] for run in runs if cell_of(run) == (loss, plugins)]
            ends = [sum(row[end] for row in layers) / len(layers) for end in (0, -1)] if layers else []
            cells.append(f"{ends[0]:.1f} → {ends[1]:.1f}" if ends else "not run")
        text += f"| {name} | " + " | ".join(cells) + " |\n"
    return text


def section(name: str, runs: Sequence[RunSummary]) -> tuple[str, list[dict[str, Any]]]:
    """The section of one data set, and its verdicts."""
    cells: dict[Cell, dict[int, float]] = {}
    for run in runs:
        cells.setdefault(cell_of(run), {})[int(run.seed or 0)] = run.test
    rows = judged(cells)
    counts = Counter(row["verdict"] for row in rows)
    words = {
        "holds": "hold",
        "same sign": "of the same sign",
        "other sign": "of the other sign",
        "reversed": "reversed",
    }
    summary = ", ".join(f"{counts[verdict]} {text}" for verdict, text in words.items() if counts[verdict])
    text = f"## {name}\n\nTest accuracy in percent from the last layer's goodness, mean ± standard deviation over seeds"
    text += " (the number of seeds in parentheses if it is not 3)."
    text += " Below each row: the paper's, at full size, on CIFAR-10.\n\n"
    text += table(cells, "the paper" if name == NAMES["images"] else "the paper, CIFAR-10")
    text += (
        f"\nOf {len(rows)} orderings: {summary}.\n\n| ordering | paper, points | here, points (95 %) | p (Holm) | |\n"
    )
    text += "|---|---|---|---|---|\n"
    for row in rows:
        found = row["found"]
        half = f" ± {(found.high - found.low) / 2:.2f}" if found.high == found.high else ""
        p = f"{row['p']:.2g}" if row["p"] == row["p"] else "–"
        text += f"| {row['ordering']} | {row['paper']:+.2f} | {found.mean:+.2f}{half} | {p} | {row['verdict']} |\n"
    return text + effects(cells), rows


def page(folder: Path) -> str:
    """The measured part of the page; also writes docs/results/NAME.csv.

    Raises:
        FileError: the folder holds no finished run.
    """
    paths = sorted(folder.glob("*.h5"))
    if not paths:
        raise FileError("There is no finished run file in this directory.", where=str(folder))
    runs: list[RunSummary] = []
    accuracy: dict[Path, list[float]] = {}
    for path in paths:
        with ffprobe.open(path) as file:
            runs.append(ffprobe.summarize(file))
            accuracy[runs[-1].path] = [100 * float(value) for value in file.read("final/test_accuracy")]
    (DOCS / "results").mkdir(exist_ok=True)
    text = _environment(runs)
    for dataset in dict.fromkeys(run.config["dataset"]["name"] for run in runs):
        own = [run for run in runs if run.config["dataset"]["name"] == dataset]
        _write_csv(DOCS / "results" / f"table1-cpu-{dataset}.csv", own)
        text += "\n" + section(NAMES[dataset], own)[0] + depths(own, accuracy)
    return text


def _environment(runs: Sequence[RunSummary]) -> str:
    facts = {key: sorted({str(run.attributes.get(key)).partition("+")[0] for run in runs}) for key in FACTS}
    hours = sum(run.seconds for run in runs) / 3600
    values = "; ".join(f"{key.replace('_', ' ')} {', '.join(found)}" for key, found in facts.items())
    return f"{len(runs)} runs, {hours:.1f} hours of wall time in total; {values}.\n"


FACTS = ("ffprobe_version", "torch_version", "device", "precision", "threads", "test_set_read")


def _write_csv(path: Path, runs: Sequence[RunSummary]) -> None:
    """Every run's numbers, so that the tables can be checked."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["loss", "normalizer", "scheduler", "seed", "test", "validation", "epochs", "seconds"])
        for run in sorted(runs, key=lambda run: (CELLS.index(cell_of(run)), run.seed)):
            (loss, number), plugins = cell_of(run)
            numbers = [f"{run.test:.4f}", f"{run.validation:.4f}", run.epochs, f"{run.seconds:.0f}"]
            writer.writerow(map(csv_cell, [f"{loss}-{number:g}", *plugins, run.seed, *numbers]))


BEGIN, END = "<!-- measured: made by studies/table1_page.py -->\n", "<!-- end of measured -->\n"


def main(folder: Path, target: Path) -> None:
    """Write the measured part between its marks and keep the text around it."""
    text = target.read_text(encoding="utf-8") if target.exists() else f"# Results\n\n{BEGIN}{END}"
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    target.write_text(f"{before}{BEGIN}\n{page(folder)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), DOCS / "table1.md")
