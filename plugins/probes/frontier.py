"""How much computation does a prediction need? Accuracy against cost for all evaluators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import ffprobe

if TYPE_CHECKING:
    import torch
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOSSES = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Allowed losses of validation accuracy, in points; each gives one point of a curve."""
STRATEGIES: tuple[tuple[str, str, dict[str, Any], bool], ...] = (
    ("fewer layers", "interval", {}, False),
    ("candidates", "candidates", {}, False),
    ("early exit", "early-exit", {}, False),
    ("early exit, pruned", "early-exit", {"prune": True}, False),
    ("propose", "propose", {}, True),
    ("neutral features", "one-pass", {}, True),
)
"""A curve's name, its evaluator, the evaluator's settings, and whether it needs recorded activations."""
FULL = "full scan"
NO_MULTIPLY_ADDS = (
    "the file has no layer_multiply_adds, so cost is in layer evaluations, as if all layers cost the same."
)
WITHIN = (0.1, 0.5, 1.0)
"""Losses of accuracy, in points, for which the cheapest setting is reported."""


class Frontier(ffprobe.PerRunProbe):
    """Accuracy against cost over the settings of each strategy, and the cheapest within 0.1, 0.5 and 1 points.

    Cost is the number of multiply-adds per image (``layer_multiply_adds`` of the run file times the inputs that each
    layer evaluates), compared with a full scan (every label through every layer; the last layer decides). Layer
    evaluations are a second column, because layers can differ many times in cost; they are the cost only for a file
    without that attribute. Along a curve the allowed loss of validation accuracy grows from 0 to 8 points (for fewer
    layers, the last layer used decreases). The setting is selected on validation images by this loss, and the test set
    is then evaluated once with it. Gains are paired with the full scan on the same images. Strategies on features are
    evaluated on validation images whose activations were recorded, cross-fitted: selected on one half, measured on the
    other. Settings measured on the test set and on validation images have a front each.
    """

    name = "frontier"
    source = "the cost of goodness-based classification is the open problem of Trifecta (arXiv:2311.18130), Appendix H"
    needs = frozenset({"activations"})
    question = "How accurate is a prediction for a given amount of computation?"

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunFrontier:
        return _RunFrontier(run, label)

    def columns(self, results: Sequence[_RunFrontier]) -> list[ffprobe.Column]:
        column = ffprobe.Column
        return [
            column("strategy", "", "how the prediction is made", key=True),
            column("setting", "", "the setting, as selected on validation images", key=True),
            column("multiply_adds", "1", "multiply-adds per image", ".4g", detail=True),
            column("times_fewer", "1", "cost of a full scan over this cost", ".2f"),
            column("layer_evaluations", "1", "layer evaluations per image", ".1f", detail=True),
            column("gain", "points", "gain in accuracy over the full scan on the same images", "+.2f"),
            column("gain_low", "points", "lower end of its 95 % interval", "+.2f", low_of="gain"),
            column("gain_high", "points", "upper end of its 95 % interval", "+.2f", high_of="gain"),
            column("validation_gain", "points", "the same on validation images, cross-fitted", "+.2f"),
            column("accuracy", "%", "accuracy on the images of the gain", ".2f"),
            column("gain_on", "", "images on which gain and accuracy were measured"),
            column("front", "", "whether no other setting measured on these images is both cheaper and more accurate"),
            column(
                "cheapest_within", "points", "smallest loss of validation accuracy for which it is the cheapest", "g"
            ),
        ]

    def draw(self, figure: Figure, results: Sequence[_RunFrontier]) -> None:
        """A panel for each run, with a legend above."""
        from matplotlib.lines import Line2D

        panels = figure.subplots(len(results), 1, squeeze=False)[:, 0]
        for axes, result in zip(panels, results, strict=True):
            _draw_run(axes, result)
            if axes is panels[-1]:
                unit = "multiply-adds" if all(other.weights for other in results) else "layer evaluations"
                axes.set_xlabel(f"{unit} (% of a full scan)")
            if len(results) > 1:
                axes.set_title(result.label, fontsize="small", loc="left")
        used = {point.strategy for result in results for point in result.points}
        looks = {name: ffprobe.line_look(i) for i, (name, *_) in enumerate(STRATEGIES) if name in used}
        handles = [Line2D([], [], **{**look, "linewidth": 0.9}) for look in looks.values()]
        handles += [
            Line2D([], [], color="0.6", linewidth=3, alpha=0.4),
            Line2D([], [], color="0.45", linewidth=0.8, linestyle=(0, (6, 2))),
        ]
        figure.legend(handles, [*looks, "front", "full scan"], loc="outside upper center", ncols=2)

    def figure_size(self, results: Sequence[_RunFrontier]) -> tuple[float, float]:
        return 3.25, 0.9 + 2.1 * len(results)


