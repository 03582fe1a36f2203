"""Does separation grow by learning, or by scaling the weights up? The paper's Appendix D."""

from pydantic import Field

import ffprobe

RECORD = "Train again with --plugin scaling."
HALF = 0.5


class Scaling(ffprobe.Probe):
    """How much of each layer's separation remains when its weights are scaled back to their initial norm.

    In rehearsals, every so many steps, the first images of the epoch's last batch pass the network twice, as positives
    and negatives in one batch and in training mode, so that batch normalization uses the batch's own statistics: with
    the weights as they are, and with the weight and the bias of every layer's convolution or linear map (of any other
    module the largest parameter) times initial norm / norm of the weight. A normalizer's own scale stays as learned.

    The separation is the mean goodness of positives less that of negatives; in form ``class``, of the true label less
    the mean of the wrong ones. Behind a normalizer that takes scale away, and with a goodness of squares, the share
    that remains is (initial norm / norm)^2.
    """

    name = "scaling"
    source = "Trifecta (arXiv:2311.18130) Appendix D, Figures 5 and 6"

    class Params(ffprobe.Params):
        """How often, and on how many images."""

        sandbox_every: int = Field(500, ge=1, description="minimum steps between two sandboxes; one runs at the end")
        images: int = Field(128, ge=2, description="of the batch, at most")

    def __init__(self, params=None):
        super().__init__(params)
        self._norms = None

    def state_dict(self):
        return {"norms": self._norms}

    def load_state_dict(self, state):
        self._norms = state["norms"]

    def variables(self, run):
        names = tuple(layer.name for layer in run.layers)
        dims = (
            ffprobe.Dimension("row", None, long_name="rehearsal"),
            ffprobe.Dimension("layer", len(names), "str", names, long_name="layer, first to last"),
        )
        wide, variable = ("row", "layer"), ffprobe.Variable
        return [
            variable("step", ("row",), "i8", "step", "optimizer steps done", dimensions=dims),
            variable("separation", wide, long_name="separation with the weights as they are", dimensions=dims),
            variable("rescaled", wide, long_name="separation at the weights' initial norms", dimensions=dims),
            variable("factor", wide, long_name="initial norm of the weight over its norm", dimensions=dims),
        ]

    @ffprobe.hookimpl
    def ffprobe_before_run(self, context):
        if self._norms is None:  # a resumed run brings them along
            weights = [context.network.layer(i).weight for i in range(len(context.layers))]
            self._norms = [None if w is None else float(w.detach().norm()) for w in weights]

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context):
        if context.due(self.params.sandbox_every):
            images, labels = context.images[: self.params.images], context.labels[: self.params.images]
            context.record("step", context.step)
            for name, value in _measure(context.run, images, labels, self._norms).items():
                context.record(name, value)

    def analyze(self, runs):
        labels = ffprobe.run_labels(runs)
        found = [_Recorded(run, label) for run, label in zip(runs, labels, strict=True)]
        several = len(runs) > 1
        rows = [row for one in found for row in one.rows()]
        return ffprobe.Result(
            name=self.name,
            question="Does separation grow by learning, or by scaling the weights up?",
            columns=_columns(several),
            rows=rows if several else [row[1:] for row in rows],
            notes=[note for one in found for note in one.notes(several)] + NOTES,
            claims=[claim for one in found for claim in one.claims(several)],
            extra={"runs": [one.to_dict() for one in found]},
            draw=lambda figure: _draw(figure, found),
            size=(3.25, 5.0),
            runs=runs,
        )


NOTES = [
    "share: separation with every layer's weight scaled back to its initial norm, over the separation as it is. A layer"
    " counts as learning where more than half remains.",
    "goodness_max: largest goodness of any image with any label.",
]


def _columns(several):
    column = ffprobe.Column
    return [
        *([column("run", "", "what tells the run apart", key=True)] if several else []),
        column("depth", "", "position of the layer, from 1", key=True),
        column("separation", "1", "goodness of positives less negatives on one batch at the last rehearsal", ".3f"),
        column("share", "1", "of it that remains at the weights' initial norms", ".2f"),
        column("norm_growth", "1", "norm of the weight over its initial norm", ".2f"),
        column("weight_first", "1", "largest absolute weight before the first step", ".3f"),
        column("weight_last", "1", "the same after the last epoch", ".3f"),
        column("positive_first", "1", "mean goodness of positives in the first epoch", ".3f"),
        column("positive_last", "1", "the same in the last epoch", ".3f"),
        column("negative_last", "1", "mean goodness of negatives in the last epoch", ".3f"),
        column("goodness_max", "1", "largest goodness on the test set, else on the validation set", ".3g"),
    ]


