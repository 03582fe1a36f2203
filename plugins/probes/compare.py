"""Which plugins are better, over seeds? The paper's Tables 1 and 2."""

from typing import Literal

from pydantic import Field

import ffprobe


class Compare(ffprobe.Probe):
    """Accuracy of every plugin set over its seeds, and how it differs from a baseline on the same seeds.

    Runs that differ in nothing but the seed are one row: mean and standard deviation over seeds of the accuracy by the
    run's evaluator. Differences are taken seed by seed against the baseline of the same data set, with Student's t
    interval and the paired t test, corrected by Holm over all rows. They are on the test set where every run of both
    rows has read it, else on the validation set; which one is said in each row. Only attributes and ``final`` are read.
    """

    name = "compare"
    source = "Trifecta (arXiv:2311.18130) Tables 1 and 2; Holm 1979"
    least_runs = 2

    class Params(ffprobe.Params):
        """Against what, how sure, and in which layout."""

        baseline: str = Field(
            "", description="the plugin set to compare with, as the table names it; the first if empty"
        )
        by: str = Field(
            "", description="what makes a row: config keys joined by +, such as loss+network.width; all if empty"
        )
        confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals")
        layout: Literal["groups", "losses"] = Field(
            "groups", description="a row for each plugin set, or a column for each loss as in the paper's Table 1"
        )

    def analyze(self, runs):
        by = tuple(filter(None, self.params.by.split("+")))
        groups = ffprobe.group_runs([ffprobe.summarize(run) for run in runs], by)
        if not any(value == value for g in groups for run in g.runs for value in (run.test, run.validation)):
            hint = "Let a run go on until its first evaluation."
            raise ffprobe.FileError("No accuracy has been measured in any of these runs.", hint=hint)
        found = ffprobe.compare_groups(groups, self.params.baseline, self.params.confidence)
        grid = self.params.layout == "losses"
        table = _by_loss(found) if grid else _by_group(found, self.params.confidence)
        notes = [note for row in found for note in row.notes()]
        return ffprobe.Result(
            name=self.name,
            question="Which plugins give the higher accuracy, over seeds?",
            **table,
            notes=[
                *_reading(found, None if grid else self.params.confidence),
                *notes,
                *ffprobe.group_differences(groups, by),
            ],
            claims=[] if by else list(_claims(found)),  # rows by some keys alone may mix settings
            extra={"groups": [row.to_dict() for row in found], "layout": _grid(found)},
            draw=lambda figure: _draw(figure, found[:MOST_DRAWN], self.params.confidence),
            size=(3.25, 0.75 + 0.3 * min(len(found), MOST_DRAWN)),
            runs=runs,
        )


MOST_DRAWN = 40
PARTS = ("test", "validation")


def _pair(estimate):
    return (estimate.mean, estimate.sd) if estimate else (float("nan"),) * 2


def _half(estimate):
    """Difference and half the length of its interval."""
    return (estimate.mean, (estimate.high - estimate.low) / 2) if estimate else (float("nan"),) * 2


def _by_group(found, confidence):
    sure = f"half the {100 * confidence:g} % t interval"
    accuracy = [
        column
        for part in ("test", "validation")
        for column in (
            ffprobe.Column(part, "%", f"{part} accuracy by the run's evaluator, mean over seeds", ".2f"),
            ffprobe.Column(f"{part}_sd", "%", "standard deviation over seeds", ".2f", spread_of=part),
        )
    ]
    columns = [
        ffprobe.Column("data", "", "data set", key=True),
        ffprobe.Column("plugins", "", "what tells the row from the others", key=True),
        ffprobe.Column("n", "1", "seeds"),
        *accuracy,
        ffprobe.Column("difference", "pp", "points above the baseline, mean over common seeds", "+.2f"),
        ffprobe.Column("difference_half", "pp", sure, ".2f", spread_of="difference"),
        ffprobe.Column("p", "1", "paired t test, corrected by Holm over all rows", ".2g"),
        ffprobe.Column("on", "", "the images that the difference is of"),
        ffprobe.Column("epochs", "1", "in the file"),
        ffprobe.Column("time", "s", "wall time of a run, mean", ".0f"),
    ]
    rows = [
        (
            *(row.group.dataset, row.group.label, row.n, *_pair(row.mean["test"]), *_pair(row.mean["validation"])),
            *(*_half(row.difference), row.p, row.on if row.difference else None, _epochs(row), row.seconds),
        )
        for row in found
    ]
    return {"columns": columns, "rows": rows}


def _epochs(row):
    """How many every run has; None where they differ (by keys that leave epochs out)."""
    counts = {run.epochs for run in row.group.runs}
    return counts.pop() if len(counts) == 1 else None