@dataclass
class _Point:
    """One strategy with one setting.

    Attributes:
        strategy: its name.
        setting: in words.
        result: on the images of the gain.
        cost: multiply-adds per image; layer evaluations if the file has no ``layer_multiply_adds``.
        gain: over the full scan, as a share.
        validation_gain: the same on validation images, in points.
        gain_on: the images of the gain, in words.
        front: whether no other point on the same images is both cheaper and more accurate.
        within: smallest loss for which it is the cheapest; NaN if there is none.
    """

    strategy: str
    setting: str
    result: ffprobe.EvaluationResult
    cost: float
    gain: ffprobe.Estimate
    validation_gain: float
    gain_on: str
    front: bool = False
    within: float = float("nan")

    def values(self, full: float, known: bool) -> tuple[Any, ...]:
        """The row of the table; ``full``: the cost of a full scan, ``known``: whether costs are multiply-adds."""
        gains = (100 * self.gain.mean, 100 * self.gain.low, 100 * self.gain.high, self.validation_gain)
        cost = (self.cost if known else float("nan"), full / self.cost, self.result.cost)
        rest = (self.result.accuracy, self.gain_on, self.front, self.within)
        return (self.strategy, self.setting, *cost, *gains, *rest)


class _RunFrontier:
    """All strategies with all settings on one run."""

    def __init__(self, run: ffprobe.RunFile, label: str) -> None:
        self.run, self.label = run, label
        self._notes: list[str] = []
        self.evaluators = ffprobe.registered("evaluator")
        plain = ffprobe.read_calibration(run)
        passes = plain.classes if plain.form == "pair" else 1
        self.full_evaluations = plain.depth * passes
        self.weights = ffprobe.layer_multiply_adds(run, plain.depth)
        self.full_cost = float(passes * sum(self.weights or [1] * plain.depth))
        test = _test_set(run, plain.form)
        features = None
        try:
            features = ffprobe.read_calibration(run, "pre")
        except ffprobe.FileError as error:
            self._notes.append(f"{error.what} {error.hint}")
        self.points = [self._full_scan(plain, test)]
        for strategy, name, settings, needs_features in STRATEGIES:
            calibration, tested = (features, None) if needs_features else (plain, test)
            if calibration is not None and name in self.evaluators:
                self.points += self._curve(strategy, name, settings, calibration, tested)
        self._mark()
        self._add_notes(plain, features, test)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        for point in self.points:
            yield point.values(self.full_cost, bool(self.weights))

    def notes(self) -> list[str]:
        return self._notes

    def to_dict(self) -> dict[str, Any]:
        adds = self.full_cost if self.weights else None
        counts = {"full_scan_layer_evaluations": self.full_evaluations, "full_scan_multiply_adds": adds}
        return {"label": self.label, "path": str(self.run.path), **counts}

    def _cost(self, result: ffprobe.EvaluationResult) -> float:
        return result.weighted(self.weights) if self.weights else result.cost

    def _full_scan(self, plain: ffprobe.Calibration, test: ffprobe.Calibration | None) -> _Point:
        images = test or plain
        result = ffprobe.evaluate(_Last(), images.scan(), images.labels)
        gain, on = ffprobe.paired_bootstrap(result.right, result.right), "test" if test else "validation"
        return _Point(FULL, "last layer", result, self._cost(result), gain, 0.0, on)

    def _curve(
        self,
        strategy: str,
        name: str,
        settings: Mapping[str, Any],
        calibration: ffprobe.Calibration,
        test: ffprobe.Calibration | None,
    ) -> Iterator[_Point]:
        """The points of a strategy, each setting once."""
        halves, seen = calibration.halves(), set()
        component: Any = self.evaluators[name]
        baseline = ffprobe.cross_fitted(_Last, halves).right
        for more in _settings(name, calibration):
            params = component.Params(**settings, **more)
            evaluator = component(params)
            evaluator.calibrate(calibration)
            setting = _in_words(evaluator.chosen) or "all layers"
            if setting in seen:
                continue
            seen.add(setting)
            validated = ffprobe.cross_fitted(partial(component, params), halves)
            gain = ffprobe.paired_bootstrap(baseline, validated.right)
            validation_gain = 100 * gain.mean
            if test is None:
                on = f"{len(baseline)} validation" if calibration.features is not None else "validation"
                yield _Point(strategy, setting, validated, self._cost(validated), gain, validation_gain, on)
                continue
            result = ffprobe.evaluate(evaluator, test.scan(), test.labels)
            gain = ffprobe.paired_bootstrap((test.goodness[-1].argmax(dim=1) == test.labels).numpy(), result.right)
            yield _Point(strategy, setting, result, self._cost(result), gain, validation_gain, "test")

    def _mark(self) -> None:
        """Mark the front on each set of images, and the cheapest setting within each loss.

        A gain on validation images and one on the test set are not comparable, so they share no front. The full scan is
        a candidate for every front: its gain is 0 on any images.
        """
        for point in self.points:
            cost, gain = point.cost, point.gain.mean
            others = [(p.cost, p.gain.mean) for p in self.points if p.gain_on == point.gain_on]
            others.append((self.full_cost, 0.0))
            point.front = not any((c <= cost and g >= gain) and (c, g) != (cost, gain) for c, g in others)
        for loss in reversed(WITHIN):
            self._cheapest(loss).within = loss

    def _cheapest(self, loss: float) -> _Point:
        """The cheapest setting whose loss on validation images is at most ``loss`` points."""
        near = [p for p in self.points if p.validation_gain >= -loss - 1e-9]
        return min(near, key=lambda p: p.cost)

    def _add_notes(
        self, plain: ffprobe.Calibration, features: ffprobe.Calibration | None, test: ffprobe.Calibration | None
    ) -> None:
        unit = "multiply-adds" if self.weights else "layer evaluations"
        self._notes.append(f"a full scan is {self.full_cost:.4g} {unit} per image.")
        if not self.weights:
            self._notes.append(NO_MULTIPLY_ADDS)
        images = list(dict.fromkeys(point.gain_on for point in self.points))
        if len(images) > 1:
            self._notes.append(
                f"{len(images)} separate fronts: settings measured on {' and on '.join(images)} images are not compared"
                " with each other."
            )
        else:
            self._notes.append(f"one front, on {images[0]} images.")
        within: dict[int, list[str]] = {}
        for loss in WITHIN:
            within.setdefault(id(self._cheapest(loss)), []).append(f"{loss:g}")
        for best in self.points:
            if id(best) in within:
                self._notes.append(
                    f"within {' and '.join(within[id(best)])} points of the full scan on validation images, the"
                    f" cheapest is {best.strategy} ({best.setting}): {best.cost:.4g} {unit},"
                    f" {self.full_cost / best.cost:.2f} times fewer, {100 * best.gain.mean:+.2f} points on"
                    f" {best.gain_on} images."
                )
        if features is not None:
            self._notes.append(
                f"features were recorded for {len(features.labels)} of the {len(plain.labels)} validation images and"
                " for no test image; `ffprobe predict RUN --evaluator propose --compare` evaluates the test set."
            )
        if test is None:
            self._notes.append("the test set was not evaluated, so everything was measured on validation images.")


