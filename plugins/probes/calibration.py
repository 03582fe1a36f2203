"""Is goodness, read as a probability over labels, as sure as it should be?"""

from pydantic import Field

import ffprobe


class Calibration(ffprobe.Probe):
    """Calibration of the softmax of goodness over labels, per layer, as it is and with one temperature fitted.

    Scores are a layer's goodness for every label, and those of the run's evaluator where it reads several layers. The
    temperature is fitted on the validation images of the last evaluation and scored on the test set; where that was not
    read, one half of the validation images fits and the other scores. Columns ending in ``_raw`` are at temperature 1,
    on the same images. ``floor`` is the error that perfectly calibrated predictions would show by chance.
    """

    name = "calibration"
    source = "Guo et al. 2017 (arXiv:1706.04599), Section 4.2; not reported for Forward-Forward so far"

    class Params(ffprobe.Params):
        """What is drawn, and how images are split."""

        layer: int = Field(0, ge=0, description="the layer drawn, from 1; 0 is what the run's evaluator reads")
        seed: int = Field(0, ge=0, lt=2**31, description="of the split in halves and of the floor")

    def analyze(self, runs):
        several = len(runs) > 1
        labels = ffprobe.run_labels(runs)
        found = [_Calibrated(run, label, self.params) for run, label in zip(runs, labels, strict=True)]
        rows = [row for one in found for row in one.rows()]

        def draw(figure):
            _draw(figure, found)

        return ffprobe.Result(
            name=self.name,
            question="Is the softmax of goodness over labels as sure as it should be?",
            columns=_columns(several),
            rows=rows if several else [row[1:] for row in rows],
            notes=ffprobe.joint_notes([(one.label, one.notes()) for one in found]) + MIND,
            extra={"settings": self.params.model_dump(), "runs": [one.to_dict() for one in found]},
            draw=draw,
            size=(5.5, 2.7),
            runs=runs,
        )


MIND = [
    "ece: 15 bins of equal width; ece_mass: 15 bins of equally many images. An error near the floor is no error: it is"
    " what perfectly calibrated predictions of the same confidences show by chance, on average.",
]


def _columns(several):
    run = [ffprobe.Column("run", "", "what tells the run apart", key=True)] if several else []
    columns = [
        ffprobe.Column("depth", "", "position of the layer, from 1; empty for the evaluator", key=True),
        ffprobe.Column("layer", "", "its name in the run file, or the evaluator", key=True),
        ffprobe.Column("accuracy", "%", "of the label with the largest score", ".2f"),
        ffprobe.Column("temperature", "1", "fitted, in units of the score", "#.3g"),
        ffprobe.Column("floor", "%", "ece of perfectly calibrated predictions of these confidences", ".2f"),
    ]
    for name, unit, text, style in (
        ("ece", "%", "expected calibration error, bins of equal width", ".2f"),
        ("ece_mass", "%", "expected calibration error, bins of equally many images", ".2f"),
        ("nll", "nats", "negative log-likelihood of the true label", ".3f"),
        ("brier", "1", "Brier score, summed over labels: 0 to 2", ".3f"),
    ):
        columns.append(ffprobe.Column(f"{name}_raw", unit, f"{text}, at temperature 1", style))
        columns.append(ffprobe.Column(name, unit, f"{text}, at the fitted temperature", style))
    return [*run, *columns]


class _Calibrated:
    """What one run file says of each layer, and of the evaluator where it reads several."""

    def __init__(self, run, label, params):
        self.run, self.label, self.why = run, label, []
        self.layers = [str(name) for name in run.read("metrics/layer")]
        if params.layer > len(self.layers):
            what = f"There is no layer {params.layer} among {len(self.layers)}."
            raise ffprobe.UsageError(what, where=str(run.path), hint="Layers are counted from 1; 0 is the evaluator.")
        fit, score, self.how = _images(run, params.seed)
        places = [(i + 1, layer) for i, layer in enumerate(self.layers)]
        evaluator, read = _evaluator(run, len(self.layers))
        if len(read) > 1:
            places.append((None, evaluator.name))
        elif not read:
            self.why.append("the run's evaluator is not installed, or not with these settings; layers stand alone")
        self.found = [(place, *self._one(place, evaluator, fit, score, params.seed)) for place in places]
        if without := [str(depth or name) for (depth, name), _, raw, _ in self.found if raw is None]:
            self.why.append(f"the goodness of layer {', '.join(without)} is NaN or infinite")
        shown = params.layer or (None if len(read) > 1 else read[0] + 1 if read else len(self.layers))
        self.drawn = next(one for one in self.found if one[0][0] == shown)
        if self.drawn[2] is None:
            what, hint = f"T{self.why[-1][1:]}.", "Name another layer, as in calibration:layer=1."
            raise ffprobe.FileError(what, where=str(run.path), hint=hint)

    def _one(self, place, evaluator, fit, score, seed):
        """Temperature, quality at temperature 1 (None without goodness), quality at the fitted one (None without)."""
        import numpy as np

        depth, name = place
        (fit_goodness, fit_truth), (goodness, truth) = fit, score
        scores = _scores(goodness, depth, evaluator)
        if not np.isfinite(scores).all() or not np.isfinite(_scores(fit_goodness, depth, evaluator)).all():
            return float("nan"), None, None
        temperature, why = float("nan"), "there are no images to fit on"
        if len(fit_truth):
            temperature, why = ffprobe.fit_temperature(_scores(fit_goodness, depth, evaluator), fit_truth)
        if why:
            self.why.append(f"{f'layer {depth}' if depth else name} has no temperature: {why}")
        raw = ffprobe.probability_quality(scores, truth, seed=seed)
        tuned = None if why else ffprobe.probability_quality(scores, truth, temperature, seed=seed)
        return temperature, raw, tuned

    def rows(self):
        nan = float("nan")
        for (depth, name), temperature, raw, tuned in self.found:
            if raw is None:
                yield (self.label, depth, name, *(nan,) * 11)
                continue
            floor = 100 * (tuned or raw).floor
            pairs = [
                (100 * raw.ece, 100 * tuned.ece if tuned else nan),
                (100 * raw.ece_mass, 100 * tuned.ece_mass if tuned else nan),
                (raw.nll, tuned.nll if tuned else nan),
                (raw.brier, tuned.brier if tuned else nan),
            ]
            yield (
                self.label,
                depth,
                name,
                100 * raw.accuracy,
                temperature,
                floor,
                *(v for pair in pairs for v in pair),
            )

    def notes(self):
        if not self.run.complete:
            yield f"the run is unfinished, {self.run.epochs} epochs are in the file."
        yield f"{self.how}."
        yield from (f"{why}." for why in self.why)
        loss = self.run.config.get("loss", {})
        if hasattr(loss, "get") and isinstance(loss.get("alpha"), (int, float)):
            own = 1 / loss["alpha"]
            yield f"the loss treats alpha times a gap of goodness as log odds, which is a temperature of {own:.3g}."

    def to_dict(self):
        return {"label": self.label, "path": str(self.run.path), "images": self.how}