def _reading(found, confidence):
    of = f", beside a difference half its {100 * confidence:g} % interval" if confidence else ""
    yield f"± beside an accuracy is the standard deviation over seeds{of}."
    baselines = list(dict.fromkeys(f"{row.baseline.label} ({row.baseline.dataset})" for row in found))
    if confidence and len(found) > len(baselines):
        yield f"Differences are to {', '.join(baselines)}, seed by seed; p is corrected over all rows (Holm)."
    untested = [f"{row.group.dataset}, {row.group.label}" for row in found if not row.group.tested]
    if untested and len(untested) < len(found):
        yield f"The test set was not read by every run of {'; '.join(untested[:4])}: compared on validation."
    elif untested:
        yield "No row has its test set read by every run: compared on validation."
    if any(row.n < 3 for row in found):
        yield "With fewer than three seeds a spread is hardly known; the paper has three."
    if len(found) > MOST_DRAWN:
        yield f"The figure shows the first {MOST_DRAWN} of {len(found)} rows."


def _grid(found):
    """The same means by (everything but the loss) and loss, as in the paper's Table 1; None where rows do not fit."""
    part = "test" if all(row.group.tested for row in found) else "validation"
    rests, losses = _names(found, lambda key: key != "loss"), _names(found, lambda key: key == "loss")
    cells = {(r.group.dataset, rest, loss): r for r, rest, loss in zip(found, rests, losses, strict=True)}
    if len(cells) < len(found):
        return None  # finished and unfinished runs of the same plugins
    rows = list(dict.fromkeys((r.group.dataset, rest) for r, rest in zip(found, rests, strict=True)))
    table = [
        {"data": data, "plugins": rest}
        | {
            loss: {"mean": _pair(row.mean[part])[0], "sd": _pair(row.mean[part])[1], "n": row.n}
            for loss in dict.fromkeys(losses)
            if (row := cells.get((data, rest, loss)))
        }
        for data, rest in rows
    ]
    return {"part": part, "columns": list(dict.fromkeys(losses)), "rows": table}


def _names(found, keep):
    """What tells each row from the others in these settings alone."""
    return ffprobe.settings_labels([{k: v for k, v in r.group.settings.items() if keep(k)} for r in found])


def _by_loss(found):
    grid = _grid(found)
    if grid is None:
        hint = "Leave the unfinished runs out, or ask for layout=groups."
        raise ffprobe.UsageError("Two rows have the same plugins, so they have no place in a grid.", hint=hint)
    columns = [
        ffprobe.Column("data", "", "data set", key=True),
        ffprobe.Column("plugins", "", "all but the loss", key=True),
    ]
    for loss in grid["columns"]:
        name = f"{loss} {grid['part']}"
        columns.append(ffprobe.Column(name, "%", f"{grid['part']} accuracy, mean over seeds", ".2f"))
        columns.append(ffprobe.Column(f"{name}_sd", "%", "over seeds", ".2f", spread_of=name))
    nothing = {"mean": None, "sd": None}
    cells = [[row.get(loss, nothing) for loss in grid["columns"]] for row in grid["rows"]]
    rows = [
        (row["data"], row["plugins"], *(value for cell in own for value in (cell["mean"], cell["sd"])))
        for row, own in zip(grid["rows"], cells, strict=True)
    ]
    return {"columns": columns, "rows": rows}


