"""How good is each layer by itself, and what do several read together? The paper's Figures 1 and 4."""

import ffprobe

TOGETHER = ("last", "last 3", "all but first", "all")


class Layers(ffprobe.Probe):
    """Validation and test accuracy from each layer's goodness alone, by depth, and from several layers together.

    The spread is the binomial standard error of the number of images. Of an unfinished run, the last evaluated epoch.
    """

    name = "layers"
    source = "Trifecta (arXiv:2311.18130) Figures 1, 4 and 13, Table 3"

    def analyze(self, runs):
        found = [_Accuracies(run, label) for run, label in zip(runs, ffprobe.run_labels(runs), strict=True)]
        depth = max(one.depth for one in found)
        columns = [
            ffprobe.Column("depth", "", "position of the layer, from 1; empty for layers read together", key=True),
            ffprobe.Column("layer", "", "its name in the run file, or the layers whose goodness is averaged", key=True),
        ]
        for one in found:
            prefix = f"{one.label} " if len(found) > 1 else ""
            for what, unit in (("test", one.test_images), ("validation", one.validation_images)):
                name, spread = f"{prefix}{what}", f"{prefix}{what}_se"
                columns += [
                    ffprobe.Column(name, "%", f"accuracy on {unit} {what} images", ".2f"),
                    ffprobe.Column(spread, "%", "binomial standard error", ".2f", spread_of=name),
                ]
        names = [next(one.layers[i] for one in found if i < one.depth) for i in range(depth)]
        rows = [(i + 1, names[i], *(v for one in found for v in one.at(i))) for i in range(depth)]
        rows += [(None, what, *(v for one in found for v in one.together(what))) for what in TOGETHER]
        part = "test" if any(one.tested for one in found) else "validation"
        lines = [row for row in rows if row[0] is not None]
        claims = [told for claim in _CLAIMS if (told := _claim(*claim, found))]

        def draw(figure):
            axes, series = figure.subplots(), []
            at = {column.name: i for i, column in enumerate(columns)}
            for one in found:
                prefix = f"{one.label} " if len(found) > 1 else ""
                for what in ("test", "validation") if len(found) == 1 else (part,):
                    own = [row for row in lines if row[at[f"{prefix}{what}"]] == row[at[f"{prefix}{what}"]]]
                    x, y, error = (
                        [row[k] for row in own] for k in (0, at[f"{prefix}{what}"], at[f"{prefix}{what}_se"])
                    )
                    label = one.label if len(found) > 1 else what
                    series.append({"label": label, "x": x, "y": y, "error": error})
            ylabel = "accuracy (%)" if len(found) == 1 else f"{part} accuracy (%)"
            ffprobe.line_by_layer(axes, [one for one in series if one["x"]], ylabel=ylabel)

        return ffprobe.Result(
            name=self.name,
            question="How accurate is a prediction from each layer's goodness alone, by depth?",
            columns=columns,
            rows=rows,
            notes=ffprobe.joint_notes([(one.label, one.notes()) for one in found]) + MEANS[: 1 + bool(claims)],
            claims=claims,
            extra={"runs": [one.to_dict() for one in found], "plotted": part},
            draw=draw,
            runs=runs,
        )


MEANS = [
    "The last rows average the goodness of several layers and name the label with the largest mean.",
    "Below, a gain counts when it is further than two standard errors, paired by image, from 0.",
]
LENGTH = {"length", "rms", "layernorm"}
DEEP = 9
"""From so many layers on a network is held against the paper's deep one (12 layers), below against the shallow (6)."""


def _falls(one):
    gain, way = one.gain(0, one.depth - 1)
    return way if way is None else way == -1, f"the last layer is {_points(gain)} against the first"


def _stalls(one):
    middle = one.depth // 2
    gain, way = one.gain(middle - 1, one.depth - 1)
    return way if way is None else way != 1, f"the last layer is {_points(gain)} against layer {middle}"


def _rises(one):
    steps = [one.gain(i - 1, i)[1] for i in range(1, one.depth)]
    gain, way = one.gain(0, one.depth - 1)
    back = [str(i) for i, step in enumerate(steps, 2) if step == -1]
    who = f"layers {' and '.join(back)} fall" if back[1:] else f"{'layer ' + back[0] if back else 'no layer'} falls"
    said = f"the last layer is {_points(gain)} against the first, {who} back"
    return False if back or way in (-1, 0) else way == 1 or None, said


def _last_three_help(one):
    gain, way = one.gain(one.depth - 1, one.depth + TOGETHER.index("last 3"))
    said = f"the last three are {_points(gain)} against the last alone ({one.depth} layers)"
    if one.depth >= DEEP:
        return (way == 1 or None) if way != -1 else False, said
    return way if way is None else way != 1, said


_CLAIMS = (
    (
        "Trifecta, Figure 4",
        "in plain Forward-Forward (fixed threshold, length normalization, greedy; TFF/s on CIFAR-10) accuracy falls"
        " with depth.",
        {"loss": {"fixed-threshold"}, "normalizer": LENGTH, "scheduler": {"greedy"}},
        2,
        _falls,
    ),
    (
        "Trifecta, Figure 1 and Section 4",
        "SymBa with length normalization (greedy; TFF/s on CIFAR-10) levels off or declines with depth.",
        {"loss": {"symba"}, "normalizer": LENGTH, "scheduler": {"greedy"}},
        4,
        _stalls,
    ),
    (
        "Trifecta, Figure 1 and Section 7",
        "SymBa with batch normalization (TFF/s greedy, TFF/d with OLU; CIFAR-10) gains with every layer.",
        {"loss": {"symba"}, "normalizer": {"batchnorm"}},
        3,
        _rises,
    ),
    (
        "Trifecta, Table 3 and Appendix H",
        "averaging the last three layers adds 0.04 to 0.21 points to the last one in the 12-layer Trifecta and does not"
        " help the 6-layer one.",
        {"loss": {"symba"}, "normalizer": {"batchnorm"}, "scheduler": {"olu"}},
        4,
        _last_three_help,
    ),
)
"""(source, what it says, the components it was seen with, the fewest layers that can tell, the rule)."""


