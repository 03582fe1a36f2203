"""Which plugins are more accurate, over seeds? Reproduces the paper's Tables 1 and 2."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Plugins = tuple[str, float, str, str]
"""Loss, its threshold or alpha, normalizer and scheduler."""


class Compare(ffprobe.Probe):
    """Accuracy of every set of plugins over seeds, and its difference to a baseline on the same seeds.

    Runs that differ only in the seed are one row: mean and standard deviation over seeds of the accuracy of the run's
    evaluator. Differences are paired by seed with the baseline of the same data set, with Student's t interval and the
    paired t test, Holm-Bonferroni corrected over all rows. They are on the test set if every run of both rows evaluated
    it, else on the validation set; the column ``on`` states which. Only attributes and ``final`` are read.
    """

    name = "compare"
    source = "Trifecta (arXiv:2311.18130) Tables 1 and 2; Holm 1979"
    least_runs = 2

    class Params(ffprobe.Params):
        """The baseline, the grouping, the confidence level and the layout."""

        baseline: str = Field(
            "", description="set of plugins to compare with, as named in the table; by default the first row"
        )
        by: str = Field(
            "",
            description="config keys that define a row, joined by +, such as loss+network.width; by default all keys",
        )
        confidence: float = Field(0.95, gt=0, lt=1, description="confidence level of the intervals, in (0, 1)")
        layout: Literal["groups", "losses"] = Field(
            "groups",
            description="groups: a row for each set of plugins; losses: a column for each loss, as in the paper's"
            " Table 1",
        )

    def analyze(self, runs: Sequence[ffprobe.RunFile]) -> ffprobe.Result:
        by = tuple(filter(None, self.params.by.split("+")))
        groups = ffprobe.group_runs([ffprobe.summarize(run) for run in runs], by)
        if not any(value == value for g in groups for run in g.runs for value in (run.test, run.validation)):
            hint = "Resume a run until its first evaluation."
            raise ffprobe.FileError("None of these runs measured an accuracy.", hint=hint)
        comparisons = ffprobe.compare_groups(groups, self.params.baseline, self.params.confidence)
        grid = self.params.layout == "losses"
        columns, rows = _by_loss(comparisons) if grid else _by_group(comparisons, self.params.confidence)
        return ffprobe.Result(
            name=self.name,
            question="Which plugins are more accurate, over seeds?",
            columns=columns,
            rows=rows,
            notes=[
                *_notes(comparisons, None if grid else self.params.confidence),
                *(note for comparison in comparisons for note in comparison.notes()),
                *ffprobe.group_differences(groups, by),
            ],
            claims=[] if by else list(_claims(comparisons)),  # rows by some keys alone may mix settings
            extra={"groups": [comparison.to_dict() for comparison in comparisons], "layout": _grid(comparisons)},
            draw=lambda figure: _draw(figure, comparisons[:MOST_DRAWN], self.params.confidence),
            size=(3.25, 0.75 + 0.3 * min(len(comparisons), MOST_DRAWN)),
            runs=runs,
        )


MOST_DRAWN = 40
PARTS: tuple[Literal["test"], Literal["validation"]] = ("test", "validation")
Table = tuple[list[ffprobe.Column], list[tuple[Any, ...]]]


def _pair(estimate: ffprobe.Estimate | None) -> tuple[float, float]:
    """Mean and standard deviation."""
    return (estimate.mean, estimate.sd) if estimate else (float("nan"), float("nan"))


def _half(estimate: ffprobe.Estimate | None) -> tuple[float, float]:
    """Difference and half the length of its interval."""
    return (estimate.mean, (estimate.high - estimate.low) / 2) if estimate else (float("nan"), float("nan"))


def _by_group(comparisons: Sequence[ffprobe.Comparison], confidence: float) -> Table:
    """A row for each set of plugins."""
    column = ffprobe.Column
    columns = [
        column("data", "", "data set", key=True),
        column("plugins", "", "what distinguishes the row from the others", key=True),
        column("n", "1", "number of seeds"),
    ]
    for part in PARTS:
        columns += [
            column(part, "%", f"{part} accuracy of the run's evaluator, mean over seeds", ".2f"),
            column(f"{part}_sd", "%", "standard deviation over seeds", ".2f", spread_of=part),
        ]
    half = f"half the {100 * confidence:g} % t interval"
    columns += [
        column("difference", "pp", "difference to the baseline, mean over common seeds", "+.2f"),
        column("difference_half", "pp", half, ".2f", spread_of="difference"),
        column("p", "1", "p value of the paired t test, Holm-Bonferroni corrected over all rows", ".2g"),
        column("on", "", "the images of the difference"),
        column("epochs", "1", "number of epochs in the file"),
        column("time", "s", "mean wall time of a run", ".0f"),
    ]
    rows = [
        (
            *(row.group.dataset, row.group.label, row.n, *_pair(row.mean["test"]), *_pair(row.mean["validation"])),
            *(*_half(row.difference), row.p, row.on if row.difference else None, _epochs(row), row.seconds),
        )
        for row in comparisons
    ]
    return columns, rows


def _epochs(row: ffprobe.Comparison) -> int | None:
    """Number of epochs of every run; None if they differ (by keys without the epochs)."""
    counts = {run.epochs for run in row.group.runs}
    return counts.pop() if len(counts) == 1 else None


def _notes(comparisons: Sequence[ffprobe.Comparison], confidence: float | None) -> Iterator[str]:
    half = f"; after a difference it is half its {100 * confidence:g} % interval" if confidence else ""
    yield f"± after an accuracy is the standard deviation over seeds{half}."
    baselines = list(dict.fromkeys(f"{row.baseline.label} ({row.baseline.dataset})" for row in comparisons))
    if confidence and len(comparisons) > len(baselines):
        yield (
            f"Differences are to {', '.join(baselines)}, paired by seed; p is Holm-Bonferroni corrected over all rows."
        )
    untested = [f"{row.group.dataset}, {row.group.label}" for row in comparisons if not row.group.tested]
    if untested and len(untested) < len(comparisons):
        yield f"Not every run of {'; '.join(untested[:4])} evaluated the test set: compared on validation."
    elif untested:
        yield "In every row, some run did not evaluate the test set: compared on validation."
    if any(row.n < 3 for row in comparisons):
        yield "With fewer than three seeds the spread is poorly known; the paper has three."
    if len(comparisons) > MOST_DRAWN:
        yield f"The figure shows the first {MOST_DRAWN} of {len(comparisons)} rows."


def _grid(comparisons: Sequence[ffprobe.Comparison]) -> dict[str, Any] | None:
    """The same means by (all settings but the loss) and loss, as in the paper's Table 1; None if rows clash."""
    part = PARTS[0] if all(row.group.tested for row in comparisons) else PARTS[1]
    rests, losses = _names(comparisons, lambda key: key != "loss"), _names(comparisons, lambda key: key == "loss")
    cells = {(r.group.dataset, rest, loss): r for r, rest, loss in zip(comparisons, rests, losses, strict=True)}
    if len(cells) < len(comparisons):
        return None  # finished and unfinished runs of the same plugins
    rows = list(dict.fromkeys((r.group.dataset, rest) for r, rest in zip(comparisons, rests, strict=True)))
    table: list[dict[str, Any]] = [
        {"data": data, "plugins": rest}
        | {
            loss: {"mean": _pair(row.mean[part])[0], "sd": _pair(row.mean[part])[1], "n": row.n}
            for loss in dict.fromkeys(losses)
            if (row := cells.get((data, rest, loss)))
        }
        for data, rest in rows
    ]
    return {"part": part, "columns": list(dict.fromkeys(losses)), "rows": table}