# (network, epochs): data set -> mean and standard deviation of 3 runs, test accuracy of the last layer in percent
TABLE_2 = {
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
# (loss, its number, normalizer, scheduler), CIFAR-10, TFF/s, 100 epochs; the paper calls length normalization layernorm
# too, and says that both gave the same
TABLE_1 = {
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
VANILLA, TRIFECTA = ("fixed-threshold", 2, "length", "greedy"), ("symba", 4, "batchnorm", "olu")
USUAL = {"rule": "forward-forward", "negatives": "uniform-wrong", "goodness": "mean-square"}
USUAL |= {"evaluator": "layer-goodness"}
LIKE_LENGTH = ("length", "rms", "layernorm")


def _claims(found):
    """The paper's number beside every row in one of its settings; agreement is told from two seeds on."""
    told, cells = False, {}
    for row in found:
        if (setting := _setting(row.group)) and (published := _published(setting)):
            source, said, mean, sd = published
            here, agrees = _held_against(row, mean, sd)
            told = True
            yield ffprobe.Claim(source, f"{said}: {mean:.2f} ± {sd:.2f} % over {SEEDS} runs.", here, agrees)
            if setting["plugins"] in TABLE_1 and setting["place"] == ABLATION:
                cells[setting["plugins"]] = row
    if TRIFECTA in cells and len(cells) > 1:
        best = max(cells, key=lambda plugins: cells[plugins].mean["test"].mean)
        said = "of the combinations of loss, normalization and updates, all three together are the most accurate."
        here = f"of these {len(cells)}, {_words(best)} has the highest mean."
        yield ffprobe.Claim("Trifecta, Table 1", said, here, best == TRIFECTA)
    if not told:
        ends = [f"{_words(p)} {TABLE_1[p][0]:.2f} %" for p in (VANILLA, ("symba", 4, "length", "greedy"), TRIFECTA)]
        here = "no row has that data set, network, number of epochs and all of its training images."
        yield ffprobe.Claim("Trifecta, Table 1", f"on cifar10 with tff-s after 100 epochs: {'; '.join(ends)}.", here)


def _words(plugins):
    loss, number, normalizer, scheduler = plugins
    return f"{loss} ({number:g}) with {normalizer} and {scheduler}"


def _setting(group):
    """Where a group belongs in the paper's tables; None where something of its own keeps it out of them."""
    config = group.runs[0].config
    slots = {slot: config.get(slot) or {} for slot in (*USUAL, "loss", "normalizer", "scheduler", "network")}
    names = {slot: table.get("name") for slot, table in slots.items()}
    whole = slots["network"].get("width", 1) == 1 and not (config.get("training") or {}).get("images")
    read = group.tested and slots["evaluator"].get("layers") == "last"
    if not (whole and read and all(names[slot] == name for slot, name in USUAL.items())):
        return None
    number = slots["loss"].get("threshold", slots["loss"].get("alpha"))
    normalizer = "length" if names["normalizer"] in LIKE_LENGTH else names["normalizer"]
    return {
        "plugins": (names["loss"], number, normalizer, names["scheduler"]),
        "place": (names["network"], group.runs[0].epochs, group.dataset),
    }


def _published(setting):
    """(source, what is said, mean, sd) of the table's cell; None where there is none."""
    network, epochs, data = setting["place"]
    if setting["place"] == ABLATION and setting["plugins"] in TABLE_1:
        said = f"{_words(setting['plugins'])} on cifar10, tff-s, 100 epochs"
        return "Trifecta, Table 1", said, *TABLE_1[setting["plugins"]]
    if setting["plugins"] == TRIFECTA and data in TABLE_2.get((network, epochs), {}):
        return (
            "Trifecta, Table 2",
            f"the Trifecta on {data}, {network}, {epochs} epochs",
            *TABLE_2[network, epochs][data],
        )
    return None


def _held_against(row, mean, sd):
    """Agreement: Welch's 95 % interval of the difference between these seeds and the paper's three runs holds 0."""
    own = row.mean["test"]
    told = f"{own.mean:.2f} ± {own.sd:.2f} % over {own.n} seeds" if own.n > 1 else f"{own.mean:.2f} % with one seed"
    gap = ffprobe.welch_difference(ffprobe.Estimate(SEEDS, mean, sd), own)
    if gap.low != gap.low:
        return f"{told}, {gap.mean:+.2f} points; one seed cannot tell.", None
    inside = gap.low <= 0 <= gap.high
    where = "holds 0" if inside else "does not hold 0"
    return f"{told}; the difference is {gap.mean:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}] points, which {where}.", inside


def _draw(figure, found, confidence):
    """A line for each row: every seed as a hollow point, the mean and its interval over them."""
    axes = figure.subplots()
    several = len({row.group.dataset for row in found}) > 1
    names = [f"{row.group.dataset}: {row.group.label}" if several else row.group.label for row in found]
    parts = {row.part for row in found}
    lows, highs = [], []
    for y, row in enumerate(found):
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
    place = axes.get_yaxis_transform()  # a name stands above its row, where there is room for it
    for y, name in enumerate(names):
        style = {"fontsize": "small", "va": "center", "transform": place}
        axes.text(0.01, y - 0.42, name if len(name) <= 58 else f"{name[:57]}…", **style)
    axes.set_yticks(range(len(found)), [""] * len(found))
    axes.set_ylim(len(found) - 0.5, -0.75)
    if lows:  # an interval may reach beyond what an accuracy can be; the axis does not
        low, high = max(0, min(lows)), min(100, max(highs))
        margin = max(0.05 * (high - low), 0.2)
        axes.set_xlim(low - margin, high + margin)
    only = f"{parts.pop()} accuracy (%)" if len(parts) == 1 else "accuracy (%); diamond: test, square: validation"
    axes.set_xlabel(f"{only}\n{100 * confidence:g} % interval of the mean over seeds")


@ffprobe.hookimpl
def ffprobe_components():
    return [Compare]
