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
            notes=[note for one in found for note in one.notes(len(found) > 1)] + PAPER,
            document={"runs": [one.document() for one in found], "plotted": part},
            draw=draw,
            runs=runs,
        )


PAPER = [
    "The last rows average the goodness of several layers and name the label with the largest mean (the paper's"
    " Table 3: last layer against last three).",
    "The paper (CIFAR-10, TFF/s): accuracy falls with depth in plain Forward-Forward (Figure 4) and under length"
    " normalization with SymBa, and rises with every layer under batch normalization (Figure 1).",
]


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
            do = "Let it go on until the first evaluation, or train with training.validation above 0."
            raise ffprobe.FileError("No accuracy has been measured in this run.", where=str(run.path), do=do)
        self.test_images = self._count("test/true_label")
        self.validation_images = self._count("evaluation/true_label")
        self._means = {part: self._read_together(part) for part in ("test", "validation")}

    def at(self, i):
        """Test accuracy, its error, validation accuracy, its error of layer ``i``; NaN beyond the last."""
        inside = i < self.depth
        return self._four(self.test[i] if inside else float("nan"), self.validation[i] if inside else float("nan"))

    def together(self, what):
        return self._four(self._means["test"][what], self._means["validation"][what])

    def notes(self, several):
        of = f"{self.label}: " if several else ""
        if not self.run.complete:
            yield f"{of}the run is unfinished, {self.run.epochs} epochs are in the file."
        if self.row is not None:
            yield f"{of}validation accuracy was last measured after epoch {self.row}."
        if not self.tested:
            yield f"{of}the test set has not been read."

    def document(self):
        counts = {"test_images": self.test_images, "validation_images": self.validation_images}
        return {"label": self.label, "path": str(self.run.path), "complete": self.run.complete, **counts}

    def _four(self, test, validation):
        return test, _error(test, self.test_images), validation, _error(validation, self.validation_images)

    def _count(self, path):
        return self.run.variable(path).shape[0] if self.run.has(path) else 0

    def _read_together(self, part):
        """Accuracy of the mean goodness of several layers."""
        group, known = ("test", self.tested) if part == "test" else ("evaluation", True)
        path = f"{group}/goodness"
        if not known or not self.run.has(path) or not self.run.variable(path).shape[0]:
            return dict.fromkeys(TOGETHER, float("nan"))
        goodness = self.run.variable(path)
        goodness = goodness[...] if part == "test" else goodness[-1]  # [layer, sample, label]
        truth = self.run.read(f"{group}/true_label")
        picked = {"last": goodness[-1:], "last 3": goodness[-3:], "all but first": goodness[1:], "all": goodness}
        return {what: _accuracy(some, truth) for what, some in picked.items()}


def _accuracy(goodness, truth):
    """Percent of samples whose true label has the largest mean goodness; NaN where that is not known."""
    import numpy as np

    if not goodness.size or not np.isfinite(goodness).all():
        return float("nan")
    return 100 * float((goodness.mean(axis=0, dtype=float).argmax(axis=1) == truth).mean())


def _error(percent, count):
    """Binomial standard error in percent."""
    return (percent * (100 - percent) / count) ** 0.5 if count else float("nan")


@ffprobe.hookimpl
def ffprobe_components():
    return [Layers]
