"""How do accuracy and separation of each layer grow while a run trains? The paper's Figure 3."""

import ffprobe


class Curves(ffprobe.Probe):
    """Accuracy of each layer's goodness alone, and its separation of true from wrong labels, over epochs.

    Separation is goodness under the true label minus goodness under a wrong one (App. A), in units of goodness: on
    training batches against the negatives drawn, mean over the epoch's steps (what the paper plots); on validation
    images against the mean over all wrong labels, and against the wrong label with the most goodness, which is what a
    prediction is up against. Test accuracy is there only of runs with ``training.test=every``.
    """

    name = "curves"
    source = "Trifecta (arXiv:2311.18130) Section 7, Figure 3"

    def analyze(self, runs):
        labels = ffprobe.run_labels(runs)
        found = [_Course(run, label) for run, label in zip(runs, labels, strict=True)]
        several = len(runs) > 1
        rows = [row for one in found for row in one.rows()]

        def draw(figure):
            _draw(figure, found)

        return ffprobe.Result(
            name=self.name,
            question="How do accuracy and separation of each layer grow over the epochs?",
            columns=_columns(several),
            rows=rows if several else [row[1:] for row in rows],
            notes=ffprobe.joint_notes([(one.label, one.notes()) for one in found]),
            claims=[claim for claim in _claims(found) if claim],
            extra={"runs": [one.to_dict() for one in found]},
            draw=draw,
            size=(5.5, 0.5 + 1.8 * len(runs)),
            runs=runs,
        )


def _columns(several):
    accuracy = [
        (part, "%", f"{part} accuracy from this layer's goodness alone", ".2f") for part in ("validation", "test")
    ]
    gap = "goodness under the true label minus "
    separation = [
        ("separation", "1", f"{gap}that of the negatives drawn, training batches, mean over the epoch", "#.3g"),
        ("separation_mean", "1", f"{gap}the mean over all wrong labels, validation", "#.3g"),
        ("separation_hardest", "1", f"{gap}the largest of all wrong labels, validation", "#.3g"),
    ]
    run = [ffprobe.Column("run", "", "what tells the run apart", key=True)] if several else []
    keys = [
        ffprobe.Column("epoch", "epoch", "epochs done", key=True),
        ffprobe.Column("depth", "", "position of the layer, from 1", key=True),
        ffprobe.Column("layer", "", "its name in the run file", key=True),
    ]
    return [*run, *keys, *(ffprobe.Column(*column) for column in (*accuracy, *separation))]