def _names(comparisons: Sequence[ffprobe.Comparison], keep: Callable[[str], bool]) -> list[str]:
    """What distinguishes each row from the others in these settings alone."""
    return ffprobe.settings_labels([{k: v for k, v in r.group.settings.items() if keep(k)} for r in comparisons])


def _by_loss(comparisons: Sequence[ffprobe.Comparison]) -> Table:
    """A column for each loss."""
    grid = _grid(comparisons)
    if grid is None:
        hint = "Omit the unfinished runs, or use layout=groups."
        raise ffprobe.UsageError("Two rows have the same plugins, so they have no place in a grid.", hint=hint)
    columns = [
        ffprobe.Column("data", "", "data set", key=True),
        ffprobe.Column("plugins", "", "all plugins but the loss", key=True),
    ]
    for loss in grid["columns"]:
        name = f"{loss} {grid['part']}"
        columns.append(ffprobe.Column(name, "%", f"{grid['part']} accuracy, mean over seeds", ".2f"))
        columns.append(ffprobe.Column(f"{name}_sd", "%", "standard deviation over seeds", ".2f", spread_of=name))
    nothing = {"mean": None, "sd": None}
    cells = [[row.get(loss, nothing) for loss in grid["columns"]] for row in grid["rows"]]
    rows = [
        (row["data"], row["plugins"], *(value for cell in own for value in (cell["mean"], cell["sd"])))
        for row, own in zip(grid["rows"], cells, strict=True)
    ]
    return columns, rows


