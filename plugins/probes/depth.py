"""Does depth pay? What each layer adds, how late it learns, and how much the model hangs on it."""

from pydantic import Field

import ffprobe


class Depth(ffprobe.Probe):
    """What each layer adds to the one before, how late it learns, and whether the model follows it.

    Gains are paired by image, on the test set where it was read, else on validation. ``epoch`` is the first
    evaluated one at which the layer has ``reach`` percent of its own final validation accuracy; the truth lies between
    it and ``not_by``, the evaluation before. Correlations (Pearson) are between the layer's validation accuracy
    and the model's: over the evaluated epochs of a run, and, from three runs on, over runs.
    """

    name = "depth"
    source = "Trifecta (arXiv:2311.18130) Section 7; Adamson (arXiv:2504.11229)"

    class Params(ffprobe.Params):
        """When a layer counts as having learned."""

        reach: float = Field(90.0, gt=0, le=100, description="percent of the layer's own final accuracy")

    def analyze(self, runs):
        several = len(runs) > 1
        labels, reach = ffprobe.run_labels(runs), self.params.reach
        found = [_Depth(run, label, reach / 100) for run, label in zip(runs, labels, strict=True)]
        together = _Together(found) if len(found) > 2 and len({one.depth for one in found}) == 1 else None
        rows = [row for one in found for row in one.rows()] + (together.rows() if together else [])
        claims = _claims(found, together)
        notes = ffprobe.joint_notes([(one.label, one.notes()) for one in found])
        if several and together is None:
            notes.append("Correlations over runs need three runs of the same depth.")

        def draw(figure):
            _draw(figure, found)

        return ffprobe.Result(
            name=self.name,
            question="Does depth pay: what does each layer add, and how late does it learn?",
            columns=_columns(several, reach),
            rows=rows if several else [row[1:-1] for row in rows],
            notes=notes + (list(together.notes()) if together else []) + (MIND if claims else []),
            claims=claims,
            extra={"settings": self.params.model_dump(), "runs": [one.to_dict() for one in found]},
            draw=draw,
            size=(5.5, 2.1),
            runs=runs,
        )


MIND = ["Below, a gain counts when it is further than two standard errors, paired by image, from 0."]


def _columns(several, reach):
    run = [ffprobe.Column("run", "", "what tells the run apart", key=True)] if several else []
    columns = [
        ffprobe.Column("depth", "", "position of the layer, from 1", key=True),
        ffprobe.Column("layer", "", "its name in the run file", key=True),
        ffprobe.Column("accuracy", "%", "final accuracy from this layer's goodness alone", ".2f"),
        ffprobe.Column("gain", "points", "over the layer before", "+.2f"),
        ffprobe.Column("gain_se", "points", "standard error, paired by image", ".2f", spread_of="gain"),
        ffprobe.Column("over_middle", "points", "gain over the middle layer", "+.2f"),
        ffprobe.Column("over_middle_se", "points", "standard error, paired by image", ".2f", spread_of="over_middle"),
        ffprobe.Column("epoch", "epoch", f"first evaluation at {reach:g} % of its own final accuracy", ".4g"),
        ffprobe.Column("not_by", "epoch", "the evaluation before that; 0 for none", ".4g"),
        ffprobe.Column("correlation", "1", "with the model's accuracy, over the evaluated epochs", ".3f"),
    ]
    over = (
        [ffprobe.Column("over_runs", "1", "correlation with the model's accuracy, over runs", ".3f")] if several else []
    )
    return [*run, *columns, *over]