class _Course:
    """What one run file says of every epoch; each array is ``[epochs, layers]``."""

    def __init__(self, run, label):
        import numpy as np

        self.run, self.label = run, label
        self.layers = [str(name) for name in run.read("metrics/layer")]
        self.epochs = [int(epoch) for epoch in run.read("metrics/epoch")]
        if not self.epochs:
            hint = "Let it go on until its first epoch is done."
            raise ffprobe.FileError("No epoch is in the file yet.", where=str(run.path), hint=hint)
        self.validation = 100 * run.read("metrics/validation_accuracy").astype(float)
        self.test = 100 * run.read("metrics/test_accuracy").astype(float)
        self.separation = run.read("metrics/goodness_positive").astype(float) - run.read("metrics/goodness_negative")
        self.mean, self.hardest = np.full_like(self.validation, np.nan), np.full_like(self.validation, np.nan)
        self.evaluated = []
        self.leads = {}  # after each evaluation: of each image, whether the last layer is right minus the middle one
        if run.has("evaluation/goodness"):
            truth, goodness = run.read("evaluation/true_label"), run.variable("evaluation/goodness")
            for i, epoch in enumerate(int(epoch) for epoch in run.read("evaluation/epoch")):
                one = goodness[i]  # one evaluation at a time: they may be large
                true, wrong = ffprobe.true_and_wrong(one, truth)
                row = self.epochs.index(epoch)
                self.mean[row] = (true - wrong.mean(axis=-1)).mean(axis=-1)
                self.hardest[row] = (true - wrong.max(axis=-1)).mean(axis=-1)
                self.evaluated.append(epoch)
                pair = one[[self.middle - 1, -1]]
                if np.isfinite(pair).all():
                    middle, last = pair.argmax(axis=2) == truth
                    self.leads[epoch] = last.astype(int) - middle

    @property
    def tested(self):
        """Whether test accuracy was measured at every evaluation."""
        return bool((self.test == self.test).any())

    @property
    def trained(self):
        """Whether positives and negatives were told apart while training; a loss over classes does not."""
        return bool((self.separation == self.separation).any())

    @property
    def middle(self):
        """The layer that the last one is held against, from 1; layer 6 of 12."""
        return max(1, len(self.layers) // 2)

    def lead(self):
        """Whether the last layer's lead over the middle one grew after 40 % of the epochs; None, and why, if unsaid."""
        if len(self.layers) < 4 or len(self.leads) < 3:
            return None, f"{len(self.layers)} layers and {len(self.leads)} evaluations are too few"
        early = min(self.leads, key=lambda epoch: abs(epoch - 0.4 * self.epochs[-1]))
        late = max(self.leads)
        grown = ffprobe.direction(*ffprobe.accuracy_gain(self.leads[early], self.leads[late]))
        points = [f"{100 * self.leads[epoch].mean():+.2f} points after {epoch} epochs" for epoch in (early, late)]
        return (
            None if grown is None else grown == 1,
            f"layer {len(self.layers)} over {self.middle}: {', '.join(points)}",
        )

    def rows(self):
        for row, epoch in enumerate(self.epochs):
            for i, layer in enumerate(self.layers):
                values = (self.validation, self.test, self.separation, self.mean, self.hardest)
                yield (self.label, epoch, i + 1, layer, *(array[row, i] for array in values))

    def notes(self):
        if not self.run.complete:
            yield f"the run is unfinished, {len(self.epochs)} epochs are in the file."
        if len(self.evaluated) < len(self.epochs):
            yield f"evaluated after {len(self.evaluated)} of {len(self.epochs)} epochs, empty in between."
        if not self.tested:
            yield "test accuracy over epochs is recorded with --set training.test=every."
        if not self.trained:
            yield "no goodness of positives and negatives was measured in training; the figure shows validation."
        lost = [str(i + 1) for i in range(len(self.layers)) if self.trained and _empty(self.separation[:, i])]
        if lost:
            yield f"no loss ever sat on layer {', '.join(lost)}: no separation on training batches."

    def to_dict(self):
        path, parts = str(self.run.path), {"evaluated": self.evaluated, "test": self.tested}
        return {"label": self.label, "path": path, "complete": self.run.complete, **parts}


def _empty(values):
    return not (values == values).any()


def _claims(found):
    """What the paper says of its deep network, for runs with the same loss, normalizer and scheduler."""
    setting = {"loss": {"symba"}, "normalizer": {"batchnorm"}, "scheduler": {"olu"}}
    told = [(one.label if len(found) > 1 else "", *one.lead()) for one in found if ffprobe.in_setting(one.run, setting)]
    yield ffprobe.joint_claim(
        "Trifecta, Section 7",
        "the lead of layer 12 over layer 6 grows from 2.6 points after 200 epochs to 3.7 after 500 (TFF/d, CIFAR-10,"
        " the learning rate was halved after 200).",
        told,
    )


def _draw(figure, found):
    """Accuracy left, separation right, as in the paper; a row of panels for each run."""
    grid, panels = figure.subplots(len(found), 2, squeeze=False, sharex="row"), []
    for one, (left, right) in zip(found, grid, strict=True):
        left.sharey(grid[0, 0])  # accuracies of runs compare; separations have the scale of each run's goodness
        part, accuracy = ("test", one.test) if one.tested else ("validation", one.validation)
        separation = one.separation if one.trained else one.mean
        where = "" if one.trained else "validation "
        panels.append({"axes": left, "x": one.epochs, "y": accuracy, "ylabel": f"{part} accuracy (%)"})
        panels.append({"axes": right, "x": one.epochs, "y": separation, "ylabel": f"{where}separation"})
        if len(found) > 1:
            left.set_title(one.label, loc="left")
    ffprobe.lines_by_depth(figure, panels)


@ffprobe.hookimpl
def ffprobe_components():
    return [Curves]