# (network, epochs): data set -> mean and standard deviation of 3 runs, test accuracy of the last layer in percent
TABLE_2: dict[tuple[str, int], dict[str, tuple[float, float]]] = {
    ("tff-s", 10): {"mnist": (97.44, 0.49), "fashion-mnist": (76.81, 2.37), "svhn": (84.62, 1.34)}
    | {"cifar10": (50.32, 0.32), "cifar100": (11.32, 1.57)},
    ("tff-s", 100): {"mnist": (99.23, 0.11), "fashion-mnist": (88.00, 0.67), "svhn": (92.57, 0.67)}
    | {"cifar10": (75.23, 0.65), "cifar100": (28.71, 0.42)},
    ("tff-s", 200): {"mnist": (99.53, 0.04), "fashion-mnist": (91.38, 0.38), "svhn": (94.25, 0.54)}
    | {"cifar10": (80.01, 0.60), "cifar100": (35.79, 0.17)},
    ("tff-d", 100): {"mnist": (99.32, 0.11), "fashion-mnist": (85.62, 0.53), "svhn": (91.49, 0.34)}
    | {"cifar10": (71.12, 0.77), "cifar100": (24.42, 0.55)},
    ("tff-d", 200): {"mnist": (99.28, 0.03), "fashion-mnist": (87.90, 0.42), "svhn": (92.60, 0.27)}
    | {"cifar10": (78.99, 1.16), "cifar100": (28.88, 0.80)},
    ("tff-d", 500): {"mnist": (99.58, 0.06), "fashion-mnist": (91.44, 0.49), "svhn": (94.31, 0.07)}
    | {"cifar10": (83.51, 0.78), "cifar100": (35.26, 0.23)},
}
# (loss, its number, normalizer, scheduler), CIFAR-10, TFF/s, 100 epochs; the paper also calls length normalization
# layernorm, and reports that both gave the same result
TABLE_1: dict[Plugins, tuple[float, float]] = {
    ("fixed-threshold", 2, "length", "greedy"): (29.27, 2.49),
    ("fixed-threshold", 10, "length", "greedy"): (44.28, 1.28),
    ("symba", 4, "length", "greedy"): (59.22, 0.49),
    ("fixed-threshold", 2, "batchnorm", "greedy"): (41.02, 1.89),
    ("fixed-threshold", 10, "batchnorm", "greedy"): (37.31, 3.01),
    ("symba", 4, "batchnorm", "greedy"): (68.51, 0.27),
    ("fixed-threshold", 2, "length", "olu"): (48.18, 1.87),
    ("fixed-threshold", 10, "length", "olu"): (50.85, 0.63),
    ("symba", 4, "length", "olu"): (65.82, 0.78),
    ("fixed-threshold", 2, "batchnorm", "olu"): (57.92, 1.11),
    ("fixed-threshold", 10, "batchnorm", "olu"): (58.99, 0.84),
    ("symba", 4, "batchnorm", "olu"): (75.23, 0.65),
}
SEEDS = 3
ABLATION = ("tff-s", 100, "cifar10")
VANILLA: Plugins = ("fixed-threshold", 2, "length", "greedy")
TRIFECTA: Plugins = ("symba", 4, "batchnorm", "olu")
USUAL = {"rule": "forward-forward", "negatives": "uniform-wrong", "goodness": "mean-square"}
USUAL |= {"evaluator": "layer-goodness"}
LIKE_LENGTH = ("length", "rms", "layernorm")


