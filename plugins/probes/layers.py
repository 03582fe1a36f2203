"""How accurate is each layer alone, and several layers together? Reproduces the paper's Figures 1 and 4."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

TOGETHER = ("last", "last 3", "all but first", "all")
PARTS = ("test", "validation")


class Layers(ffprobe.Probe):
    """Validation and test accuracy from each layer's goodness alone, by depth, and from several layers together.

    The spread is the binomial standard error for the number of images. For an unfinished run, the values are those of
    the last evaluated epoch. The table has a row for each layer and two columns for each run.
    """

    name = "layers"
    source = "Trifecta (arXiv:2311.18130) Figures 1, 4 and 13, Table 3"

    def analyze(self, runs: Sequence[ffprobe.RunFile]) -> ffprobe.Result:
        labels = ffprobe.run_labels(runs)
        results = [_RunLayers(run, label) for run, label in zip(runs, labels, strict=True)]
        several, depth = len(results) > 1, max(result.depth for result in results)
        names = [next(result.layers[i] for result in results if i < result.depth) for i in range(depth)]
        rows: list[tuple[Any, ...]] = [
            (i + 1, names[i], *(value for result in results for value in result.at(i))) for i in range(depth)
        ]
        rows += [(None, what, *(value for result in results for value in result.together(what))) for what in TOGETHER]
        part = "test" if any(result.tested for result in results) else "validation"
        claims = [claim for entry in _CLAIMS if (claim := _claim(entry, results))]

        def draw(figure: Figure) -> None:
            axes, series = figure.subplots(), []
            for result in results:
                for what in (part,) if several else PARTS:
                    values, errors = result.accuracies(what)
                    known = [i for i, value in enumerate(values) if value == value]
                    if known:
                        label = result.label if several else what
                        x, y, error = [i + 1 for i in known], [values[i] for i in known], [errors[i] for i in known]
                        series.append(ffprobe.Series(label=label, x=x, y=y, error=error))
            ffprobe.line_by_layer(axes, series, ylabel=f"{part} accuracy (%)" if several else "accuracy (%)")

        return ffprobe.Result(
            name=self.name,
            question="How accurate is a prediction from each layer's goodness alone, by depth?",
            columns=_columns(results),
            rows=rows,
            notes=ffprobe.joint_notes([(result.label, result.notes()) for result in results])
            + NOTES[: 1 + any(not claim.not_comparable for claim in claims)],
            claims=claims,
            extra={"runs": [result.to_dict() for result in results], "plotted": part},
            draw=draw,
            runs=runs,
        )


NOTES = [
    "The last rows average the goodness of several layers and predict the label with the largest mean.",
    ffprobe.GAIN_CRITERION,
]
LENGTH = {"length", "rms", "layernorm"}
FLAT = 0.5
"""A gain that is significantly smaller than this number of points counts as none."""
DEEP = 9
"""A network with at least this many layers is compared with the paper's deep one (12 layers), else with the shallow one
(6)."""


def _columns(results: Sequence[_RunLayers]) -> list[ffprobe.Column]:
    columns = [
        ffprobe.Column("depth", "", "layer number, from 1; empty for layers used together", key=True),
        ffprobe.Column("layer", "", "layer number, from 1, or the layers whose goodness is averaged", key=True),
    ]
    for result in results:
        prefix = f"{result.label} " if len(results) > 1 else ""
        for what, images in (("test", result.test_images), ("validation", result.validation_images)):
            name, spread = f"{prefix}{what}", f"{prefix}{what}_se"
            columns += [
                ffprobe.Column(name, "%", f"accuracy on {images} {what} images", ".2f"),
                ffprobe.Column(spread, "%", "binomial standard error", ".2f", spread_of=name),
            ]
    return columns


Verdict = tuple[bool | None, str, float]
"""Whether a run agrees with a claim (None: inconclusive), its numbers in words, and the p value of its test."""


def _falls(result: _Seeds) -> Verdict:
    test = result.gain(0, result.depth - 1)
    way, p = test.decide(FLAT)
    return way if way is None else way == -1, f"the last layer is {_points(test.gain)} against the first", p


def _stalls(result: _Seeds) -> Verdict:
    middle = result.depth // 2
    test = result.gain(middle - 1, result.depth - 1)
    way, p = test.decide(FLAT)
    return way if way is None else way != 1, f"the last layer is {_points(test.gain)} against layer {middle}", p


def _rises(result: _Seeds) -> Verdict:
    steps, p_below = ffprobe.falling_steps([result.gain(i - 1, i) for i in range(1, result.depth)])
    below = list(map(str, steps))
    test = result.gain(0, result.depth - 1)
    way, p = test.decide(FLAT)
    who = f"layers {' and '.join(below)} are" if below[1:] else f"{'layer ' + below[0] if below else 'no layer'} is"
    text = f"the last layer is {_points(test.gain)} against the first, {who} below the one before"
    if below:
        return False, text, p_below
    return way if way is None else way == 1, text, p


def _last_three_help(result: _Seeds) -> Verdict:
    test = result.gain(result.depth - 1, result.depth + TOGETHER.index("last 3"))
    way, p = test.decide(FLAT)
    text = f"the last three are {_points(test.gain)} against the last alone ({result.depth} layers)"
    if result.depth >= DEEP:  # the published gain is smaller than FLAT, so equality does not contradict it
        return {1: True, -1: False}.get(way or 0), text, p
    return way if way is None else way != 1, text, p


class _Claimed(NamedTuple):
    """A claim and its rule.

    Attributes:
        source: of the claim.
        text: the claim.
        setting: components of the runs that it is about, by slot.
        paper: network, data set and epochs of the claim.
        least: minimum number of layers for a verdict.
        rule: gives the verdict of one run, or of runs that differ only in the seed.
    """

    source: str
    text: str
    setting: Mapping[str, set[str]]
    paper: ffprobe.PaperSetting
    least: int
    rule: Callable[[_Seeds], Verdict]


SHALLOW = ffprobe.paper_setting("tff-s", "cifar10", 100)
BOTH = ffprobe.paper_setting("tff-s tff-d", "cifar10", 100)


_CLAIMS = (
    _Claimed(
        "Trifecta, Figure 4",
        "in plain Forward-Forward (fixed threshold, length normalization, greedy; TFF/s on CIFAR-10) accuracy falls"
        " with depth.",
        {"loss": {"fixed-threshold"}, "normalizer": LENGTH, "scheduler": {"greedy"}},
        SHALLOW,
        2,
        _falls,
    ),
    _Claimed(
        "Trifecta, Figure 1 and Section 4",
        "SymBa with length normalization (greedy; TFF/s on CIFAR-10) levels off or declines with depth.",
        {"loss": {"symba"}, "normalizer": LENGTH, "scheduler": {"greedy"}},
        SHALLOW,
        4,
        _stalls,
    ),
    _Claimed(
        "Trifecta, Figure 1 and Section 7",
        "SymBa with batch normalization (TFF/s greedy, TFF/d with OLU; CIFAR-10) gains with every layer.",
        {"loss": {"symba"}, "normalizer": {"batchnorm"}},
        BOTH,
        3,
        _rises,
    ),
    _Claimed(
        "Trifecta, Table 3 and Appendix H",
        "averaging the last three layers adds 0.04 to 0.21 points to the last one in the 12-layer Trifecta and does not"
        " help the 6-layer one.",
        {"loss": {"symba"}, "normalizer": {"batchnorm"}, "scheduler": {"olu"}},
        BOTH,
        4,
        _last_three_help,
    ),
)


def _claim(claimed: _Claimed, results: Sequence[_RunLayers]) -> ffprobe.Claim | None:
    """The claim compared with the runs in its setting; None if there are none."""
    verdicts = []
    for indices in ffprobe.seed_groups([result.run for result in results]):
        seeds = _Seeds([results[i] for i in indices])
        runs = [results[i].run for i in indices]
        if not ffprobe.in_setting(runs[0], claimed.setting):
            continue
        too_few: Verdict = (None, f"{seeds.depth} layers are too few", float("nan"))
        agrees, text, p = claimed.rule(seeds) if seeds.depth >= claimed.least else too_few
        label = seeds.label if len(results) > 1 else ""
        verdicts.append(ffprobe.judge(runs, label, agrees, text, p=p, paper=claimed.paper))
    return ffprobe.joint_claim(claimed.source, claimed.text, verdicts)


class _Seeds:
    """Runs that differ only in the seed, or a single run."""

    def __init__(self, results: Sequence[_RunLayers]) -> None:
        self.results, self.depth = results, results[0].depth
        self.label = ", ".join(result.label for result in results)

    def gain(self, before: int, after: int) -> ffprobe.GainTest:
        """The gain of row ``after`` over row ``before``: over seeds if there are several, else over images."""
        tests = [result.gain(before, after) for result in self.results]
        return tests[0] if len(tests) == 1 else ffprobe.gain_over_seeds([test.gain for test in tests])


def _points(gain: float) -> str:
    return "unknown" if gain != gain else f"{gain:+.2f} points"


class _RunLayers:
    """The accuracies of one run, in percent."""

    def __init__(self, run: ffprobe.RunFile, label: str) -> None:
        import numpy as np

        self.label, self.run = label, run
        self.layers = ffprobe.layer_numbers(run)
        self.depth = len(self.layers)
        nothing = np.full(self.depth, np.nan)
        self.validation, self.test = nothing, nothing
        self.epoch: int | None = None
        if run.complete and run.has("final/validation_accuracy"):
            self.validation = 100 * run.read("final/validation_accuracy").astype(float)
        if run.complete and run.has("final/test_accuracy"):
            self.test = 100 * run.read("final/test_accuracy").astype(float)
        if not np.isfinite(self.validation).any():
            measured = run.read("metrics/validation_accuracy").astype(float)
            finite = np.flatnonzero(np.isfinite(measured).any(axis=1))
            if len(finite):
                self.epoch = int(run.read("metrics/epoch")[finite[-1]])
                self.validation = 100 * measured[finite[-1]]
        self.tested = bool(np.isfinite(self.test).any())
        if not self.tested and not np.isfinite(self.validation).any():
            hint = "Resume the run until its first evaluation, or train with training.validation_fraction above 0."
            raise ffprobe.FileError("The run measured no accuracy.", where=str(run.path), hint=hint)
        self.test_images = self._count("test/true_label")
        self.validation_images = self._count("evaluation/true_label")
        self._right = {part: self._read_right(part) for part in PARTS}

    def at(self, i: int) -> tuple[float, float, float, float]:
        """Test accuracy, its error, validation accuracy, its error of layer index ``i``; NaN beyond the last layer."""
        if i >= self.depth:
            return self._with_errors(float("nan"), float("nan"))
        return self._with_errors(self.test[i], self.validation[i])

    def together(self, what: str) -> tuple[float, float, float, float]:
        """The same of several layers together, one of ``TOGETHER``."""
        row = self.depth + TOGETHER.index(what)
        return self._with_errors(_percent(self._right["test"], row), _percent(self._right["validation"], row))

    def accuracies(self, part: str) -> tuple[list[float], list[float]]:
        """Accuracies of all layers on a part, and their errors."""
        first = 2 * PARTS.index(part)
        values = [self.at(i) for i in range(self.depth)]
        return [value[first] for value in values], [value[first + 1] for value in values]

    def gain(self, before: int, after: int) -> ffprobe.GainTest:
        """How much more accurate one row is than another, in points, and its test, paired by image.

        On the test set if it was evaluated, else on the validation set.
        """
        right = self._right["test"] if self._right["test"] is not None else self._right["validation"]
        return ffprobe.gain_test([], []) if right is None else ffprobe.gain_test(right[before], right[after])

    def notes(self) -> Iterator[str]:
        if not self.run.complete:
            yield f"the run is unfinished; the file has {self.run.epochs} epochs."
        if self.epoch is not None:
            yield f"validation accuracy was last measured after epoch {self.epoch}."
        if not self.tested:
            yield "the test set was not evaluated."

    def to_dict(self) -> dict[str, Any]:
        counts = {"test_images": self.test_images, "validation_images": self.validation_images}
        return {"label": self.label, "path": str(self.run.path), "complete": self.run.complete, **counts}

    def _with_errors(self, test: float, validation: float) -> tuple[float, float, float, float]:
        return test, _error(test, self.test_images), validation, _error(validation, self.validation_images)

    def _count(self, path: str) -> int:
        return self.run.variable(path).shape[0] if self.run.has(path) else 0

    def _read_right(self, part: str) -> np.ndarray | None:
        """Whether each layer, then each of ``TOGETHER``, predicts the label of each image: 0 or 1, ``[rows, images]``.

        NaN for a layer without goodness, such as the hidden layers of backpropagation, and for means with such a layer.
        An image with a NaN among its labels, or with a tie, is wrong (``predicted_labels``).
        """
        import numpy as np
        import torch

        group, known = ("test", self.tested) if part == "test" else ("evaluation", True)
        path = f"{group}/goodness"
        if not known or not self.run.has(path) or not self.run.variable(path).shape[0]:
            return None
        recorded = self.run.variable(path)
        goodness = recorded[...] if part == "test" else recorded[-1]  # [layer, sample, label]
        first = min(1, self.depth - 1)  # a single layer is never omitted
        picked = (goodness[-1:], goodness[-3:], goodness[first:], goodness)  # in the order of TOGETHER
        rows = [*goodness, *(layers.mean(axis=0, dtype=float) for layers in picked)]
        truth = self.run.read(f"{group}/true_label")
        missing = np.full(len(truth), np.nan)
        labels = [ffprobe.predicted_labels(torch.from_numpy(row)).numpy() for row in rows]
        unmeasured = [not np.isfinite(row).any() for row in rows]
        pairs = zip(labels, unmeasured, strict=True)
        return np.stack([missing if empty else label == truth for label, empty in pairs])


def _percent(right: np.ndarray | None, row: int) -> float:
    return float("nan") if right is None else 100 * float(right[row].mean())


def _error(percent: float, count: int) -> float:
    """Binomial standard error in percent."""
    return float((percent * (100 - percent) / count) ** 0.5) if count else float("nan")


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Layers]
