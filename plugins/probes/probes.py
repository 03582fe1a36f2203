"""How much can a classifier still read from each layer? The paper's Figure 8."""

from pydantic import Field

import ffprobe

STAGES = ("pre", "post")
RECORD = "Train again with --set recording.activations=true, or with the plugin probes."


class Probes(ffprobe.Probe):
    """Held-out accuracy of a linear and of a multi-layer classifier on each layer's activations.

    Activations are recorded with the neutral label, before and after the normalizer that follows, of images that the
    network learned from (to fit on) and of validation images (to score on). The floors are the same classifiers on the
    untrained network and on the image itself. The paper fits for 100 epochs on all features and scores on the test set;
    here features are reduced to ``recording.units`` numbers, and the test set is not read.
    """

    name = "probes"
    source = "Trifecta (arXiv:2311.18130) Appendix E, Figure 8"
    needs = frozenset({"activations"})

    class Params(ffprobe.Params):
        """How the classifiers are fitted."""

        hidden: int = Field(64, ge=1, le=4096, description="units of the multi-layer classifier's hidden layer")
        repeats: int = Field(5, ge=1, le=100, description="fits of each linear classifier")
        mlp_repeats: int = Field(3, ge=1, le=100, description="fits of each multi-layer classifier")
        l2: float = Field(1.0, ge=0, description="penalty on the summed loss, l2 / 2 * ||W||^2")
        seed: int = Field(0, ge=0, lt=2**31, description="of the choice of images and of starting weights")

    def analyze(self, runs):
        labels = ffprobe.run_labels(runs)
        found = [_Recorded(run, label) for run, label in zip(runs, labels, strict=True)]
        rows = [row for one in found for row in one.rows(self.params)]
        settings = self.params

        def draw(figure):
            _draw(figure, rows, labels)

        return ffprobe.Result(
            name=self.name,
            question="How accurately can a linear and a multi-layer classifier name the class from each layer?",
            columns=_columns(several=len(runs) > 1),
            rows=rows if len(runs) > 1 else [row[1:] for row in rows],
            notes=[note for one in found for note in one.notes(len(runs) > 1)] + PAPER,
            document={"settings": settings.model_dump(), "runs": [one.document() for one in found]},
            draw=draw,
            size=(3.25, 4.4),
            runs=runs,
        )


PAPER = [
    "The ± is the standard deviation over fits on random 80 % of the images; the held-out images are the same for all.",
    "untrained is the floor: the same classifier on the same layer before training; input is the image itself.",
    "Features are z-scored, so a normalizer that only shifts and scales each unit (batchnorm, none) reads alike pre and"
    " post.",
    "The paper (CIFAR-10, VFF+SymBa/f, 100 epochs): what a multi-layer classifier reads falls quickly with depth under"
    " length normalization, slowly under batch normalization, least without any.",
]


def _columns(several):
    run = [ffprobe.Column("run", "", "what tells the run apart", key=True)] if several else []
    columns = [
        *run,
        ffprobe.Column("depth", "", "position of the layer, from 1; 0 is the input", key=True),
        ffprobe.Column("layer", "", "its name in the run file", key=True),
        ffprobe.Column("stage", "", "pre or post the normalizer", key=True),
    ]
    for name, text in (("linear", "linear classifier"), ("mlp", "multi-layer classifier")):
        for floor, when in (("", "after training"), ("untrained_", "before training")):
            columns += [
                ffprobe.Column(f"{floor}{name}", "%", f"held-out accuracy of the {text}, {when}", ".1f"),
                ffprobe.Column(f"{floor}{name}_sd", "%", "over fits", ".1f", spread_of=f"{floor}{name}"),
            ]
    return columns


