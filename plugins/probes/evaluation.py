"""How should a prediction be read, and what does each way cost? The paper's Table 3, Figure 13 and Appendix H."""

from dataclasses import dataclass
from typing import Any

import ffprobe

STRATEGIES = (
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
"""A strategy's name, the evaluator that reads so, its settings, and the recorded activations that it needs."""

MUCH = 1.0
"""Points that a loss of accuracy must surely exceed to count as much."""
SYMBA = {"loss": {"symba"}, "normalizer": {"batchnorm"}}


class Evaluation(ffprobe.Probe):
    """Accuracy and cost of every way to read a prediction: some layers' goodness, a head on features, fewer labels.

    Cost is counted in layer evaluations for each image: one for each label and layer that a strategy really needs. What
    a strategy has to choose it chooses on validation images; its validation accuracy is then measured crosswise, chosen
    on one half and read on the other, so that no image has a say in its own prediction. Strategies that read features
    are judged on those validation images whose activations were recorded, the others on all of them and on the test
    set. The gain over the last layer is paired: both read the same images, and its 95 % interval is a bootstrap over
    them.
    """

    name = "evaluation"
    source = "Trifecta (arXiv:2311.18130) Table 3, Figure 13 and Appendix H"
    needs = frozenset({"activations", "random-label"})

    def analyze(self, runs):
        labels = ffprobe.run_labels(runs)
        found = [_Evaluated(run, label) for run, label in zip(runs, labels, strict=True)]
        several = len(runs) > 1
        rows = [(*((one.label,) if several else ()), *row.values()) for one in found for row in one.rows]

        def draw(figure):
            _draw(figure, found, several)

        return ffprobe.Result(
            name=self.name,
            question="How accurate is each way to read a prediction, and what does it cost?",
            columns=_columns(several),
            rows=rows,
            notes=ffprobe.joint_notes([(one.label, one.notes) for one in found]),
            claims=[claim for claim in _claims(found, several) if claim],
            extra={"runs": [one.to_dict() for one in found]},
            draw=draw,
            size=(3.25, 0.9 + 0.2 * max(len(one.rows) for one in found)),
            runs=runs,
        )


def _columns(several):
    column = ffprobe.Column
    run = [column("run", "", "what tells the run apart", key=True)] if several else []
    return [
        *run,
        column("strategy", "", "how the prediction is read", key=True),
        column("cost", "1", "layer evaluations for each image", ".1f"),
        column("times_less", "1", "than a full sweep: every label through every layer", ".1f"),
        column("validation", "%", "accuracy on validation images", ".2f"),
        column("validation_se", "%", "binomial standard error", ".2f", spread_of="validation"),
        column("validation_images", "", "how many"),
        column("test", "%", "accuracy on the test set", ".2f"),
        column("test_se", "%", "binomial standard error", ".2f", spread_of="test"),
        column("gain", "points", "over the last layer on the same images", "+.2f"),
        column("gain_low", "points", "lower end of its 95 % interval", "+.2f"),
        column("gain_high", "points", "upper end", "+.2f"),
        column("gain_on", "", "the images that the gain was measured on"),
    ]


@dataclass
class _Row:
    """One strategy on one run."""

    strategy: str
    reading: Any  # on validation images
    test: Any  # on the test set, None without
    gain: Any  # an estimate, as a share
    on: str
    full: int

    def values(self):
        nan, counted = float("nan"), self.test or self.reading
        test = (self.test.accuracy, self.test.error) if self.test else (nan, nan)
        gain = (100 * self.gain.mean, 100 * self.gain.low, 100 * self.gain.high)
        if self.strategy == STRATEGIES[0][0]:
            gain = (0.0, nan, nan)
        seen = (self.reading.accuracy, self.reading.error, len(self.reading.right))
        return (self.strategy, counted.cost, self.full / counted.cost, *seen, *test, *gain, self.on)


class _Evaluated:
    """Every strategy on one run."""

    def __init__(self, run, label):
        self.run, self.label, self.notes = run, label, []
        evaluators = ffprobe.registered("evaluator")
        plain = ffprobe.read_calibration(run)
        self.depth, self.form = plain.depth, plain.form
        self.full = plain.depth * (plain.classes if plain.form == "pair" else 1)
        calibrations = {"": plain}
        for stage in ("pre", "random"):
            try:
                calibrations[stage] = ffprobe.read_calibration(run, stage)
            except ffprobe.FileError as error:
                self.notes.append(f"{error.what} {error.hint}")
        test = _test_set(run)
        self.rows, last = [], {}
        for strategy, name, settings, stage in STRATEGIES:
            if stage not in calibrations or name not in evaluators:
                continue
            if settings.get("layers") == "last-3" and self.depth < 4:
                continue
            calibration = calibrations[stage]
            make = _maker(evaluators[name], settings)
            if name == "layer-goodness" and not set(make().layers(self.depth)) <= set(calibration.trained_layers):
                continue
            reading = ffprobe.cross_fitted(make, calibration.halves())
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
            before, after = (last["test"], tested.right) if tested else (last[stage], reading.right)
            gain = ffprobe.paired_bootstrap(before, after)
            on = "test" if tested else f"{len(after)} validation" if stage else "validation"
            self.rows.append(_Row(strategy, reading, tested, gain, on, self.full))
        self._note(plain, calibrations.get("pre"), test)

    def row(self, strategy):
        return next((row for row in self.rows if row.strategy == strategy), None)

    def to_dict(self):
        counts = {"depth": self.depth, "form": self.form, "full_sweep_layer_evaluations": self.full}
        return {"label": self.label, "path": str(self.run.path), "complete": bool(self.run.complete), **counts}

    def _note(self, plain, features, test):
        if not self.run.complete:
            self.notes.append(f"the run is unfinished, {self.run.epochs} epochs are in the file.")
        if not test:
            self.notes.append("the test set has not been read, so gains are those on validation images.")
        cost = "every label through every layer" if self.form == "pair" else "one pass"
        self.notes.append(f"a full sweep is {self.full} layer evaluations for each image ({cost}).")
        if features:
            self.notes.append(
                f"heads on features are fitted on {len(features.fit_labels)} recorded images that the network learned"
                f" from, and read on {len(features.labels)} of the {len(plain.labels)} validation images."
                " `ffprobe predict RUN --evaluator one-pass` reads the test set."
            )
            if floor := _pixels(self.run, features):
                self.notes.append(
                    f"the floor: the same head on the pixels themselves reads {floor:.2f} % of those images rightly."
                )
            self.notes.append("hollow dots of the figure were measured on validation images.")
        self.notes.append(
            "candidates, early exit and propose may lose 0.1 points of validation accuracy; what they choose is chosen"
            " on one half of the validation images and read on the other, for the test set on all of them."
        )


def _maker(component, settings):
    params = component.Params(**settings)
    return lambda: component(params)


def _test_set(run):
    """Goodness and labels of the test set; None when it has not been read."""
    import numpy as np
    import torch

    if not run.complete or not run.has("test/goodness"):
        return None
    goodness, labels = run.read("test/goodness"), run.read("test/true_label").astype(np.int64)
    return torch.from_numpy(goodness), torch.from_numpy(labels)


def _pixels(run, features):
    """Held-out accuracy in percent of a linear head on the recorded images themselves; None when there are none."""
    import torch

    if not run.has("activations/input/pre/activation"):
        return None
    pixels = torch.from_numpy(run.variable("activations/input/pre/activation")[-1])
    held = torch.from_numpy(run.read("activations/held_out")) != 0
    head = ffprobe.fit_head(pixels[~held], features.fit_labels, features.classes, 10.0)
    return 100 * float((head.log_probabilities(pixels[held]).argmax(dim=1) == features.labels).double().mean())


def _claims(found, several):
    def told(strategy, setting, judge):
        for one in found:
            row = one.row(strategy)
            if row is None or not ffprobe.in_setting(one.run, setting):
                continue
            gain = 100 * row.gain.mean
            error = 100 * row.gain.sd / len((row.test or row.reading).right) ** 0.5
            words = f"{strategy} {gain:+.2f} points over the last layer ({row.on} images, {one.depth} layers)"
            yield one.label if several else "", judge(one, gain, error), words

    def deep(one, gain, error):
        # a gain of a few tenths is a gain, so nothing within 0.5 points is called none in a deep network
        if one.depth >= 10:
            return {1: True, -1: False}.get(ffprobe.direction(gain, error, flat=0.5))
        if one.depth <= 6:
            return {1: False, -1: True, 0: True}.get(ffprobe.direction(gain, error, flat=0.5))
        return None

    def below(one, gain, error):
        return {1: False, -1: True}.get(ffprobe.direction(gain, error))

    def far_below(one, gain, error):
        if gain + 2 * error < -MUCH:
            return True
        return False if gain - 2 * error > -MUCH else None

    return [
        ffprobe.joint_claim(
            "Trifecta, Table 3",
            "the last three layers read together are 0.04 to 0.21 points more accurate than the last alone in a deep"
            " network (TFF/d, 500 epochs); shallow ones gain nothing.",
            list(told("last 3", SYMBA, deep)),
        ),
        ffprobe.joint_claim(
            "Trifecta, Section 5",
            "under the Trifecta, reading all layers but the first is much worse (by more than a point) than reading the"
            " last.",
            list(told("all but first", SYMBA, far_below)),
        ),
        ffprobe.joint_claim(
            "Trifecta, Appendix H",
            "a head on neutral-label features is less accurate than goodness.",
            list(told("neutral features", {}, below)),
        ),
        ffprobe.joint_claim(
            "Trifecta, Appendix H",
            "features with a label that is not neutral do not help against that.",
            list(told("random-label features", {}, below)),
        ),
    ]


def _draw(figure, found, several):
    """A dot for each strategy: its gain over the last layer, and how many times less it costs."""
    axes = figure.subplots()
    names = [s[0] for s in STRATEGIES[1:] if any(one.row(s[0]) for one in found)]
    step = 0.7 / max(len(found), 1)
    for i, one in enumerate(found):
        look = {**ffprobe.line_look(i), "linestyle": "none", "linewidth": 0.9}
        for k, name in enumerate(names):
            row = one.row(name)
            if row is None:
                continue
            _, _, less, *_, gain, low, high, _ = row.values()
            y = k + (i - (len(found) - 1) / 2) * step
            face = {} if row.test else {"markerfacecolor": "white"}
            spread = [[gain - low], [high - gain]] if low == low else None
            label = one.label if several and k == 0 else None
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


@ffprobe.hookimpl
def ffprobe_components():
    return [Evaluation]