def _measure(run, images, labels, norms):
    """Separations and factors, each ``[layer]``."""
    import torch

    with run.sandbox() as copy, torch.no_grad():
        network, setup = copy.network, copy.setup
        wrong = None
        if network.form == "pair":
            given = None
            if setup.negatives.needs_goodness:
                given = ffprobe.last_layer_goodness(network, images, setup.autocast)
            wrong = setup.negatives(images, labels, setup.classes, setup.generator, given)
        actual = _separation(copy, images, labels, wrong)
        factors = torch.full((network.depth,), torch.nan)
        for index, norm in enumerate(norms):
            layer = network.layer(index)
            weight = layer.weight
            now = 0.0 if weight is None else float(weight.norm())
            if norm is None or now == 0:
                continue
            factors[index] = norm / now
            weight.mul_(norm / now)
            bias = getattr(getattr(layer, layer.spec.kind), "bias", None) if layer.spec.kind != "module" else None
            if bias is not None:
                bias.mul_(norm / now)  # only so is the activation scaled as a whole
        return {"separation": actual, "rescaled": _separation(copy, images, labels, wrong), "factor": factors}


def _separation(copy, images, labels, wrong):
    """Mean goodness, right less wrong, ``[layer]``."""
    import torch

    with copy.setup.autocast():
        if wrong is None:
            goodness = copy.network(images)  # [L, B, K]
            own = goodness.gather(2, labels.expand(len(goodness), -1)[..., None]).squeeze(2)
            return (own - (goodness.sum(2) - own) / (goodness.shape[2] - 1)).mean(1)
        if copy.setup.negatives.gives == "images":
            goodness = copy.network(torch.cat([images, wrong]))  # [L, 2B]
        else:
            goodness = copy.network(torch.cat([images, images]), torch.cat([labels, wrong]))
        return goodness[:, : len(images)].mean(1) - goodness[:, len(images) :].mean(1)


class _Recorded:
    """What one run file says of scale."""

    def __init__(self, run, label):
        import numpy as np

        self.run, self.label, group = run, label, "probes/scaling"
        if not run.has(f"{group}/rescaled"):
            what = "No rescaled separation was recorded in this run."
            raise ffprobe.FileError(what, where=str(run.path), hint=RECORD)
        self.steps = run.read(f"{group}/step")
        if not len(self.steps):
            hint = "Let it go on; it is rehearsed at the run's end at the latest."
            raise ffprobe.FileError("No rescaled separation is in the file yet.", where=str(run.path), hint=hint)
        self.separation, rescaled, factor = (
            run.variable(f"{group}/{name}")[-1].astype(float) for name in ("separation", "rescaled", "factor")
        )
        self.depth = len(self.separation)
        self.share = np.where(self.separation > 0, rescaled / np.where(self.separation > 0, self.separation, 1), np.nan)
        self.growth = 1 / factor
        self.positive, self.negative = (
            run.read(f"metrics/goodness_{name}").astype(float) for name in ("positive", "negative")
        )
        self.weights = run.read("metrics/weight_maximum").astype(float)
        self.first = run.read("initial/weight_maximum").astype(float)
        self.part, self.largest = self._largest()

    def _largest(self):
        import numpy as np

        if self.run.complete and self.run.has("test/goodness"):
            values = self.run.variable("test/goodness")
            return "test", np.array([float(values[i].max()) for i in range(self.depth)])
        if self.run.has("evaluation/goodness") and len(self.run.variable("evaluation/goodness")):
            values = self.run.variable("evaluation/goodness")
            return "validation", np.array([float(values[-1, i].max()) for i in range(self.depth)])
        return "", np.full(self.depth, np.nan)

    def rows(self):
        for i in range(self.depth):
            scale = (self.separation[i], self.share[i], self.growth[i], self.first[i], self.weights[-1, i])
            goodness = (_seen(self.positive[:, i])[0], _seen(self.positive[:, i])[-1], _seen(self.negative[:, i])[-1])
            yield (self.label, i + 1, *scale, *goodness, self.largest[i])

    def verdict(self):
        """One sentence by the rule in the notes."""
        import numpy as np

        known = self.share[np.isfinite(self.share)]
        if not len(known):
            return "undecided: no layer separates positives from negatives."
        learned = int((known > HALF).sum())
        by = "learning" if learned == len(known) else "scaling" if not learned else "both"
        told = f"in {learned} of {len(known)} layers more than half of the separation remains at initial norms"
        return f"{by}: {told} (from {known.min():.2f} to {known.max():.2f})."

    def notes(self, several):
        of = f"{self.label}: " if several else ""
        yield f"{of}Separation grows by {self.verdict()}"
        yield f"{of}last rehearsed after step {int(self.steps[-1])}."
        flat = [str(i + 1) for i in range(self.depth) if not self.separation[i] > 0]
        if flat:
            yield f"{of}layer {', '.join(flat)} does not separate, so nothing can remain."
        if self.part != "test":
            yield f"{of}the test set has not been read; goodness_max is of the validation set."

    def claims(self, several):
        """Appendix D's first experiment and its conclusion; the others are claims of ``weights`` and ``goodness``."""
        of = f"{self.label}: " if several else ""
        half = len(self.positive) // 2
        late = len(self.positive) >= ffprobe.GROWTH_EPOCHS
        mean = [_grown(self.positive[:, i], half) for i in range(self.depth)]
        yield ffprobe.Claim(
            "Trifecta, Appendix D and Figure 5",
            "TFF/d, CIFAR-10, 500 epochs: no layer's mean goodness grows without bounds.",
            f"{of}from the middle epoch to the last, mean positive goodness grows at most {max(mean):.2f}-fold; it"
            " agrees where it less than doubles in every layer.",
            max(mean) < 2 if late else None,
        )
        known = self.share[self.share == self.share]
        yield ffprobe.Claim(
            "Trifecta, Appendix D",
            "Scaling all weights up could lower the SymBa loss without learning, but is negligible in practice.",
            f"{of}at initial norms {min(known, default=float('nan')):.2f} of the separation remain in the layer that"
            " loses most; it agrees where more than half remain in every layer.",
            bool((known > HALF).all()) if len(known) == self.depth else None,
        )

    def to_dict(self):
        return {"label": self.label, "verdict": self.verdict(), "steps": [int(s) for s in self.steps], "of": self.part}