def _claims(comparisons: Sequence[ffprobe.Comparison]) -> Iterator[ffprobe.Claim]:
    """The paper's number for every row in one of its settings; a verdict needs two seeds."""
    known, cells = False, {}
    for row in comparisons:
        if (setting := _setting(row.group)) and (published := _published(setting)):
            here, agrees, p = _against(row, published)
            known = True
            text = f"{published.text}: {published.mean:.2f} ± {published.sd:.2f} % over {SEEDS} runs."
            yield ffprobe.Claim(published.source, text, here, agrees, p)
            if setting.plugins in TABLE_1 and setting.place == ABLATION:
                cells[setting.plugins] = row
    if TRIFECTA in cells and len(cells) > 1:
        best = max(cells, key=lambda plugins: _pair(cells[plugins].mean["test"])[0])
        agrees, p = _best(cells)
        text = "of the combinations of loss, normalization and updates, all three together are the most accurate."
        here = f"of these {len(cells)}, {_words(best)} has the highest mean."
        yield ffprobe.Claim("Trifecta, Table 1", text, here, agrees, p)
    if not known:
        ends = [f"{_words(p)} {TABLE_1[p][0]:.2f} %" for p in (VANILLA, ("symba", 4, "length", "greedy"), TRIFECTA)]
        reason = "no row has that data set, network, number of epochs and all of its training images"
        text = f"on cifar10 with tff-s after 100 epochs: {'; '.join(ends)}."
        yield ffprobe.Claim("Trifecta, Table 1", text, f"{reason}.", not_comparable=reason)


def _best(cells: Mapping[Plugins, ffprobe.Comparison]) -> tuple[bool | None, float]:
    """Whether the Trifecta is significantly above every other cell, or one is above it: Welch's t tests over seeds."""
    own = cells[TRIFECTA].mean["test"]
    others = [row.mean["test"] for plugins, row in cells.items() if plugins != TRIFECTA]
    gaps = [ffprobe.welch_difference(other, own) for other in others if own and other]
    above = [min(1.0, len(gaps) * gap.p) for gap in gaps if gap.mean < 0 and gap.p == gap.p]
    if min(above, default=1.0) < 0.05:
        return False, min(above)
    p = [gap.p for gap in gaps]
    if not p or any(value != value for value in p):
        return None, float("nan")
    return (True if not above and max(p) < 0.05 else None), max(p)


def _words(plugins: Plugins) -> str:
    loss, number, normalizer, scheduler = plugins
    return f"{loss} ({number:g}) with {normalizer} and {scheduler}"


class _Setting(NamedTuple):
    """The entry of the paper's tables that a group belongs to.

    Attributes:
        plugins: see ``Plugins``.
        place: network, epochs and data set.
    """

    plugins: Plugins
    place: tuple[str, int, str]


def _setting(group: ffprobe.RunGroup) -> _Setting | None:
    """The group's entry in the paper's tables; None if one of its settings differs from all of them."""
    config = group.runs[0].config
    slots: Mapping[str, Any]
    slots = {slot: config.get(slot) or {} for slot in (*USUAL, "loss", "normalizer", "scheduler", "network")}
    names = {slot: table.get("name") for slot, table in slots.items()}
    whole = slots["network"].get("width", 1) == 1 and not (config.get("training") or {}).get("max_images")
    last = group.tested and slots["evaluator"].get("layers") == "last"
    encoder = config.get("encoder")
    usual = (encoder or {}).get("learned", "auto") == "auto"
    if not (whole and last and usual and all(names[slot] == name for slot, name in USUAL.items())):
        return None
    number = slots["loss"].get("threshold", slots["loss"].get("alpha"))
    normalizer = "length" if names["normalizer"] in LIKE_LENGTH else names["normalizer"]
    return _Setting(
        (names["loss"], number, normalizer, names["scheduler"]),
        (names["network"], group.runs[0].epochs, group.dataset),
    )


class _Published(NamedTuple):
    """A cell of the paper's tables: its source, its setting in words, mean and standard deviation in percent."""

    source: str
    text: str
    mean: float
    sd: float