class _Depth:
    """What one run file says of every layer."""

    def __init__(self, run, label, reach):
        import numpy as np

        self.run, self.label = run, label
        self.layers = [str(name) for name in run.read("metrics/layer")]
        self.depth, self.middle = len(self.layers), max(1, len(self.layers) // 2)
        accuracy = 100 * run.read("metrics/validation_accuracy").astype(float)
        measured = np.flatnonzero(np.isfinite(accuracy).any(axis=1))
        if not len(measured) or not run.has("evaluation/goodness") or not len(run.variable("evaluation/goodness")):
            hint = "Let it go on until the first evaluation, or train with training.validation_fraction above 0."
            raise ffprobe.FileError("No accuracy has been measured in this run.", where=str(run.path), hint=hint)
        if without := [str(i + 1) for i in np.flatnonzero(np.isnan(accuracy[measured[-1]]))]:
            what = f"Layer {', '.join(without)} has no goodness of its own, so layers cannot be compared."
            hint = "Ask a run of a local rule; `ffprobe analyze probes` compares the layers of any network."
            raise ffprobe.FileError(what, where=str(run.path), hint=hint)
        self.epochs = run.read("metrics/epoch")[measured]
        self.course = accuracy[measured]  # [evaluations, layers]
        self.model = 100 * run.read("metrics/model_validation_accuracy").astype(float)[measured]
        self.tested = bool(run.complete and run.has("test/goodness"))
        part, at = ("test", ...) if self.tested else ("evaluation", -1)
        goodness, truth = run.variable(f"{part}/goodness")[at], run.read(f"{part}/true_label")
        self.right = goodness.argmax(axis=2) == truth  # [layers, images]
        if not np.isfinite(goodness).all():
            raise ffprobe.FileError("The last goodness holds NaN or infinity.", where=f"{part}/goodness of {run.path}")
        enough = reach * self.course[-1] * (1 - 1e-6)  # accuracies are float32: 0.9 is a little less than 90 %
        rows = [int(np.argmax(self.course[:, i] >= enough[i])) for i in range(self.depth)]
        self.reached = [int(self.epochs[row]) for row in rows]
        self.not_by = [int(self.epochs[row - 1]) if row else 0 for row in rows]
        self.correlation = [_pearson(self.course[:, i], self.model) for i in range(self.depth)]

    def rows(self):
        for i, layer in enumerate(self.layers):
            gain = self.gain(i - 1, i) if i else (float("nan"),) * 2
            over = self.gain(self.middle - 1, i) if i != self.middle - 1 else (float("nan"),) * 2
            when = self.reached[i], self.not_by[i]
            accuracy = 100 * self.right[i].mean()
            yield (self.label, i + 1, layer, accuracy, *gain, *over, *when, self.correlation[i], float("nan"))

    def gain(self, before, after):
        return ffprobe.accuracy_gain(self.right[before], self.right[after])

    def notes(self):
        if not self.run.complete:
            yield f"the run is unfinished, final means after epoch {self.epochs[-1]}."
        part = "test" if self.tested else "validation"
        steps = sorted({int(b - a) for a, b in zip([0, *self.epochs], self.epochs, strict=False)})
        every = "every epoch" if steps == [1] else f"every {' to '.join(map(str, steps[:1] + steps[1:][-1:]))} epochs"
        yield (
            f"accuracy on {self.right.shape[1]} {part} images; layers were evaluated {every}, which is how"
            " exactly the epoch of learning is known."
        )
        constant = [str(i + 1) for i, r in enumerate(self.correlation) if r != r]
        if len(self.epochs) < 3:
            yield "fewer than three evaluations: no correlation over epochs."
        elif constant:
            yield f"layer {', '.join(constant)} or the model never changed accuracy: no correlation over epochs."
        how = _evaluator(self.run)
        yield f"the model's accuracy is read by {how}; a layer that it reads alone correlates by itself."

    def to_dict(self):
        facts = {"test": self.tested, "images": int(self.right.shape[1]), "middle_layer": self.middle}
        return {"label": self.label, "path": str(self.run.path), "evaluated": self.epochs.tolist(), **facts}


def _evaluator(run):
    config = run.config.get("evaluator", {})
    layers = config.get("layers") if hasattr(config, "get") else None
    return " ".join(filter(None, (ffprobe.run_components(run).get("evaluator", "an unknown evaluator"), layers)))


def _pearson(first, second):
    """Pearson's r; NaN for fewer than three points, or where one side never changes."""
    import numpy as np
    from scipy import stats

    known = np.isfinite(first) & np.isfinite(second)
    first, second = first[known], second[known]
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(stats.pearsonr(first, second).statistic)


class _Together:
    """Correlations over runs of the same depth, between final validation accuracies."""

    def __init__(self, found):
        import numpy as np

        self.found = found
        self.final = np.stack([one.course[-1] for one in found])  # [runs, layers]
        self.model = np.array([one.model[-1] for one in found])
        self.over_runs = [_pearson(self.final[:, i], self.model) for i in range(self.final.shape[1])]

    def rows(self):
        nan = float("nan")
        accuracy = [
            100 * sum(one.right[i].mean() for one in self.found) / len(self.found) for i in range(len(self.over_runs))
        ]
        label = f"mean of {len(self.found)}"
        return [
            (label, i + 1, self.found[0].layers[i], accuracy[i], *(nan,) * 7, r) for i, r in enumerate(self.over_runs)
        ]

    def notes(self):
        if any(r != r for r in self.over_runs):
            yield "Where all runs end at the same accuracy there is no correlation over runs."
        if len({tuple(sorted(ffprobe.run_components(one.run).items())) for one in self.found}) > 1:
            yield "The runs differ in more than the seed, so correlations over runs also say which setting is better."


PAIRS = {"rule": {"forward-forward"}, "loss": {"fixed-threshold", "symba"}}


def _claims(found, together):
    several = len(found) > 1
    gains, delays, follows = [], [], []
    for one in found:
        label = one.label if several else ""
        if ffprobe.in_setting(one.run, {"loss": {"symba"}, "normalizer": {"batchnorm"}, "scheduler": {"olu"}}):
            gains.append((label, *_pays(one)))
        if ffprobe.in_setting(one.run, PAIRS):
            delays.append((label, *_later(one)))
    if together and not list(together.notes()) and ffprobe.in_setting(found[0].run, PAIRS):
        follows.append(("", *_follows(together)))
    claims = [
        ffprobe.joint_claim(
            "Trifecta, Section 7",
            "every further layer gains, layer 12 is 3.7 points above layer 6 (TFF/d, CIFAR-10, 500 epochs).",
            gains,
        ),
        ffprobe.joint_claim(
            "Adamson 2025 (arXiv:2504.11229)",
            "deeper layers improve later than shallower ones (fully connected Forward-Forward, MNIST).",
            delays,
        ),
        ffprobe.joint_claim(
            "Adamson 2025 (arXiv:2504.11229)",
            "over 30 seeds a shallow layer's accuracy is strongly correlated with the model's, a deep one's less.",
            follows,
        ),
    ]
    return [claim for claim in claims if claim]


def _pays(one):
    """The last layer must be above the middle one, and no layer below the one before."""
    if one.depth < 4:
        return None, f"{one.depth} layers are too few"
    gain, error = one.gain(one.middle - 1, one.depth - 1)
    way = ffprobe.direction(gain, error)
    back = [str(i + 1) for i in range(1, one.depth) if ffprobe.direction(*one.gain(i - 1, i)) == -1]
    text = f"layer {one.depth} is {gain:+.2f} ± {error:.2f} points against layer {one.middle}"
    text += f", and layer {', '.join(back)} falls back" if back else ", and no layer falls back"
    return False if back or way in (-1, 0) else way == 1 or None, text


def _later(one):
    """The last layer must be late by more than the evaluations leave open."""
    text = f"layer 1 had learned after epoch {one.reached[0]}, layer {one.depth} after epoch {one.reached[-1]}"
    if one.depth < 2:
        return None, "one layer cannot tell"
    if one.not_by[-1] >= one.reached[0]:
        return True, text
    return (False if one.not_by[0] >= one.reached[-1] else None), text


def _follows(together):
    """Layer 1 must be correlated with p < 0.05; from 10 runs on, no such correlation speaks against it."""
    from scipy import stats

    r, runs = together.over_runs, len(together.found)
    p = float(stats.pearsonr(together.final[:, 0], together.model).pvalue)
    text = f"over {runs} runs r is {r[0]:.2f} in layer 1 (p = {p:.2g}), {r[-1]:.2f} in layer {len(r)}"
    if p < 0.05:
        return bool(r[0] > 0), text
    return False if runs >= 10 else None, text


def _draw(figure, found):
    """Gain, epoch of learning and correlation, by layer."""
    panels = figure.subplots(1, 3)
    series = [[], [], []]
    for one in found:
        gains = [one.gain(i - 1, i) for i in range(1, one.depth)]
        layers = list(range(1, one.depth + 1))
        series[0].append({"x": layers[1:], "y": [g for g, _ in gains], "error": [e for _, e in gains]})
        series[1].append({"x": layers, "y": one.reached})
        series[2].append({"x": layers, "y": one.correlation})
    words = ("gain (points)", "epoch of learning", "correlation with model")
    for axes, lines, ylabel in zip(panels, series, words, strict=True):
        ffprobe.line_by_layer(axes, [{"label": "", **line} for line in lines], ylabel=ylabel)
    panels[0].axhline(0, color="0.45", linewidth=0.8, zorder=1)
    panels[1].set_ylim(bottom=0)
    if len(found) > 1:
        names = [one.label for one in found]
        figure.legend(panels[1].containers, names, loc="outside lower center", ncols=min(4, len(names)))


@ffprobe.hookimpl
def ffprobe_components():
    return [Depth]