def _seen(values):
    """The values that were measured; NaN where none was (a layer without a loss of its own)."""
    import numpy as np

    values = values[np.isfinite(values)]
    return values if len(values) else np.array([np.nan])


def _grown(values, half):
    """The last value over the one in the middle; 1 where there is none."""
    first, last = values[half - 1] if half else values[0], values[-1]
    return float(last / first) if first > 0 and last == last else 1.0


def _highest(values):
    known = values[values == values]
    return float(known.max()) if len(known) and known.max() > 0 else 1.0


def _draw(figure, found):
    panels = figure.subplots(3, 1, sharex=True)
    shares, weights, largest = ([getattr(r, name) for r in found] for name in ("share", "weights", "largest"))
    highest = [max(map(_highest, part)) for part in (shares, [w[-1] for w in weights], largest)]
    highest[0] = max(1.0, highest[0])
    for axes, top in zip(panels, highest, strict=True):
        axes.set_ylim(0, 1.1 * top)  # before lines are labelled at their ends
    one = len(found) == 1
    layers = [list(range(1, one.depth + 1)) for one in found]
    name = ["" if one else recorded.label for recorded in found]
    both = list(zip(found, layers, name, strict=True))
    share = [{"label": n, "x": x, "y": r.share.tolist(), "colour": i} for i, (r, x, n) in enumerate(both)]
    whole = {"label": "", "x": [1, max(map(len, layers))], "y": [1, 1], "look": "floor", "colour": 5}
    ffprobe.line_by_layer(panels[0], [*share, whole], xlabel="", ylabel="separation that remains")
    weight = []
    for i, (r, x, n) in enumerate(both):
        last = {"label": n or "after training", "x": x, "y": r.weights[-1].tolist(), "colour": i}
        first = {"label": "" if n else "initial", "x": x, "y": r.first.tolist(), "look": "second", "colour": i}
        weight += [last, first]
    ffprobe.line_by_layer(panels[1], weight, xlabel="", ylabel="largest weight")
    largest = [{"label": n, "x": x, "y": r.largest.tolist(), "colour": i} for i, (r, x, n) in enumerate(both)]
    ffprobe.line_by_layer(panels[2], largest, ylabel="largest goodness")


@ffprobe.hookimpl
def ffprobe_components():
    return [Scaling]