def _settings(name: str, calibration: ffprobe.Calibration) -> list[dict[str, float]]:
    """The settings of an evaluator along its curve."""
    if name == "interval":
        return [{"last": i + 1} for i in calibration.trained_layers]
    return [{"loss": loss} for loss in LOSSES] if name != "one-pass" else [{}]


class _Last(ffprobe.Evaluator):
    """The full scan."""

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        return goodness[-1]


def _in_words(chosen: Mapping[str, Any]) -> str:
    """The single numbers of what an evaluator selected."""
    return ", ".join(f"{name} {value:g}" for name, value in chosen.items() if isinstance(value, int | float))


def _test_set(run: ffprobe.RunFile, form: Literal["pair", "class"]) -> ffprobe.Calibration | None:
    """The test set in the form of a calibration; None if it was not evaluated."""
    import numpy as np
    import torch

    if not run.complete or not run.has("test/goodness"):
        return None
    labels = torch.from_numpy(run.read("test/true_label").astype(np.int64))
    return ffprobe.Calibration(torch.from_numpy(run.read("test/goodness")), labels, form)


def _draw_run(axes: Axes, result: _RunFrontier) -> None:
    """Gain against the share of a full scan's cost, a line for each strategy; each front is marked."""
    for i, (strategy, *_) in enumerate(STRATEGIES):
        points = sorted((p for p in result.points if p.strategy == strategy), key=lambda p: p.cost)
        for hollow in (False, True):
            line = [p for p in points if (p.gain_on != "test") == hollow]
            if line:
                face = {"markerfacecolor": "white"} if hollow else {}
                x, y = _percent(line, result.full_cost)
                axes.plot(x, y, **{**ffprobe.line_look(i), **face, "linewidth": 0.9})
    for on in dict.fromkeys(p.gain_on for p in result.points if p.front):
        front = sorted((p for p in result.points if p.front and p.gain_on == on), key=lambda p: p.cost)
        x, y = _percent(front, result.full_cost)
        style = "-" if on == result.points[0].gain_on else ":"  # dotted: on the images with recorded activations
        axes.step(
            [*x, 100], [*y, y[-1]], where="post", color="0.6", linewidth=3, alpha=0.4, zorder=0.5, linestyle=style
        )
    axes.axhline(0, color="0.45", linewidth=0.8, linestyle=(0, (6, 2)), zorder=1)
    axes.set_xscale("log")
    axes.set_ylim(max(axes.get_ylim()[0], -8.5), None)
    lowest = min(_percent(result.points, result.full_cost)[0])
    ticks = [t for t in (1, 2, 5, 10, 20, 50, 100) if t >= 0.8 * lowest]
    axes.set_xticks(ticks, [f"{t}" for t in ticks])
    axes.minorticks_off()
    axes.set_ylabel("accuracy gained (points)")


def _percent(points: Sequence[_Point], full_cost: float) -> tuple[list[float], list[float]]:
    """Costs in percent of a full scan, and gains in points."""
    return [100 * p.cost / full_cost for p in points], [100 * p.gain.mean for p in points]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Frontier]
