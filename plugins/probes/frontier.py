"""How much work does a prediction need? Accuracy against cost of every way to read it."""

from dataclasses import dataclass
from typing import Any

import ffprobe

LOSSES = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Allowed losses of validation accuracy, in points; each gives a point of a curve."""
STRATEGIES = (
    ("fewer layers", "interval", {}, False),
    ("candidates", "candidates", {}, False),
    ("early exit", "early-exit", {}, False),
    ("early exit, pruned", "early-exit", {"prune": True}, False),
    ("propose", "propose", {}, True),
    ("neutral features", "one-pass", {}, True),
)
"""A curve's name, the evaluator that reads so, its settings, and whether it needs recorded activations."""
WITHIN = (0.1, 0.5, 1.0)
"""Losses of accuracy, in points, for which the cheapest setting is named."""


class Frontier(ffprobe.Probe):
    """Accuracy against cost, over the range of each strategy's setting, and the cheapest within 0.1, 0.5 and 1 points.

    Cost is counted in layer evaluations for each image; a full sweep (every label through every layer, the last layer
    decides) is the measure. Along a curve the allowed loss of validation accuracy grows from 0 to 8 points (for fewer
    layers, the last layer that is read falls); the setting is chosen by it on validation images, and the test set is
    read once with it. Gains are paired with the full sweep on the same images. Strategies that read features are judged
    on validation images whose activations were recorded, crosswise: chosen on one half, read on the other.
    """

    name = "frontier"
    source = "the cost of goodness-based classification is the open problem of Trifecta (arXiv:2311.18130), Appendix H"
    needs = frozenset({"activations"})

    def analyze(self, runs):
        labels = ffprobe.run_labels(runs)
        found = [_Curves(run, label) for run, label in zip(runs, labels, strict=True)]
        several = len(runs) > 1

        def draw(figure):
            panels = figure.subplots(len(found), 1, squeeze=False)[:, 0]
            for axes, one in zip(panels, found, strict=True):
                _draw(axes, one, several, last=axes is panels[-1])
            _key(figure, found)

        return ffprobe.Result(
            name=self.name,
            question="How accurate is a prediction for how much work?",
            columns=_columns(several),
            rows=[(*((one.label,) if several else ()), *p.values(one)) for one in found for p in one.points],
            notes=ffprobe.joint_notes([(one.label, one.notes) for one in found]),
            extra={"runs": [one.to_dict() for one in found]},
            draw=draw,
            size=(3.25, 0.9 + 2.1 * len(found)),
            runs=runs,
        )


def _columns(several):
    column = ffprobe.Column
    run = [column("run", "", "what tells the run apart", key=True)] if several else []
    return [
        *run,
        column("strategy", "", "how the prediction is read", key=True),
        column("setting", "", "as chosen on validation images", key=True),
        column("cost", "1", "layer evaluations for each image", ".1f"),
        column("times_less", "1", "than a full sweep", ".2f"),
        column("gain", "points", "of accuracy over the full sweep on the same images", "+.2f"),
        column("gain_low", "points", "lower end of its 95 % interval", "+.2f"),
        column("gain_high", "points", "upper end", "+.2f"),
        column("validation_gain", "points", "the same on validation images, chosen crosswise", "+.2f"),
        column("accuracy", "%", "on the images of the gain", ".2f"),
        column("gain_on", "", "the images that gain and accuracy were measured on"),
        column("front", "", "whether no other setting is both cheaper and more accurate"),
        column("select_cheapest", "points", "the smallest loss within which it is the cheapest, by validation", "g"),
    ]


@dataclass
class _Point:
    """One strategy with one setting."""

    strategy: str
    setting: str
    reading: Any  # on the images of the gain
    gain: Any
    validation_gain: float
    on: str
    front: bool = False
    within: float = float("nan")

    def values(self, one):
        gains = (100 * self.gain.mean, 100 * self.gain.low, 100 * self.gain.high, self.validation_gain)
        cost = self.reading.cost
        seen = (self.reading.accuracy, self.on, self.front, self.within)
        return (self.strategy, self.setting, cost, one.full / cost, *gains, *seen)