def _claim(source, said, setting, least, rule, found):
    """The claim held against the runs that have its setting; None when none has."""
    told = []
    for one in found:
        if ffprobe.in_setting(one.run, setting):
            verdict, text = rule(one) if one.depth >= least else (None, f"{one.depth} layers are too few")
            told.append((one.label if len(found) > 1 else "", verdict, text))
    return ffprobe.joint_claim(source, said, told)


def _points(gain):
    return "unknown" if gain != gain else f"{gain:+.2f} points"


class _Accuracies:
    """What one run file says, in percent."""

    def __init__(self, run, label):
        import numpy as np

        self.label, self.run = label, run
        self.layers = [str(name) for name in run.read("metrics/layer")]
        self.depth = len(self.layers)
        nothing = np.full(self.depth, np.nan)
        self.validation, self.test, self.row = nothing, nothing, None
        if run.complete and run.has("final/validation_accuracy"):
            self.validation = 100 * run.read("final/validation_accuracy").astype(float)
        if run.complete and run.has("final/test_accuracy"):
            self.test = 100 * run.read("final/test_accuracy").astype(float)
        if not np.isfinite(self.validation).any():
            measured = run.read("metrics/validation_accuracy").astype(float)
            finite = np.flatnonzero(np.isfinite(measured).any(axis=1))
            if len(finite):
                self.row = int(run.read("metrics/epoch")[finite[-1]])
                self.validation = 100 * measured[finite[-1]]
        self.tested = bool(np.isfinite(self.test).any())
        if not self.tested and not np.isfinite(self.validation).any():
            hint = "Let it go on until the first evaluation, or train with training.validation_fraction above 0."
            raise ffprobe.FileError("No accuracy has been measured in this run.", where=str(run.path), hint=hint)
        self.test_images = self._count("test/true_label")
        self.validation_images = self._count("evaluation/true_label")
        self._right = {part: self._read_right(part) for part in ("test", "validation")}

    def at(self, i):
        """Test accuracy, its error, validation accuracy, its error of layer ``i``; NaN beyond the last."""
        inside = i < self.depth
        return self._four(self.test[i] if inside else float("nan"), self.validation[i] if inside else float("nan"))

    def together(self, what):
        place = self.depth + TOGETHER.index(what)
        return self._four(*(_percent(self._right[part], place) for part in ("test", "validation")))

    def gain(self, before, after):
        """How much more accurate one row is than another, in points, and which way that is, if it can be said.

        On the test set where it was read, else on the validation set.
        """
        right = self._right["test"] if self._right["test"] is not None else self._right["validation"]
        if right is None:
            return float("nan"), None
        gain, error = ffprobe.accuracy_gain(right[before], right[after])
        return gain, ffprobe.direction(gain, error, flat=0.5)

    def notes(self):
        if not self.run.complete:
            yield f"the run is unfinished, {self.run.epochs} epochs are in the file."
        if self.row is not None:
            yield f"validation accuracy was last measured after epoch {self.row}."
        if not self.tested:
            yield "the test set has not been read."

    def to_dict(self):
        counts = {"test_images": self.test_images, "validation_images": self.validation_images}
        return {"label": self.label, "path": str(self.run.path), "complete": self.run.complete, **counts}

    def _four(self, test, validation):
        return test, _error(test, self.test_images), validation, _error(validation, self.validation_images)

    def _count(self, path):
        return self.run.variable(path).shape[0] if self.run.has(path) else 0

    def _read_right(self, part):
        """Whether each layer, then each of ``TOGETHER``, names the label of each image: 0 or 1, ``[rows, images]``.

        NaN where a layer that is read has no goodness, as the hidden layers of backpropagation have none.
        """
        import numpy as np

        group, known = ("test", self.tested) if part == "test" else ("evaluation", True)
        path = f"{group}/goodness"
        if not known or not self.run.has(path) or not self.run.variable(path).shape[0]:
            return None
        goodness = self.run.variable(path)
        goodness = goodness[...] if part == "test" else goodness[-1]  # [layer, sample, label]
        first = min(1, self.depth - 1)  # a single layer is never left out
        picked = (goodness[-1:], goodness[-3:], goodness[first:], goodness)  # as TOGETHER names them
        read = [*goodness, *(some.mean(axis=0, dtype=float) for some in picked)]
        truth = self.run.read(f"{group}/true_label")
        unread = np.full(len(truth), np.nan)
        return np.stack([one.argmax(axis=1) == truth if np.isfinite(one).all() else unread for one in read])


def _percent(right, row):
    return float("nan") if right is None else 100 * float(right[row].mean())


def _error(percent, count):
    """Binomial standard error in percent."""
    return (percent * (100 - percent) / count) ** 0.5 if count else float("nan")


@ffprobe.hookimpl
def ffprobe_components():
    return [Layers]