def _images(run, seed):
    """Goodness and labels to fit on and to score on, and how they were chosen, in words."""
    import numpy as np

    def read(group, last):
        goodness = run.variable(f"{group}/goodness")
        goodness = goodness[-1] if last else goodness[...]
        return goodness, run.read(f"{group}/true_label")

    has_validation = run.has("evaluation/goodness") and len(run.variable("evaluation/goodness"))
    has_test = run.complete and run.has("test/goodness")
    if has_test:
        test = read("test", False)
        if not has_validation:
            return (test[0][:, :0], test[1][:0]), test, f"scored on {len(test[1])} test images; nothing to fit on"
        fit = read("evaluation", True)
        return fit, test, f"fitted on {len(fit[1])} validation images, scored on {len(test[1])} test images"
    if not has_validation or run.variable("evaluation/true_label").shape[0] < 4:
        hint = "Let it go on until the first evaluation, or train with training.validation_fraction above 0."
        raise ffprobe.FileError("No goodness of 4 images or more is in this file.", where=str(run.path), hint=hint)
    goodness, truth = read("evaluation", True)
    order = np.random.default_rng(seed).permutation(len(truth))
    a, b = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    how = f"the test set was not read: fitted on {len(a)} validation images, scored on the other {len(b)}"
    return (goodness[:, a], truth[a]), (goodness[:, b], truth[b]), how


def _evaluator(run, depth):
    """The run's evaluator and the layers that it reads; None and no layers where it cannot be had."""
    config = run.config.get("evaluator", {})
    config = dict(config) if hasattr(config, "keys") else {"name": config}
    component = ffprobe.registered("evaluator").get(str(config.pop("name", "")))
    try:
        evaluator = component(component.Params.model_validate(config)) if component else None
    except ValueError:  # recorded by another version of it
        evaluator = None
    return evaluator, evaluator.layers(depth) if evaluator else []


def _scores(goodness, depth, evaluator):
    """Scores ``[samples, labels]`` of a layer, from 1, or of the evaluator for None."""
    import torch

    if depth is not None:
        return goodness[depth - 1]
    return evaluator.scores(torch.from_numpy(goodness.astype("float64"))).numpy()


def _draw(figure, found):
    """Reliability diagrams at temperature 1 and at the fitted one; of a single run also how confidence is spread."""
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, at, title in ((left, 2, "temperature 1"), (right, 3, "temperature fitted")):
        series = []
        for i, one in enumerate(found):
            quality = one.drawn[at]
            if quality is None:
                continue
            x, y = 100 * quality.bins.confidence, quality.bins.accuracy
            error = 100 * (y * (1 - y) / quality.bins.count) ** 0.5
            series.append({"label": "", "x": x, "y": 100 * y, "error": error, "colour": i})
            if len(found) == 1:
                share = 100 * quality.bins.count / quality.bins.count.sum()
                axes.bar(x, share, width=4, color="0.85", zorder=1, label="share of images")
        axes.plot([0, 100], [0, 100], color="0.45", linewidth=0.8, linestyle=(0, (6, 2)), marker="", zorder=1)
        ffprobe.line_by_layer(axes, series, xlabel="confidence (%)", ylabel="accuracy (%)")
        axes.set_title(title if len(found) > 1 or at == 2 else f"temperature {found[0].drawn[1]:.3g}", loc="left")
        ticks = range(0, 101, 20)
        axes.set(xlim=(-3, 103), ylim=(-3, 103), aspect="equal", xticks=ticks, yticks=ticks)
        axes.label_outer()
    handles = [axes for axes in left.containers if hasattr(axes, "lines")]
    if len(found) > 1:
        names = [one.label for one in found]
        figure.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)))
    else:
        bars = [container for container in left.containers if not hasattr(container, "lines")]
        (depth, name), *_ = found[0].drawn
        shown = f"layer {depth}" if depth else name
        figure.legend([*handles, *bars], [shown, "share of images"], loc="outside lower center", ncols=2)


@ffprobe.hookimpl
def ffprobe_components():
    return [Calibration]