class _Curves:
    """Every strategy with every setting on one run."""

    def __init__(self, run, label):
        self.run, self.label, self.notes = run, label, []
        self.evaluators = ffprobe.registered("evaluator")
        plain = ffprobe.read_calibration(run)
        self.depth = plain.depth
        self.full = plain.depth * (plain.classes if plain.form == "pair" else 1)
        test = _test_set(run, plain.form)
        try:
            features = ffprobe.read_calibration(run, "pre")
        except ffprobe.FileError as error:
            features = None
            self.notes.append(f"{error.what} {error.hint}")
        self.points = [_full_sweep(plain, test)]
        for strategy, name, settings, reads_features in STRATEGIES:
            calibration, tested = (features, None) if reads_features else (plain, test)
            if calibration is not None and name in self.evaluators:
                self.points += self._curve(strategy, name, settings, calibration, tested)
        self._compare()
        self._note(plain, features, test)

    def to_dict(self):
        return {"label": self.label, "path": str(self.run.path), "full_sweep_layer_evaluations": self.full}

    def _curve(self, strategy, name, settings, calibration, test):
        halves, seen, component = calibration.halves(), set(), self.evaluators[name]
        sweep = ffprobe.cross_fitted(_Last, halves).right
        for more in self._range(name, calibration):
            params = component.Params(**settings, **more)
            evaluator = component(params)
            evaluator.calibrate(calibration)
            setting = _said(evaluator.chosen) or "all layers"
            if setting in seen:
                continue
            seen.add(setting)
            crosswise = ffprobe.cross_fitted(lambda chosen=params: component(chosen), halves)
            validation = ffprobe.paired_bootstrap(sweep, crosswise.right)
            if test is None:
                where = f"{len(sweep)} validation" if calibration.features is not None else "validation"
                yield _Point(strategy, setting, crosswise, validation, 100 * validation.mean, where)
                continue
            reading = ffprobe.evaluate(evaluator, test.sweep(), test.labels)
            gain = ffprobe.paired_bootstrap((test.goodness[-1].argmax(dim=1) == test.labels).numpy(), reading.right)
            yield _Point(strategy, setting, reading, gain, 100 * validation.mean, "test")

    def _range(self, name, calibration):
        if name == "interval":
            return [{"last": i + 1} for i in calibration.trained_layers]
        return [{"loss": loss} for loss in LOSSES] if name != "one-pass" else [{}]

    def _compare(self):
        """Mark the front, and the cheapest setting within each loss."""
        for point in self.points:
            cost, gain = point.reading.cost, point.gain.mean
            others = [(p.reading.cost, p.gain.mean) for p in self.points]
            point.front = not any((c <= cost and g >= gain) and (c, g) != (cost, gain) for c, g in others)
        for loss in reversed(WITHIN):
            self._cheapest(loss).within = loss

    def _cheapest(self, loss):
        """The cheapest setting that loses no more on validation images."""
        near = [p for p in self.points if p.validation_gain >= -loss - 1e-9]
        return min(near, key=lambda p: p.reading.cost)

    def _note(self, plain, features, test):
        self.notes.append(f"a full sweep is {self.full} layer evaluations for each image.")
        within = {}
        for loss in WITHIN:
            within.setdefault(id(self._cheapest(loss)), []).append(f"{loss:g}")
        for best in self.points:
            if id(best) in within:
                self.notes.append(
                    f"within {' and '.join(within[id(best)])} points of the full sweep on validation images, the"
                    f" cheapest is {best.strategy} ({best.setting}): {best.reading.cost:.1f} layer evaluations,"
                    f" {self.full / best.reading.cost:.1f} times fewer, {100 * best.gain.mean:+.2f} points on {best.on}"
                    " images."
                )
        if features is not None:
            self.notes.append(
                f"features were recorded of {len(features.labels)} of the {len(plain.labels)} validation images, none"
                " of the test set; `ffprobe predict RUN --evaluator propose --compare` measures there."
            )
        if test is None:
            self.notes.append("the test set has not been read, so everything was measured on validation images.")


class _Last(ffprobe.Evaluator):
    """The full sweep."""

    def scores(self, goodness):
        return goodness[-1]


def _full_sweep(plain, test):
    counted = test or plain
    reading = ffprobe.evaluate(_Last(), counted.sweep(), counted.labels)
    same = ffprobe.paired_bootstrap(reading.right, reading.right)
    return _Point("full sweep", "last layer", reading, same, 0.0, "test" if test else "validation")


def _said(chosen):
    """What was chosen, in words: the plain numbers of it."""
    return ", ".join(f"{name} {value:g}" for name, value in chosen.items() if isinstance(value, int | float))


def _test_set(run, form):
    """The test set, to be read like a calibration; None when it has not been read."""
    import numpy as np
    import torch

    if not run.complete or not run.has("test/goodness"):
        return None
    labels = torch.from_numpy(run.read("test/true_label").astype(np.int64))
    return ffprobe.Calibration(torch.from_numpy(run.read("test/goodness")), labels, form)


def _draw(axes, one, several, last):
    """Gain against the share of a full sweep's work, a line for each strategy; the front is marked."""
    for i, (strategy, *_) in enumerate(STRATEGIES):
        points = sorted((p for p in one.points if p.strategy == strategy), key=lambda p: p.reading.cost)
        for hollow in (False, True):
            own = [p for p in points if (p.on != "test") == hollow]
            if own:
                face = {"markerfacecolor": "white"} if hollow else {}
                x, y = [100 * p.reading.cost / one.full for p in own], [100 * p.gain.mean for p in own]
                axes.plot(x, y, **{**ffprobe.line_look(i), **face, "linewidth": 0.9})
    front = sorted((p for p in one.points if p.front), key=lambda p: p.reading.cost)
    x, y = [100 * p.reading.cost / one.full for p in front], [100 * p.gain.mean for p in front]
    axes.step([*x, 100], [*y, y[-1]], where="post", color="0.6", linewidth=3, alpha=0.4, zorder=0.5)
    axes.axhline(0, color="0.45", linewidth=0.8, linestyle=(0, (6, 2)), zorder=1)
    axes.set_xscale("log")
    axes.set_ylim(max(axes.get_ylim()[0], -8.5), None)
    ticks = [t for t in (1, 2, 5, 10, 20, 50, 100) if t >= 0.8 * min(x)]
    axes.set_xticks(ticks, [f"{t}" for t in ticks])
    axes.minorticks_off()
    axes.set_ylabel("accuracy gained (points)")
    if last:
        axes.set_xlabel("layer evaluations (% of a full sweep)")
    if several:
        axes.set_title(one.label, fontsize="small", loc="left")


def _key(figure, found):
    from matplotlib.lines import Line2D

    shown = [s[0] for s in STRATEGIES if any(p.strategy == s[0] for one in found for p in one.points)]
    order = {s[0]: i for i, s in enumerate(STRATEGIES)}
    handles = [Line2D([], [], **{**ffprobe.line_look(order[name]), "linewidth": 0.9}) for name in shown]
    handles += [
        Line2D([], [], color="0.6", linewidth=3, alpha=0.4),
        Line2D([], [], color="0.45", linewidth=0.8, linestyle=(0, (6, 2))),
    ]
    figure.legend(handles, [*shown, "front", "full sweep"], loc="outside upper center", ncols=2)


@ffprobe.hookimpl
def ffprobe_components():
    return [Frontier]
