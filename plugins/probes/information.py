"""How much does each layer keep of the label, in bits? Bounds of mutual information."""

from pydantic import Field

import ffprobe

STAGES = ("pre", "post")
LENGTH = ("length", "layernorm", "rms")
LEAST_LAYERS = 3


class Information(ffprobe.Probe):
    """Lower bounds of the mutual information between each layer's activations and the label, in bits.

    The bound is the label's entropy less the cross-entropy of a classifier on held-out images (Barber and Agakov): the
    truth is larger on average, by how much is not known. The classifiers are those of ``probes``, calibrated on images
    that they were not fitted on, their probabilities averaged over fits. Beside it stands the information in the name
    alone that the classifier gives, from its confusion matrix. Activations are reduced before they are recorded, and a
    bound of the reduced ones bounds the whole ones too.
    """

    name = "information"
    source = "Barber and Agakov 2003; Trifecta (arXiv:2311.18130) Appendix E argues with it and measures accuracy"
    needs = frozenset({"activations"})

    class Params(ffprobe.Params):
        """How the classifiers are fitted."""

        hidden: int = Field(64, ge=1, le=4096, description="units of the multi-layer classifier's hidden layer")
        repeats: int = Field(5, ge=1, le=100, description="fits of each linear classifier, averaged")
        mlp_repeats: int = Field(3, ge=1, le=100, description="fits of each multi-layer classifier, averaged")
        l2: float = Field(1.0, ge=0, description="penalty on the summed loss, l2 / 2 * ||W||^2")
        seed: int = Field(0, ge=0, lt=2**31, description="of the choice of images, starting weights and bootstrap")
        resamples: int = Field(1000, ge=100, le=100_000, description="of the bootstrap of the confusion matrix")

    def analyze(self, runs):
        labels = ffprobe.run_labels(runs)
        found = [_Estimated(run, label, self.params) for run, label in zip(runs, labels, strict=True)]
        rows, several = [row for one in found for row in one.rows], len(runs) > 1
        most = max(one.entropy for one in found)

        def draw(figure):
            _draw(figure, rows, labels, most)

        return ffprobe.Result(
            name=self.name,
            question="At least how many bits about the label can be read from each layer?",
            columns=_columns(several),
            rows=rows if several else [row[1:] for row in rows],
            notes=ffprobe.joint_notes([(one.label, one.notes()) for one in found]) + NOTES,
            claims=[claim for claim in (_loss(found, several),) if claim],
            extra={"settings": self.params.model_dump(), "runs": [one.to_dict() for one in found]},
            draw=draw,
            size=(3.25, 4.4),
            runs=runs,
        )


NOTES = [
    "linear and mlp are lower bounds on average (± one standard error over held-out images): a layer may hold more than"
    " these classifiers, fitted on so few images, can read.",
    "named is the information in the classifier's answer alone, Miller and Madow's correction applied, with a 95 %"
    " bootstrap interval; plug_in is the uncorrected estimate.",
]


def _columns(several):
    keys = [("run", "what tells the run apart")] if several else []
    keys += [
        ("depth", "position of the layer, from 1; 0 is the input"),
        ("layer", "its name in the run file"),
        ("stage", "pre or post the normalizer"),
    ]
    columns = [ffprobe.Column(name, "", text, key=True) for name, text in keys]
    for head, what in (("linear", "linear classifier"), ("mlp", "multi-layer classifier")):
        columns += [
            ffprobe.Column(head, "bit", f"lower bound of I(h; y) by the {what}, after training", ".2f"),
            ffprobe.Column(f"{head}_se", "bit", "over held-out images", ".2f", spread_of=head),
            ffprobe.Column(f"untrained_{head}", "bit", f"lower bound by the {what}, before training", ".2f"),
            ffprobe.Column(f"{head}_named", "bit", f"I(name; y) of the {what}, Miller-Madow", ".2f"),
            ffprobe.Column(f"{head}_named_low", "bit", "lower end of its 95 % bootstrap interval", ".2f"),
            ffprobe.Column(f"{head}_named_high", "bit", "upper end", ".2f"),
            ffprobe.Column(f"{head}_named_plug_in", "bit", f"I(name; y) of the {what}, not corrected", ".2f"),
        ]
    return columns