def _published(setting: _Setting) -> _Published | None:
    """The table's cell for a setting; None if there is none."""
    network, epochs, data = setting.place
    if setting.place == ABLATION and setting.plugins in TABLE_1:
        text = f"{_words(setting.plugins)} on cifar10, tff-s, 100 epochs"
        return _Published("Trifecta, Table 1", text, *TABLE_1[setting.plugins])
    if setting.plugins == TRIFECTA and data in TABLE_2.get((network, epochs), {}):
        text = f"the Trifecta on {data}, {network}, {epochs} epochs"
        return _Published("Trifecta, Table 2", text, *TABLE_2[network, epochs][data])
    return None


CLOSE = 2.0
"""Largest half length of an interval, in points, that can confirm a published accuracy."""


def _against(row: ffprobe.Comparison, published: _Published) -> tuple[str, bool | None, float]:
    """Compare these seeds with the paper's three runs by Welch's t test.

    Differs if the difference is significant. Agrees if its 95 % interval contains 0 and is at most ``CLOSE`` points to
    either side: a wide interval contains 0 because there are too few seeds, and confirms nothing.
    """
    own = row.mean["test"]
    assert own is not None
    text = f"{own.mean:.2f} ± {own.sd:.2f} % over {own.n} seeds" if own.n > 1 else f"{own.mean:.2f} % with one seed"
    gap = ffprobe.welch_difference(ffprobe.Estimate(SEEDS, published.mean, published.sd), own)
    if gap.low != gap.low:
        return f"{text}, {gap.mean:+.2f} points; one seed is too few.", None, float("nan")
    inside = gap.low <= 0 <= gap.high
    contains = "contains 0" if inside else "does not contain 0"
    numbers = f"{text}; the difference is {gap.mean:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}] points, which {contains}."
    if not inside:
        return numbers, False, gap.p
    close = (gap.high - gap.low) / 2 <= CLOSE
    return numbers, True if close else None, float("nan") if close else gap.p


def _draw(figure: Figure, comparisons: Sequence[ffprobe.Comparison], confidence: float) -> None:
    """A line for each row: every seed as a hollow point, with the mean and its interval."""
    axes = figure.subplots()
    several = len({row.group.dataset for row in comparisons}) > 1
    names = [f"{row.group.dataset}: {row.group.label}" if several else row.group.label for row in comparisons]
    parts = {row.part for row in comparisons}
    lows, highs = [], []
    for y, row in enumerate(comparisons):
        estimate, values = row.mean[row.part], list(row.seeds[row.part].values())
        if estimate is None:
            continue
        colour = "C0" if row.group is not row.baseline else "0.25"
        axes.plot(
            values, [y] * len(values), "o", color=colour, markerfacecolor="white", markersize=3.2, linestyle="none"
        )
        half = [[estimate.mean - estimate.low], [estimate.high - estimate.mean]] if estimate.sd > 0 else None
        look = "D" if row.part == "test" else "s"
        axes.errorbar(estimate.mean, y, xerr=half, fmt=look, color=colour, markersize=4.2, elinewidth=1, zorder=3)
        lows.append(min([*values, estimate.low]) if estimate.sd > 0 else min(values))
        highs.append(max([*values, estimate.high]) if estimate.sd > 0 else max(values))
    style: dict[str, Any] = {"fontsize": "small", "va": "center", "transform": axes.get_yaxis_transform()}
    for y, name in enumerate(names):  # above its row, where there is space
        axes.text(0.01, y - 0.42, name if len(name) <= 58 else f"{name[:57]}…", **style)
    axes.set_yticks(range(len(comparisons)), [""] * len(comparisons))
    axes.set_ylim(len(comparisons) - 0.5, -0.75)
    if lows:  # an interval may exceed the range of an accuracy, but the axis does not
        low, high = max(0, min(lows)), min(100, max(highs))
        margin = max(0.05 * (high - low), 0.2)
        axes.set_xlim(low - margin, high + margin)
    only = f"{parts.pop()} accuracy (%)" if len(parts) == 1 else "accuracy (%); diamond: test, square: validation"
    axes.set_xlabel(f"{only}\n{100 * confidence:g} % interval of the mean over seeds")


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Compare]
