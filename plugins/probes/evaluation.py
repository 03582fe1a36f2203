"""How accurate is each way to make a prediction, and what does it cost? The paper's Table 3, Figure 13, Appendix H."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    import torch
    from matplotlib.figure import Figure

Judge = Callable[["_RunEvaluation", ffprobe.GainTest], tuple[bool | None, float]]
Stage = Literal["pre", "random", ""]
STRATEGIES: tuple[tuple[str, str, dict[str, Any], Stage], ...] = (
    ("last layer", "layer-goodness", {"layers": "last"}, ""),
    ("last 3", "layer-goodness", {"layers": "last-3"}, ""),
    ("all but first", "layer-goodness", {"layers": "all-but-first"}, ""),
    ("best interval", "interval", {}, ""),
    ("goodness classifier", "goodness-classifier", {}, ""),
    ("candidates", "candidates", {}, ""),
    ("early exit", "early-exit", {}, ""),
    ("early exit, pruned", "early-exit", {"prune": True}, ""),
    ("neutral features", "one-pass", {}, "pre"),
    ("random-label features", "one-pass", {}, "random"),
    ("propose", "propose", {}, "pre"),
)
"""A strategy's name, its evaluator, the evaluator's settings, and the recorded activations that it needs."""

MUCH = 1.0
"""A loss of accuracy counts as large if it exceeds this many points by more than two standard errors."""
SYMBA = {"loss": {"symba"}, "normalizer": {"batchnorm"}}


class Evaluation(ffprobe.PerRunProbe):
    """Accuracy and cost of all evaluators: goodness of some layers, a head on features, or fewer labels.

    Cost is the number of multiply-adds per image: those of each layer (``layer_multiply_adds`` of the run file) times
    the inputs that a strategy evaluates in it. Layer evaluations, which count every layer alike, are a second column;
    they are the cost only for a file without that attribute. Everything that a strategy selects is selected on
    validation images. Its validation accuracy is then cross-fitted: selected on
    one half and measured on the other, so that no image affects its own prediction. Strategies on features are
    evaluated on the validation images whose activations were recorded, the others on all validation images and on the
    test set. The gain over the last layer is paired by image; its 95 % interval is a bootstrap over images.
    """

    name = "evaluation"
    source = "Trifecta (arXiv:2311.18130) Table 3, Figure 13 and Appendix H"
    needs = frozenset({"activations", "random-label"})
    question = "How accurate is each way to make a prediction, and what does it cost?"

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunEvaluation:
        return _RunEvaluation(run, label)

    def columns(self, results: Sequence[_RunEvaluation]) -> list[ffprobe.Column]:
        column = ffprobe.Column
        tested = any(strategy.test for result in results for strategy in result.strategies)
        return [
            column("strategy", "", "how the prediction is made", key=True),
            column("multiply_adds", "1", "multiply-adds per image", ".4g", detail=True),
            column("times_fewer", "1", "cost of a full scan (every label through every layer) over this cost", ".2f"),
            column("layer_evaluations", "1", "layer evaluations per image", ".1f", detail=True),
            column("validation", "%", "accuracy on validation images", ".2f", detail=tested),
            column("validation_se", "%", "binomial standard error", ".2f", spread_of="validation"),
            column("validation_images", "", "number of validation images", detail=True),
            column("test", "%", "accuracy on the test set", ".2f"),
            column("test_se", "%", "binomial standard error", ".2f", spread_of="test"),
            column("gain", "points", "gain over the last layer on the same images", "+.2f"),
            column("gain_low", "points", "lower end of its 95 % interval", "+.2f", low_of="gain"),
            column("gain_high", "points", "upper end of its 95 % interval", "+.2f", high_of="gain"),
            column("gain_on", "", "images on which the gain was measured", detail=True),
        ]

    def claims(self, results: Sequence[_RunEvaluation]) -> list[ffprobe.Claim]:
        claims = [
            ffprobe.joint_claim(
                "Trifecta, Table 3",
                "averaging the last three layers is 0.04 to 0.21 points more accurate than the last alone in a deep"
                " network (TFF/d, 500 epochs); shallow ones gain nothing.",
                list(_verdicts(results, "last 3", SYMBA, _gains_if_deep)),
            ),
            ffprobe.joint_claim(
                "Trifecta, Section 5",
                "under the Trifecta, averaging all layers but the first is much less accurate (by more than a point)"
                " than the last.",
                list(_verdicts(results, "all but first", SYMBA, _is_far_below)),
            ),
            ffprobe.joint_claim(
                "Trifecta, Appendix H",
                "a head on neutral-label features is less accurate than goodness.",
                list(_verdicts(results, "neutral features", {}, _is_below)),
            ),
            ffprobe.joint_claim(
                "Trifecta, Appendix H",
                "features with a label that is not neutral are no remedy for that.",
                list(_verdicts(results, "random-label features", {}, _is_below)),
            ),
        ]
        return [claim for claim in claims if claim]

    def draw(self, figure: Figure, results: Sequence[_RunEvaluation]) -> None:
        """A marker for each strategy: its gain over the last layer, and how many times less it costs."""
        axes, several = figure.subplots(), len(results) > 1
        names = [s[0] for s in STRATEGIES[1:] if any(result.strategy(s[0]) for result in results)]
        step = 0.7 / max(len(results), 1)
        for i, result in enumerate(results):
            look = {**ffprobe.line_look(i), "linestyle": "none", "linewidth": 0.9}
            for k, name in enumerate(names):
                row = result.strategy(name)
                if row is None:
                    continue
                _, _, less, *_, gain, low, high, _ = row.values()
                y = k + (i - (len(results) - 1) / 2) * step
                face: dict[str, Any] = {} if row.test else {"markerfacecolor": "white"}
                spread = [[gain - low], [high - gain]] if low == low else None
                label = result.label if several and k == 0 else None
                axes.errorbar(gain, y, xerr=spread, elinewidth=0.8, label=label, **look, **face)
                if not several:
                    axes.annotate(
                        f"{less:.1f}×", (1.01, y), xycoords=("axes fraction", "data"), fontsize="small", va="center"
                    )
        axes.axvline(0, color="0.45", linewidth=0.8, linestyle=(0, (6, 2)), zorder=1)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel("gain over the last layer (points)")
        if not several:
            axes.set_title("times less work", loc="right", fontsize="small")
        else:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)

    def figure_size(self, results: Sequence[_RunEvaluation]) -> tuple[float, float]:
        return 3.25, 0.9 + 0.2 * max(len(result.strategies) for result in results)


@dataclass
class _Strategy:
    """One strategy on one run.

    Attributes:
        name: as in ``STRATEGIES``.
        validation: its result on validation images, cross-fitted.
        test: its result on the test set; None without one.
        gain: over the last layer, as a share.
        gain_on: the images of the gain, in words.
        multiply_adds: per image; NaN if the file does not have them.
        times_fewer: cost of a full scan over this cost.
    """

    name: str
    validation: ffprobe.EvaluationResult
    test: ffprobe.EvaluationResult | None
    gain: ffprobe.Estimate
    gain_on: str
    multiply_adds: float
    times_fewer: float

    def values(self) -> tuple[Any, ...]:
        """The row of the table."""
        nan, cost = float("nan"), (self.test or self.validation).cost
        test = (self.test.accuracy, self.test.error) if self.test else (nan, nan)
        gain = (100 * self.gain.mean, 100 * self.gain.low, 100 * self.gain.high)
        if self.name == STRATEGIES[0][0]:
            gain = (0.0, nan, nan)
        validation = (self.validation.accuracy, self.validation.error, len(self.validation.right))
        costs = (self.multiply_adds, self.times_fewer, cost)
        return (self.name, *costs, *validation, *test, *gain, self.gain_on)


class _RunEvaluation:
    """All strategies on one run."""

    def __init__(self, run: ffprobe.RunFile, label: str) -> None:
        self.run, self.label = run, label
        self._notes: list[str] = []
        evaluators = ffprobe.registered("evaluator")
        plain = ffprobe.read_calibration(run)
        self.depth, self.form = plain.depth, plain.form
        passes = plain.classes if plain.form == "pair" else 1
        self.full_evaluations = plain.depth * passes
        self.weights = ffprobe.layer_multiply_adds(run, plain.depth)
        self.full_cost = float(passes * sum(self.weights or [1] * plain.depth))
        calibrations: dict[Stage, ffprobe.Calibration] = {"": plain}
        stages: tuple[Stage, ...] = ("pre", "random")
        for stage in stages:
            try:
                calibrations[stage] = ffprobe.read_calibration(run, stage)
            except ffprobe.FileError as error:
                self._notes.append(f"{error.what} {error.hint}")
        test = _test_set(run)
        self.strategies: list[_Strategy] = []
        last: dict[str, np.ndarray] = {}
        for strategy, name, settings, stage in STRATEGIES:
            if stage not in calibrations or name not in evaluators:
                continue
            if settings.get("layers") == "last-3" and self.depth < 4:
                continue
            calibration = calibrations[stage]
            make = _maker(evaluators[name], settings)
            if name == "layer-goodness" and not set(make().layers(self.depth)) <= set(calibration.trained_layers):
                continue
            validated = ffprobe.cross_fitted(make, calibration.halves())
            tested = None
            if test and not stage:
                evaluator = make()
                evaluator.calibrate(calibration)
                tested = ffprobe.evaluate(evaluator, ffprobe.RecordedLabelScan(test[0], None, plain.form), test[1])
            if stage not in last:
                base = _maker(evaluators["layer-goodness"], {"layers": "last"})
                last[stage] = ffprobe.cross_fitted(base, calibration.halves()).right
                if not stage and tested:
                    last["test"] = tested.right
            before, after = (last["test"], tested.right) if tested else (last[stage], validated.right)
            gain = ffprobe.paired_bootstrap(before, after)
            on = "test" if tested else f"{len(after)} validation" if stage else "validation"
            result = tested or validated
            cost = result.weighted(self.weights) if self.weights else result.cost
            adds = cost if self.weights else float("nan")
            self.strategies.append(_Strategy(strategy, validated, tested, gain, on, adds, self.full_cost / cost))
        self._add_notes(plain, calibrations.get("pre"), test is not None)

    def strategy(self, name: str) -> _Strategy | None:
        """The strategy of this name; None if it was not evaluated on this run."""
        return next((strategy for strategy in self.strategies if strategy.name == name), None)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        for strategy in self.strategies:
            yield strategy.values()

    def notes(self) -> list[str]:
        return self._notes

    def to_dict(self) -> dict[str, Any]:
        counts = {
            "depth": self.depth,
            "form": self.form,
            "full_scan_layer_evaluations": self.full_evaluations,
            "full_scan_multiply_adds": self.full_cost if self.weights else None,
        }
        return {"label": self.label, "path": str(self.run.path), "complete": bool(self.run.complete), **counts}

    def _add_notes(self, plain: ffprobe.Calibration, features: ffprobe.Calibration | None, tested: bool) -> None:
        if not self.run.complete:
            self._notes.append(f"the run is unfinished; the file has {self.run.epochs} epochs.")
        if not tested:
            self._notes.append("the test set was not evaluated, so gains are on validation images.")
        cost = "every label through every layer" if self.form == "pair" else "one pass"
        unit = "multiply-adds" if self.weights else "layer evaluations"
        self._notes.append(f"a full scan is {self.full_cost:.4g} {unit} per image ({cost}).")
        if not self.weights:
            self._notes.append(
                "the file has no layer_multiply_adds, so times_fewer counts layer evaluations, as if all layers cost"
                " the same."
            )
        if features:
            assert features.fit_labels is not None
            self._notes.append(
                f"heads on features are fitted on {len(features.fit_labels)} recorded training images and evaluated on"
                f" {len(features.labels)} of the {len(plain.labels)} validation images."
                " `ffprobe predict RUN --evaluator one-pass` evaluates the test set."
            )
            floor = _pixels(self.run, features)
            if floor:
                self._notes.append(f"the floor: the same head on the pixels has an accuracy of {floor:.2f} % there.")
            self._notes.append("hollow markers in the figure were measured on validation images.")
        self._notes.append(
            "candidates, early exit and propose may lose 0.1 points of validation accuracy; their settings are selected"
            " on one half of the validation images and evaluated on the other, for the test set on all of them."
        )


def _maker(component: Any, settings: Mapping[str, Any]) -> Callable[[], ffprobe.Evaluator]:
    params = component.Params(**settings)
    return lambda: component(params)


def _test_set(run: ffprobe.RunFile) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Goodness and labels of the test set; None if it was not evaluated."""
    import numpy as np
    import torch

    if not run.complete or not run.has("test/goodness"):
        return None
    goodness, labels = run.read("test/goodness"), run.read("test/true_label").astype(np.int64)
    return torch.from_numpy(goodness), torch.from_numpy(labels)


