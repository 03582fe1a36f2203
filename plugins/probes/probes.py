"""How much can a classifier still read from each layer? The paper's Figure 8."""

from pydantic import Field

import ffprobe

STAGES = ("pre", "post")
LENGTH = ("length", "layernorm", "rms")
"""The normalizers that the paper calls layer normalization (its own takes the mean's place by 0)."""
LEAST_LAYERS, VISIBLE = 3, 1.0
"""A fall with depth is looked for in so many layers or more; it counts from so many percentage points."""


class Probes(ffprobe.Probe):
    """Held-out accuracy of a linear and of a multi-layer classifier on each layer's activations.

    Activations are recorded with the neutral label, before and after the normalizer that follows, of images that the
    network learned from (to fit on) and of validation images (to score on). The floors are the same classifiers on the
    untrained network and on the image itself. The paper fits for 100 epochs on all features and scores on the test set;
    here features are reduced to ``recording.max_features`` numbers, and the test set is not read.
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
            notes=[note for one in found for note in one.notes(len(runs) > 1)] + NOTES,
            claims=[told for told in (_fall(found, rows), _order(found, rows)) if told],
            extra={"settings": settings.model_dump(), "runs": [one.to_dict() for one in found]},
            draw=draw,
            size=(3.25, 4.4),
            runs=runs,
        )


NOTES = [
    "The ± is the standard deviation over fits on random 80 % of the images; the held-out images are the same for all.",
    "untrained is the floor: the same classifier on the same layer before training; input is the image itself.",
    "Features are z-scored, so a normalizer that only shifts and scales each unit (batchnorm, none) reads alike pre and"
    " post.",
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
        self.recorded, self.run, self.label = ffprobe.RecordedActivations(run), run, label
        self.images = int(self.recorded.held.sum())
        self.normalizer, self.rule = (ffprobe.run_components(run).get(slot) for slot in ("normalizer", "rule"))

    def rows(self, params):
        """(label, depth, layer, stage, linear, sd, untrained, sd, mlp, sd, untrained, sd), in percent."""
        import numpy as np

        recorded = self.recorded
        wanted = [(place, -1) for place in recorded.places]
        wanted += [(place, 0) for place in recorded.places if recorded.untrained(place)]
        matrices = [recorded.matrix(*one) for one in wanted]
        common = {"seed": params.seed, "l2": params.l2, "names": [matrix.name for matrix in matrices]}
        common |= {"labels": recorded.truth, "held_out": recorded.held}
        linear = ffprobe.train_heads(matrices, repeats=params.repeats, **common)
        mlp = ffprobe.train_heads(matrices, repeats=params.mlp_repeats, hidden=params.hidden, **common)
        for place in recorded.places:
            values = []
            for accuracy in (linear, mlp):
                for row in (-1, 0):
                    key = (place, row)
                    fits = 100 * accuracy[wanted.index(key)] if key in wanted else np.array([np.nan])
                    values += [fits.mean(), fits.std(ddof=1) if len(fits) > 1 else np.nan]
            yield (self.label, *place, *values)

    def notes(self, several):
        of, recorded = f"{self.label}: " if several else "", self.recorded
        chance = 100 / len(set(recorded.truth.tolist()))
        yield (
            f"{of}fitted on {len(recorded.held) - self.images} training images, scored on {self.images} held-out ones,"
            f" after epoch {recorded.last_epoch}; chance is {chance:.0f} %, and an accuracy of 90 % has a standard"
            f" error of {30 / self.images**0.5:.1f} %."
        )
        if not all(recorded.untrained(place) for place in recorded.places if place.depth):
            yield f"{of}the untrained network was not recorded, so there is no floor."

    def to_dict(self):
        counts = {"fit_images": len(self.recorded.held) - self.images, "held_out_images": self.images}
        return {"label": self.label, "path": str(self.run.path), **counts, "epoch": self.recorded.last_epoch}

    def fall(self, rows):
        """By how many points the multi-layer classifier falls from the first layer to the last, and its error.

        The error is that of two independent accuracies (Agresti and Coull); of the same images it is smaller, so this
        errs to the safe side.
        """
        own = [row[8] for row in rows if row[0] == self.label and row[1] and row[3] == "pre"]
        if len(own) < LEAST_LAYERS:
            return None
        n, variance = self.images, 0.0
        for accuracy in (own[0], own[-1]):
            share = (accuracy / 100 * n + 2) / (n + 4)
            variance += 1e4 * share * (1 - share) / n
        return own[0] - own[-1], variance**0.5, own[0], own[-1]


def _fall(found, rows):
    """Figure 8: the fall under layer normalization."""
    told = []
    for one in found:
        if one.normalizer not in LENGTH or one.rule != "forward-forward":
            continue
        label, fall = one.label if len(found) > 1 else "", one.fall(rows)
        if fall is None:
            told.append((label, None, f"fewer than {LEAST_LAYERS} layers"))
            continue
        points, error, first, last = fall
        agrees = True if points > max(2 * error, VISIBLE) else None
        agrees = False if points + 2 * error < VISIBLE else agrees
        text = (
            f"{first:.1f} % at the first layer, {last:.1f} % at the last, a fall of {points:.1f} ± {error:.1f} points"
        )
        told.append((label, agrees, f"{text} ({one.normalizer})"))
    said = (
        "what a multi-layer classifier reads falls quickly with depth under layer normalization (CIFAR-10, VFF+SymBa/f,"
        " 100 epochs)."
    )
    return ffprobe.joint_claim("Trifecta, Figure 8", said, told)


def _order(found, rows):
    """Figure 8: which normalizer costs least, of runs that differ in nothing else."""
    families = {"none": ("none",), "batchnorm": ("batchnorm",), "layer normalization": LENGTH}
    falls = {
        name: [
            fall
            for one in found
            if one.rule == "forward-forward" and one.normalizer in family and (fall := one.fall(rows))
        ]
        for name, family in families.items()
    }
    falls = {name: values for name, values in falls.items() if values}
    if len(falls) < 2:
        return None
    means = {name: sum(fall[0] for fall in values) / len(values) for name, values in falls.items()}
    errors = {name: sum(fall[1] ** 2 for fall in values) ** 0.5 / len(values) for name, values in falls.items()}
    verdicts = []
    for a, b in zip(list(means), list(means)[1:], strict=False):
        more, error = means[b] - means[a], (errors[a] ** 2 + errors[b] ** 2) ** 0.5
        verdicts.append(True if more > 2 * error else False if more < -2 * error else None)
    agrees = False if False in verdicts else None if None in verdicts else True
    here = "from the first layer to the last it falls by " + ", ".join(
        f"{means[name]:.1f} ± {errors[name]:.1f} points with {name}" for name in means
    )
    others = [{k: v for k, v in ffprobe.run_components(one.run).items() if k != "normalizer"} for one in found]
    if any(other != others[0] for other in others):
        agrees, here = None, f"{here}; the runs differ in more than the normalizer"
    said = (
        "it falls least without a normalizer, more with batch normalization, most with layer normalization (as above)."
    )
    return ffprobe.Claim("Trifecta, Figure 8", said, f"{here}.", agrees)


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