class _Estimated:
    """What the classifiers say about one run."""

    def __init__(self, run, label, params):
        import numpy as np

        self.run, self.label, self.recorded = run, label, ffprobe.RecordedActivations(run)
        recorded, self.params = self.recorded, params
        self.classes = np.unique(recorded.truth[~recorded.held])
        held = recorded.truth[recorded.held]
        unseen = sorted(set(held.tolist()) - set(self.classes.tolist()))
        if unseen:
            what = f"Class {unseen[0]} is among the held-out images and not among those to fit on."
            hint = "Record more images: --set recording.samples=..."
            raise ffprobe.FileError(what, where=str(run.path), hint=hint)
        self.truth = np.searchsorted(self.classes, held)
        share = np.bincount(self.truth) / max(1, len(self.truth))
        self.entropy = float(-(share[share > 0] * np.log2(share[share > 0])).sum())
        self.rows = list(self._rows())

    def _rows(self):
        """(label, depth, layer, stage, then as the columns)."""
        recorded, params = self.recorded, self.params
        wanted = [(place, -1) for place in recorded.places]
        wanted += [(place, 0) for place in recorded.places if recorded.untrained(place)]
        matrices = [recorded.matrix(*one) for one in wanted]
        common = {"seed": params.seed, "l2": params.l2, "names": [matrix.name for matrix in matrices]}
        common |= {"labels": recorded.truth, "held_out": recorded.held}
        told = {}
        for head, how in (
            ("linear", {"repeats": params.repeats}),
            ("mlp", {"repeats": params.mlp_repeats, "hidden": params.hidden}),
        ):
            for i, log_q in ffprobe.head_log_probabilities(matrices, **how, **common):
                told[head, wanted[i]] = self._estimate(log_q)
        nothing = [float("nan")] * 6
        for place in recorded.places:
            values = []
            for head in ("linear", "mlp"):
                bits, error, *named = told[head, (place, -1)]
                values += [bits, error, told.get((head, (place, 0)), nothing)[0], *named]
            yield (self.label, *place, *values)

    def _estimate(self, log_q):
        """(bound, its error, Miller-Madow, low, high, plug-in) from ``[repeats, images, classes]``."""
        import numpy as np
        from scipy.special import logsumexp

        mean = logsumexp(log_q, axis=0) - np.log(len(log_q))
        bound = ffprobe.label_information_bound(mean, self.truth)
        counts = np.zeros((len(self.classes),) * 2, int)
        np.add.at(counts, (self.truth, mean.argmax(axis=1)), 1)
        named = ffprobe.confusion_information(counts, resamples=self.params.resamples, seed=self.params.seed)
        return bound.bits, bound.high - bound.bits, named.miller_madow, named.low, named.high, named.plug_in

    def notes(self):
        held, fit = len(self.truth), len(self.recorded.truth) - len(self.truth)
        yield (
            f"{fit} images to fit on, {held} held out, after epoch {self.recorded.last_epoch}; the label has"
            f" {self.entropy:.2f} bits, the most that can be read."
        )
        if any(v < 0 for row in self.rows for v in row[4:] if v == v):
            yield "An estimate below 0 is noise, or a classifier that knows less than how frequent the classes are."
        if not all(self.recorded.untrained(place) for place in self.recorded.places if place.depth):
            yield "The untrained network was not recorded, so there is no floor."

    def to_dict(self):
        counts = {"held_out_images": len(self.truth), "label_entropy_bits": self.entropy}
        return {"label": self.label, "path": str(self.run.path), **counts, "epoch": self.recorded.last_epoch}


def _loss(found, several):
    """Trifecta, Appendix E: layer normalization loses information with depth."""
    told = []
    for one in found:
        components = ffprobe.run_components(one.run)
        if components.get("normalizer") not in LENGTH or components.get("rule") != "forward-forward":
            continue
        label = one.label if several else ""
        own = [row[11:13] for row in one.rows if row[1] and row[3] == "pre"]
        if len(own) < LEAST_LAYERS:
            told.append((label, None, f"fewer than {LEAST_LAYERS} layers"))
            continue
        (first, a), (last, b) = own[0], own[-1]
        error = (a**2 + b**2) ** 0.5
        agrees = True if first - last > 2 * error else False if last - first > 2 * error else None
        text = f"at least {first:.2f} ± {a:.2f} bits at the first layer, {last:.2f} ± {b:.2f} at the last"
        told.append((label, agrees, f"{text} ({components['normalizer']}, multi-layer classifier)"))
    said = (
        "under layer normalization layers lose information with depth (argued from mutual information, measured as the"
        " accuracy of a multi-layer classifier: CIFAR-10, VFF+SymBa/f)."
    )
    return ffprobe.joint_claim("Trifecta, Appendix E", said, told)


def _draw(figure, rows, labels, most):
    """Two panels, linear above multi-layer; a colour for each run, filled before and hollow after the normalizer."""
    from matplotlib.lines import Line2D

    top, bottom = figure.subplots(2, 1, sharex=True)
    for axes, column, title in ((top, 4, "linear"), (bottom, 11, "multi-layer")):
        series = []
        for i, label in enumerate(labels):
            for stage, look in zip(STAGES, ("line", "second"), strict=True):
                own = [row for row in rows if row[0] == label and row[1] and row[3] == stage]
                x, y, error, floor = ([row[k] for row in own] for k in (1, column, column + 1, column + 2))
                named = label if stage == "pre" and (axes is top or len(labels) <= 6) else ""
                series.append({"label": named, "x": x, "y": y, "error": error, "colour": i, "look": look})
                if stage == "pre":
                    series.append({"label": "", "x": x, "y": floor, "colour": i, "look": "floor"})
        for level in {row[column] for row in rows if row[1] == 0}:
            axes.axhline(level, **RAW)
        axes.axhline(most, **MOST)
        ffprobe.line_by_layer(axes, series, ylabel=f"I(h; y) by {title} (bit)")
        axes.label_outer()
    grey = {"color": "0.35", "linewidth": 1, "markersize": 3.6}
    key = {
        "before the normalizer": Line2D([], [], marker="o", **grey),
        "after the normalizer": Line2D([], [], marker="o", markerfacecolor="white", linestyle=(0, (3, 1.5)), **grey),
        "before, untrained": Line2D([], [], linestyle=(0, (1, 1.5)), **grey),
        "raw input": Line2D([], [], **RAW),
        "entropy of the label": Line2D([], [], **MOST),
    }
    figure.legend(key.values(), key.keys(), loc="outside lower center", ncols=2)


RAW = {"color": "0.45", "linewidth": 0.8, "linestyle": (0, (6, 2)), "zorder": 1}
MOST = {"color": "0.2", "linewidth": 0.8, "linestyle": "-", "zorder": 1}


@ffprobe.hookimpl
def ffprobe_components():
    return [Information]