def _pixels(run: ffprobe.RunFile, features: ffprobe.Calibration) -> float | None:
    """Held-out accuracy in percent of a linear head on the recorded images themselves; None if there are none."""
    import torch

    if not run.has("activations/input/pre/activation"):
        return None
    assert features.fit_labels is not None
    pixels = torch.from_numpy(run.variable("activations/input/pre/activation")[-1])
    held_out = torch.from_numpy(run.read("activations/held_out")) != 0
    head = ffprobe.fit_head(pixels[~held_out], features.fit_labels, features.classes, 10.0)
    return 100 * float((head.log_probabilities(pixels[held_out]).argmax(dim=1) == features.labels).double().mean())


TFF = ffprobe.paper_setting("tff-s tff-d", "cifar10", 100)


def _verdicts(
    results: Sequence[_RunEvaluation], name: str, setting: Mapping[str, set[str]], judge: Judge
) -> Iterator[ffprobe.RunVerdict]:
    """Label, verdict and numbers in words of one strategy, for each run in the setting."""
    paper = TFF if setting else None  # the claims about features are not about one network
    for result in results:
        strategy = result.strategy(name)
        if strategy is None or not ffprobe.in_setting(result.run, setting):
            continue
        gain = 100 * strategy.gain.mean
        n, sd = len((strategy.test or strategy.validation).right), strategy.gain.sd
        # one more image, half gained and half lost, so that equal predictions for few images have an error
        squares, total = (n - 1) * sd**2 + n * strategy.gain.mean**2 + 1, n * strategy.gain.mean
        error = 100 * max(0.0, squares / (n + 1) - (total / (n + 1)) ** 2) ** 0.5 / (n + 1) ** 0.5
        text = f"{name} {gain:+.2f} points over the last layer ({strategy.gain_on} images, {result.depth} layers)"
        agrees, p = judge(result, ffprobe.GainTest(gain, error, strategy.gain.p if sd else 1.0))
        yield ffprobe.judge(result.run, result.label if len(results) > 1 else "", agrees, text, p=p, paper=paper)


def _gains_if_deep(result: _RunEvaluation, gain: ffprobe.GainTest) -> tuple[bool | None, float]:
    # the published gain is a few tenths, so in a deep network a gain within 0.5 points is inconclusive
    way, p = gain.decide(flat=0.5)
    if way is None:
        return None, p
    if result.depth >= 10:
        return {1: True, -1: False}.get(way), p
    if result.depth <= 6:
        return {1: False, -1: True, 0: True}.get(way), p
    return None, p


def _is_below(result: _RunEvaluation, gain: ffprobe.GainTest) -> tuple[bool | None, float]:
    way, p = gain.decide()
    return (None if way is None else {1: False, -1: True}.get(way)), p


def _is_far_below(result: _RunEvaluation, gain: ffprobe.GainTest) -> tuple[bool | None, float]:
    from scipy import stats

    if not gain.error > 0:
        return None, gain.p
    z = (gain.gain + MUCH) / gain.error  # McNemar's test is for a difference of 0; this one is against -MUCH
    p = float(2 * stats.norm.sf(abs(z)))
    return (z < 0 if p < 0.05 else None), p


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Evaluation]
