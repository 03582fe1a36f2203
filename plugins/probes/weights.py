"""How large do weights get, and how spread out are they? The paper's Figures 6 (right), 9 (left) and 10."""

from pydantic import Field

import ffprobe


class Weights(ffprobe.Probe):
    """Largest absolute weight and l2 norm of each layer over training, and how the final weights are distributed.

    The figure also shows one layer's final weight as the paper's Figure 10 does: outputs by inputs (of a convolution,
    every weight of the kernel that reaches an output), clamped. Epoch 0 is the untrained network.
    """

    name = "weights"
    source = "Trifecta (arXiv:2311.18130) Appendices D and E, Figures 6, 9 and 10"

    class Params(ffprobe.Params):
        """What is drawn of the final weights."""

        layer: int = Field(0, ge=0, description="the layer whose weight is drawn, from 1; 0 is the last")
        clamp: float = Field(0.3, gt=0, description="weights beyond it are drawn alike and counted as outside")

    def analyze(self, runs):
        several = len(runs) > 1
        labels = ffprobe.run_labels(runs)
        found = [_Weights(run, label, self.params) for run, label in zip(runs, labels, strict=True)]
        rows, claims = [row for one in found for row in one.rows()], _claims(found)
        clamp = self.params.clamp

        def draw(figure):
            _draw(figure, found, clamp)

        images = sum(one.image is not None for one in found)
        return ffprobe.Result(
            name=self.name,
            question="How large do the weights of each layer get, and how are they distributed?",
            columns=_columns(several, clamp),
            rows=rows if several else [row[1:] for row in rows],
            notes=ffprobe.joint_notes([(one.label, one.notes()) for one in found]) + MIND[: 1 + bool(claims)],
            claims=claims,
            extra={"settings": self.params.model_dump(), "runs": [one.to_dict() for one in found]},
            draw=draw,
            size=(5.5, 2.2 + 2.0 * -(-images // ACROSS)),
            runs=runs,
        )


ACROSS = 3
"""So many weight images stand side by side."""
MIND = [
    "Layers start with weights up to 1/sqrt(inputs of a unit), so a layer with few inputs starts, and stays, larger.",
    "Below, a largest weight counts as about the same where it changes by less than a quarter in the second half of"
    " training.",
]
DEEP = {"loss": {"symba"}, "normalizer": {"batchnorm"}, "scheduler": {"olu"}}


def _columns(several, clamp):
    run = [ffprobe.Column("run", "", "what tells the run apart", key=True)] if several else []
    columns = [
        ("maximum", "1", "largest absolute weight", "#.3g"),
        ("norm", "1", "l2 norm of the weight", "#.3g"),
        ("sd", "1", "standard deviation of the final weights", "#.3g"),
        (
            "kurtosis",
            "1",
            "excess kurtosis of the final weights: 0 normal, -1.2 uniform, large: few large ones",
            "#.3g",
        ),
        ("outside", "%", f"final weights beyond +-{clamp:g}", ".2f"),
    ]
    keys = [
        ffprobe.Column("epoch", "epoch", "epochs done; 0 is the untrained network", key=True),
        ffprobe.Column("depth", "", "position of the layer, from 1", key=True),
        ffprobe.Column("layer", "", "its name in the run file", key=True),
    ]
    return [*run, *keys, *(ffprobe.Column(*column) for column in columns)]


class _Weights:
    """What one run file says; ``maximum`` and ``norm`` are ``[epochs, layers]``."""

    def __init__(self, run, label, params):
        import numpy as np

        self.run, self.label = run, label
        self.layers = [str(name) for name in run.read("metrics/layer")]
        if params.layer > len(self.layers):
            what = f"There is no layer {params.layer} among {len(self.layers)}."
            raise ffprobe.UsageError(what, where=str(run.path), hint="Layers are counted from 1; 0 is the last.")
        self.drawn = params.layer or len(self.layers)
        self.epochs = [int(epoch) for epoch in run.read("metrics/epoch")]
        self.maximum, self.norm = (run.read(f"metrics/weight_{what}").astype(float) for what in ("maximum", "norm"))
        first = [
            run.read(f"initial/weight_{w}") if run.has(f"initial/weight_{w}") else None for w in ("maximum", "norm")
        ]
        self.untrained = all(values is not None and np.isfinite(values).any() for values in first)
        if self.untrained:
            self.epochs = [0, *self.epochs]
            self.maximum, self.norm = np.vstack([first[0], self.maximum]), np.vstack([first[1], self.norm])
        if not self.epochs or not np.isfinite(self.maximum).any():
            hint = "Let it go on until its first epoch is done; a network of modules without parameters has no weights."
            raise ffprobe.FileError("No weight was measured in this run.", where=str(run.path), hint=hint)
        self.spread, self.image = {}, None
        for i, layer in enumerate(self.layers):
            weight = _final(run, layer)
            if weight is not None and np.isfinite(weight).all():
                self.spread[i] = _distribution(weight, params.clamp)
                if i == self.drawn - 1:
                    self.image = weight.reshape(len(weight), -1)

    def rows(self):
        nothing = (float("nan"),) * 3
        for row, epoch in enumerate(self.epochs):
            for i, layer in enumerate(self.layers):
                spread = self.spread.get(i, nothing) if epoch == self.epochs[-1] else nothing
                yield (self.label, epoch, i + 1, layer, self.maximum[row, i], self.norm[row, i], *spread)

    def notes(self):
        if not self.run.complete:
            yield f"the run is unfinished, {self.epochs[-1]} epochs are in the file; final weights come at its end."
        elif self.image is None:
            yield f"no weight of layer {self.drawn} that could be drawn is in the file."
        else:
            yield f"drawn is layer {self.drawn}, {self.image.shape[0]} outputs by {self.image.shape[1]} inputs."
        if not self.untrained:
            yield "weights before training were not recorded."
        same = [str(i + 1) for i, (sd, _, _) in self.spread.items() if sd == 0]
        if same:
            yield f"all weights of layer {', '.join(same)} are the same, which has no kurtosis."

    def to_dict(self):
        facts = {"untrained": self.untrained, "drawn_layer": self.drawn if self.image is not None else None}
        return {"label": self.label, "path": str(self.run.path), "complete": self.run.complete, **facts}


def _final(run, layer):
    """The layer's final weight, float64 ``[outputs, ...]``; None when there is none."""
    if not run.complete:
        return None
    group = f"weights/{layer}/"
    names = [f"{group}{kind}.weight" for kind in ("conv", "linear")]
    if not any(map(run.has, names)):  # any other module: its largest matrix, which is what training measures
        names = [path for path in run.paths() if path.startswith(f"{group}module.") and run.variable(path).ndim > 1]
        names = sorted(names, key=lambda path: -run.variable(path).size)
    known = [name for name in names if run.has(name)]
    return run.read(known[0]).astype(float) if known else None


def _distribution(weight, clamp):
    """Standard deviation, excess kurtosis (NaN without a spread), percent beyond the clamp."""
    from scipy import stats

    flat = weight.ravel()
    sd = 0.0 if flat.min() == flat.max() else float(flat.std())
    kurtosis = float(stats.kurtosis(flat)) if sd else float("nan")
    return sd, kurtosis, 100 * float((abs(flat) > clamp).mean())


def _claims(found):
    several = len(found) > 1
    first, steady = [], []
    for one in found:
        label, last = one.label if several else "", one.maximum[-1]
        if ffprobe.in_setting(one.run, DEEP):
            text = (
                f"{last[0]:.3g} in the first layer, up to {last[1:].max():.3g} in the later ones"
                if last[1:].size
                else ""
            )
            if one.untrained and text:
                text += f" ({one.maximum[0, 0]:.3g} and {one.maximum[0, 1:].max():.3g} before training)"
            told = bool(last[0] > last[1:].max()) if text and (last == last).all() else None
            first.append((label, told, text or "one layer cannot tell"))
        if ffprobe.in_setting(one.run, {"loss": {"symba"}}):
            steady.append((label, *_steady(one)))
    claims = [
        ffprobe.joint_claim(
            "Trifecta, Appendix D, Figure 6 right",
            "the largest weight, 0.3, stands in the first layer (TFF/d).",
            first,
        ),
        ffprobe.joint_claim(
            "Trifecta, Appendix D",
            "SymBa could lower its loss by scaling weights without end but does not: more epochs leave the largest"
            " weights about the same (TFF/d, 500 epochs).",
            steady,
        ),
        *_normalizers(found),
    ]
    return [claim for claim in claims if claim]


def _steady(one):
    """No layer's largest weight may change by a quarter in the second half of training."""
    if one.epochs[-1] < 2:
        return None, "one epoch is too few"
    half = min(range(len(one.epochs)), key=lambda row: abs(one.epochs[row] - one.epochs[-1] / 2))
    factor = one.maximum[-1] / one.maximum[half]
    factor = factor[factor == factor]
    span = f"from epoch {one.epochs[half]} to {one.epochs[-1]}"
    text = f"{span} it changes by a factor of {factor.min():.2f} to {factor.max():.2f}"
    if one.epochs[-1] < ffprobe.GROWTH_EPOCHS:
        return None, f"{text}, too early to tell growth that ends"
    return bool(factor.min() > 0.75 and factor.max() < 1.25), text


def _normalizers(found):
    """Batch normalization against length normalization, the first run of each with the same loss and network."""
    import numpy as np

    by = {}
    for one in found:
        by.setdefault(ffprobe.run_components(one.run).get("normalizer"), []).append(one)
    length = [one for kind in ("length", "rms", "layernorm") for one in by.get(kind, [])]
    pairs = [(a, b) for a in by.get("batchnorm", []) for b in length if _alike(a.run, b.run)]
    if not pairs:
        return
    batch, other = pairs[0]
    most = batch.maximum[-1], other.maximum[-1]
    over = f"{other.label} is above {batch.label} in {int((most[1] > most[0]).sum())} of {len(most[0])} layers"
    yield ffprobe.Claim(
        "Trifecta, Appendix E, Figure 9 left",
        "length normalization leads to larger maximal weights than batch normalization in every layer (VFF+SymBa/f).",
        f"{over}.",
        bool((most[1] > most[0]).all()) if np.isfinite(most).all() else None,
    )
    sd = [one.spread.get(one.drawn - 1, (float("nan"),))[0] for one in (batch, other)]
    yield ffprobe.Claim(
        "Trifecta, Appendix E, Figure 10",
        "batch normalization's weights are far less spread out (layer 6 of VFF+SymBa/f).",
        f"the standard deviation in layer {batch.drawn} is {sd[0]:.3g} with {batch.label},"
        f" {sd[1]:.3g} with {other.label}.",
        bool(sd[0] < sd[1]) if np.isfinite(sd).all() else None,
    )


def _alike(first, second):
    """Whether two runs have the same loss, network and scheduler."""
    a, b = ffprobe.run_components(first), ffprobe.run_components(second)
    return all(a.get(slot) == b.get(slot) for slot in ("dataset", "network", "loss", "scheduler"))


def _draw(figure, found, clamp):
    """Largest weight by layer, norm, and below them the weight images."""
    shown = [one for one in found if one.image is not None]
    lines = -(-len(shown) // ACROSS)
    top, *below = figure.subfigures(2, 1, height_ratios=(2.2, 2.0 * lines)) if shown else [figure]
    left, right = top.subplots(1, 2)
    depth = range(1, max(len(one.layers) for one in found) + 1)
    if len(found) > 1:
        for axes, what, name in ((left, "maximum", "largest weight"), (right, "norm", "norm of weight")):
            series = [{"label": one.label, "x": depth[: len(one.layers)], "y": getattr(one, what)[-1]} for one in found]
            if axes is right and len(found) > 6:  # named once, on the left
                series = [{**one, "label": ""} for one in series]
            ffprobe.line_by_layer(axes, series, ylabel=name)
    else:
        one = found[0]
        chosen = sorted({0, (len(one.epochs) - 1) // 2, len(one.epochs) - 1})
        names = [f"epoch {one.epochs[row]}" if one.epochs[row] else "untrained" for row in chosen]
        series = [{"label": n, "x": depth, "y": one.maximum[row]} for n, row in zip(names, chosen, strict=True)]
        ffprobe.line_by_layer(left, series, ylabel="largest weight")
        ffprobe.lines_by_depth(top, [{"axes": right, "x": one.epochs, "y": one.norm, "ylabel": "norm of weight"}])
    if not shown:
        return
    grid = below[0].subplots(lines, min(len(shown), ACROSS), squeeze=False)
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    for axes, one in zip(grid.flat, shown, strict=False):
        image = axes.imshow(one.image, cmap="RdBu_r", vmin=-clamp, vmax=clamp, aspect="auto")
        axes.grid(visible=False)
        axes.locator_params(integer=True, nbins=5)
        axes.set(xlabel="input", ylabel="output" if axes in grid[:, 0] else "")
        axes.set_title(f"{one.label}, layer {one.drawn}" if len(found) > 1 else f"layer {one.drawn}", loc="left")
    bar = below[0].colorbar(image, ax=grid, label="weight", extend="both", pad=0.02)
    bar.outline.set_visible(False)


@ffprobe.hookimpl
def ffprobe_components():
    return [Weights]