class _Recorded:
    """The recorded activations of one run."""

    def __init__(self, run, label):
        if not run.has("activations/true_label"):
            raise ffprobe.FileError("No activations were recorded in this run.", where=str(run.path), do=RECORD)
        self.run, self.label = run, label
        self.truth, self.held = run.read("activations/true_label"), run.read("activations/held_out")
        self.layers = [str(name) for name in run.read("metrics/layer")]
        places = [(0, "input", "pre")]
        places += [(i, layer, stage) for i, layer in enumerate(self.layers, 1) for stage in STAGES]
        self.places = [place for place in places if run.has(_path(place))]
        self.epochs = {place: [int(e) for e in run.read(_path(place, "epoch"))] for place in self.places}
        layers = [epochs for place, epochs in self.epochs.items() if place[0]]
        if not layers or any(not epochs or epochs[-1] == 0 for epochs in layers):
            do = "Let the run go on until activations are recorded again, at its end at the latest."
            raise ffprobe.FileError(
                "Activations of the trained network are not in the file yet.", where=str(run.path), do=do
            )

    def rows(self, params):
        """(label, depth, layer, stage, linear, sd, untrained, sd, mlp, sd, untrained, sd), in percent."""
        import numpy as np

        wanted = [(place, -1) for place in self.places]
        wanted += [(place, 0) for place in self.places if place[0] and self.epochs[place][0] == 0]
        matrices = [_Row(self.run.variable(_path(place)), row) for place, row in wanted]
        names = [f"{_path(place)}, epoch {self.epochs[place][row]}, {self.run.path}" for place, row in wanted]
        common = {"seed": params.seed, "l2": params.l2, "names": names}
        linear = ffprobe.train_heads(matrices, self.truth, self.held, repeats=params.repeats, **common)
        mlp = ffprobe.train_heads(
            matrices, self.truth, self.held, repeats=params.mlp_repeats, hidden=params.hidden, **common
        )
        for place in self.places:
            values = []
            for accuracy in (linear, mlp):
                for row in (-1, 0):
                    key = (place, row)
                    fits = 100 * accuracy[wanted.index(key)] if key in wanted else np.array([np.nan])
                    values += [fits.mean(), fits.std(ddof=1) if len(fits) > 1 else np.nan]
            yield (self.label, *place, *values)

    def notes(self, several):
        of = f"{self.label}: " if several else ""
        held, chance = int((self.held != 0).sum()), 100 / len(set(self.truth.tolist()))
        last = max(epochs[-1] for epochs in self.epochs.values())
        yield (
            f"{of}fitted on {len(self.held) - held} training images, scored on {held} held-out ones,"
            f" after epoch {last}; chance is {chance:.0f} %, and an accuracy of 90 % has a standard error of"
            f" {30 / held**0.5:.1f} %."
        )
        if any(epochs[0] != 0 for place, epochs in self.epochs.items() if place[0]):
            yield f"{of}the untrained network was not recorded, so there is no floor."

    def document(self):
        held = int((self.held != 0).sum())
        epoch = max(epochs[-1] for epochs in self.epochs.values())
        counts = {"fit_images": len(self.held) - held, "held_out_images": held, "epoch": epoch}
        return {"label": self.label, "path": str(self.run.path), **counts}


class _Row:
    """One epoch of a recorded array, read when it is asked for."""

    def __init__(self, variable, row):
        self._variable, self._row, self.shape = variable, row, tuple(variable.shape[1:])

    def __array__(self, dtype=None, copy=None):
        return self._variable[self._row].astype(dtype or "float32", copy=False)


def _path(place, name="activation"):
    return f"activations/{place[1]}/{place[2]}/{name}"


def _draw(figure, rows, labels):
    """Two panels, linear above multi-layer; a colour for each run, filled before and hollow after the normalizer."""
    from matplotlib.lines import Line2D

    top, bottom = figure.subplots(2, 1, sharex=True)
    for axes, column, title in ((top, 4, "linear classifier"), (bottom, 8, "multi-layer classifier")):
        series = []
        for i, label in enumerate(labels):
            for stage, look in zip(STAGES, ("line", "second"), strict=True):
                own = [row for row in rows if row[0] == label and row[1] and row[3] == stage]
                x, y, sd, floor = ([row[k] for row in own] for k in (1, column, column + 1, column + 2))
                named = label if stage == "pre" and (axes is top or len(labels) <= 6) else ""
                series.append({"label": named, "x": x, "y": y, "error": sd, "colour": i, "look": look})
                if stage == "pre":
                    series.append({"label": "", "x": x, "y": floor, "colour": i, "look": "floor"})
        for level in {row[column] for row in rows if row[1] == 0}:
            axes.axhline(level, **RAW)
        ffprobe.line_by_layer(axes, series, ylabel=f"{title} (%)")
        axes.label_outer()
    grey = {"color": "0.35", "linewidth": 1, "markersize": 3.6}
    key = {
        "before the normalizer": Line2D([], [], marker="o", **grey),
        "after the normalizer": Line2D([], [], marker="o", markerfacecolor="white", linestyle=(0, (3, 1.5)), **grey),
        "before, untrained": Line2D([], [], linestyle=(0, (1, 1.5)), **grey),
        "raw input": Line2D([], [], **RAW),
    }
    figure.legend(key.values(), key.keys(), loc="outside lower center", ncols=2)


RAW = {"color": "0.45", "linewidth": 0.8, "linestyle": (0, (6, 2)), "zorder": 1}


@ffprobe.hookimpl
def ffprobe_components():
    return [Probes]
