"""Write the measured part of docs/own-data.md from the runs of studies/own_data.toml, with scikit-learn's baselines.

``python studies/own_data.py runs/own-data``; every accuracy is written to docs/results/own-data.csv. A baseline is
fitted on the training samples of the run with the same seed, standardized as the run's, without those that it held out.
"""

from __future__ import annotations

import csv
import math
import statistics
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import sklearn
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import ffprobe
from ffprobe.data.normalize import normalize
from ffprobe.data.samples import Samples
from ffprobe.errors import FileError
from ffprobe.plugin.registry import Registry
from ffprobe.sweep.grid import read_grid
from ffprobe.sweep.plan import PlannedRun, plan
from ffprobe.training.split import Split, load_split

HERE = Path(__file__).parent
GRID = HERE / "own_data.toml"
PAGE = HERE.parent / "docs" / "own-data.md"
ROWS = HERE.parent / "docs" / "results" / "own-data.csv"
BEGIN, END = "<!-- measured: made by studies/own_data.py -->\n", "<!-- end of measured -->\n"
BASELINES = {
    "logistic regression": lambda: LogisticRegression(max_iter=5000),
    "5 nearest neighbours": lambda: KNeighborsClassifier(5),
}
"""The settings of scikit-learn, where nothing is given."""


class Row(NamedTuple):
    """The test accuracy of one run or baseline.

    Attributes:
        data: its data set.
        method: its point on the axis of methods, or the baseline.
        seed: the seed of the run.
        test: test accuracy in percent, by the run's evaluator.
        first: test accuracy of the first layer in percent; NaN without one.
    """

    data: str
    method: str
    seed: int
    test: float
    first: float = math.nan


def rows_of(planned: Iterable[PlannedRun]) -> tuple[list[Row], str]:
    """The rows of the finished runs and of their baselines, and where the runs were made."""
    rows: list[Row] = []
    where: set[str] = set()
    registry, fitted = Registry(), set()
    for run in planned:
        if run.status != "finished":
            continue
        data, seed, method = (point.name for point in run.points)
        with ffprobe.open(run.job.out) as file:
            first = 100 * float(file.read("final/test_accuracy")[0])
            test = 100 * float(file.read("final/model_test_accuracy"))
            number = int(str(file.config["seed"]))
            where.add(", ".join(_fact(file.attributes, key) for key in ("processor", "threads", "torch_version")))
        rows.append(Row(data, method, number, test, first))
        if (data, seed) not in fitted:
            fitted.add((data, seed))
            rows += baselines(data, number, load_split(run.config, registry))
    return rows, "; ".join(sorted(where))


def _fact(attributes: Mapping[str, Any], key: str) -> str:
    value = str(attributes.get(key, "unknown")).partition("+")[0]
    return {"threads": f"{value} threads", "torch_version": f"torch {value}"}.get(key, value)


def baselines(data: str, seed: int, split: Split) -> Iterator[Row]:
    """The test accuracies of scikit-learn's classifiers on the samples of a run."""
    assert split.test is not None
    inputs, labels = _arrays(split.train, split.train)
    tested, right = _arrays(split.test, split.train)
    for name, make in BASELINES.items():
        model: ClassifierMixin = make()
        yield Row(data, name, seed, 100 * float(model.fit(inputs, labels).score(tested, right)))


def _arrays(samples: Samples, like: Samples) -> tuple[Any, Any]:
    """Inputs ``[N, features]``, standardized by the statistics of ``like``, and labels."""
    return normalize(samples.inputs[:], like.mean, like.std).flatten(1).numpy(), samples.labels.numpy()


def table(rows: Sequence[Row]) -> str:
    """Methods in rows, data sets in columns: mean and standard deviation over the seeds, in percent."""
    data = list(dict.fromkeys(row.data for row in rows))
    methods = list(dict.fromkeys(row.method for row in rows if row.method not in BASELINES))
    text = "| | " + " | ".join(data) + " |\n|---|" + "---|" * len(data) + "\n"
    for method in [*methods, *BASELINES]:
        cells = {name: [row for row in rows if (row.data, row.method) == (name, method)] for name in data}
        text += f"| {method} | " + " | ".join(_cell([row.test for row in cells[name]]) for name in data) + " |\n"
        if any(row.first == row.first for name in data for row in cells[name]):
            first = [_cell([row.first for row in cells[name]]) for name in data]
            text += f"| *{method}, first layer* | " + " | ".join(first) + " |\n"
    return text


def _cell(values: Sequence[float]) -> str:
    values = [value for value in values if value == value]
    if not values:
        return "–"
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread} ({len(values)})"


def page(rows: Sequence[Row], where: str) -> str:
    """The measured part of the page."""
    text = "Test accuracy in percent, mean ± standard deviation over seeds (number of seeds), by the last layer unless "
    text += "the row names the first.\n\n" + table(rows)
    return text + f"\nMade by `ffprobe sweep studies/own_data.toml` on: {where}; scikit-learn {sklearn.__version__}.\n"


def main(folder: Path, target: Path = PAGE, kept: Path = ROWS) -> None:
    """Write the table between its marks and keep the text around it.

    Raises:
        FileError: the folder has no finished run.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)  # a baseline that did not converge is no baseline
        rows, where = rows_of(plan(read_grid(GRID), folder, Registry()))
    if not rows:
        raise FileError("There is no finished run in this directory.", where=str(folder))
    before, _, rest = target.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    target.write_text(f"{before}{BEGIN}\n{page(rows, where)}\n{END}{after}", encoding="utf-8")
    with kept.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows([*row[:3], f"{row.test:.4f}", f"{row.first:.4f}"] for row in rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
