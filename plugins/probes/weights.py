"""How large do weights become, and how are they distributed? Reproduces the paper's Figures 6 (right), 9 (left), 10."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


class Weights(ffprobe.PerRunProbe):
    """Largest absolute weight and l2 norm of each layer over training, and the distribution of the final weights.

    The figure also shows the final weight of one layer in the style of the paper's Figure 10: outputs by inputs (for a
    convolution, all weights of the kernel of an output), clamped. Epoch 0 is the untrained network.
    """

    name = "weights"
    source = "Trifecta (arXiv:2311.18130) Appendices D and E, Figures 6, 9 and 10"
    question = "How large do the weights of each layer become, and how are they distributed?"
    settings_in_extra = True

    class Params(ffprobe.Params):
        """Settings of the figure and of the column ``outside``."""

        layer: int = Field(0, ge=0, description="number of the layer whose weight is drawn, from 1; 0 is the last")
        clamp: float = Field(
            0.3, gt=0, description="absolute weight where the colour scale ends; larger weights count as outside"
        )

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunWeights:
        return _RunWeights(run, label, self.params)

    def columns(self, results: Sequence[_RunWeights]) -> list[ffprobe.Column]:
        kurtosis = "excess kurtosis of the final weights: 0 normal, -1.2 uniform, large if a few weights are large"
        return [
            ffprobe.Column("epoch", "epoch", "number of completed epochs; 0 is the untrained network", key=True),
            ffprobe.Column("depth", "", "layer number, from 1", key=True),
            ffprobe.Column("layer", "", "layer number, from 1, as text", key=True),
            ffprobe.Column("maximum", "1", "largest absolute weight", "#.3g"),
            ffprobe.Column("norm", "1", "l2 norm of the weight", "#.3g"),
            ffprobe.Column("sd", "1", "standard deviation of the final weights", "#.3g"),
            ffprobe.Column("kurtosis", "1", kurtosis, "#.3g"),
            ffprobe.Column("outside", "%", f"final weights beyond +-{self.params.clamp:g}", ".2f"),
        ]

    def notes(self, results: Sequence[_RunWeights], claims: Sequence[ffprobe.Claim]) -> list[str]:
        return super().notes(results, claims) + NOTES[: 1 + any(not claim.not_comparable for claim in claims)]

    def claims(self, results: Sequence[_RunWeights]) -> list[ffprobe.Claim]:
        several = len(results) > 1
        first, steady = [], []
        for result in results:
            label, last = result.label if several else "", result.maximum[-1]
            if ffprobe.in_setting(result.run, DEEP):
                text = (
                    f"{last[0]:.3g} in the first layer, up to {last[1:].max():.3g} in the later ones"
                    if last[1:].size
                    else ""
                )
                if result.untrained and text:
                    text += f" ({result.maximum[0, 0]:.3g} and {result.maximum[0, 1:].max():.3g} before training)"
                agrees = bool(last[0] > last[1:].max()) if text and (last == last).all() else None
                text = text or "one layer is too few"
                first.append(ffprobe.judge(result.run, label, agrees, text, paper=TFF_D))
            if ffprobe.in_setting(result.run, {"loss": {"symba"}}):
                steady.append(ffprobe.judge(result.run, label, *_steady(result), paper=TFF_D))
        claims = [
            ffprobe.joint_claim(
                "Trifecta, Appendix D, Figure 6 right",
                "the largest weight, 0.3, is in the first layer (TFF/d).",
                first,
            ),
            ffprobe.joint_claim(
                "Trifecta, Appendix D",
                "SymBa could lower its loss by scaling weights up indefinitely but does not: more epochs leave the"
                " largest weights about the same (TFF/d, 500 epochs).",
                steady,
            ),
            *_normalizers(results),
        ]
        return [claim for claim in claims if claim]

    def draw(self, figure: Figure, results: Sequence[_RunWeights]) -> None:
        """Largest weight by layer, norm, and below them the weight images."""
        shown = [(result, result.image) for result in results if result.image is not None]
        lines, clamp = -(-len(shown) // ACROSS), _colour_range([weight for _, weight in shown], self.params.clamp)
        parts: Any = figure.subfigures(2, 1, height_ratios=(2.2, 2.0 * lines)) if shown else [figure]
        top, *below = parts
        left, right = top.subplots(1, 2)
        depth = range(1, max(len(result.layers) for result in results) + 1)
        if len(results) > 1:
            for axes, what, name in ((left, "maximum", "largest weight"), (right, "norm", "norm of weight")):
                series = [
                    ffprobe.Series(label=result.label, x=depth[: len(result.layers)], y=getattr(result, what)[-1])
                    for result in results
                ]
                if axes is right and len(results) > 6:  # the labels on the left are enough
                    for line in series:
                        line["label"] = ""
                ffprobe.line_by_layer(axes, series, ylabel=name)
        else:
            (result,) = results
            rows = sorted({0, (len(result.epochs) - 1) // 2, len(result.epochs) - 1})
            names = [f"epoch {result.epochs[row]}" if result.epochs[row] else "untrained" for row in rows]
            series = [
                ffprobe.Series(label=name, x=depth, y=result.maximum[row].tolist())
                for name, row in zip(names, rows, strict=True)
            ]
            ffprobe.line_by_layer(left, series, ylabel="largest weight")
            panel = ffprobe.Panel(axes=right, x=result.epochs, y=result.norm, ylabel="norm of weight")
            ffprobe.lines_by_depth(top, [panel])
        if not shown:
            return
        grid = below[0].subplots(lines, min(len(shown), ACROSS), squeeze=False)
        for axes in grid.flat[len(shown) :]:
            axes.set_axis_off()
        for axes, (result, weight) in zip(grid.flat, shown, strict=False):
            image = axes.imshow(weight, cmap="RdBu_r", vmin=-clamp, vmax=clamp, aspect="auto")
            axes.grid(visible=False)
            axes.locator_params(integer=True, nbins=5)
            axes.set(xlabel="input", ylabel="output" if axes in grid[:, 0] else "")
            title = f"layer {result.drawn}"
            axes.set_title(f"{result.label}, {title}" if len(results) > 1 else title, loc="left")
        bar = below[0].colorbar(image, ax=grid, label="weight", extend="both", pad=0.02)
        bar.outline.set_visible(False)

    def figure_size(self, results: Sequence[_RunWeights]) -> tuple[float, float]:
        images = sum(result.image is not None for result in results)
        return 5.5, 2.2 + 2.0 * -(-images // ACROSS)


QUANTILE = 0.995
"""Share of the weights of a layer that the colours of its image distinguish."""
ACROSS = 3
"""Number of weight images in one row of the figure."""
NOTES = [
    "Initial weights are at most 1/sqrt(inputs of a unit), so a layer with few inputs starts with larger weights and"
    " keeps them.",
    "In the claims, a largest weight is about the same if it changes by less than a quarter in the second half of"
    " training.",
]
DEEP = {"loss": {"symba"}, "normalizer": {"batchnorm"}, "scheduler": {"olu"}}
TFF_D = ffprobe.paper_setting("tff-d", "cifar10", 500)
FCN = ffprobe.paper_setting("fcn", "cifar10", 100)


class _RunWeights:
    """Weights of one run; ``maximum`` and ``norm`` have the shape ``[epochs, layers]``."""

    def __init__(self, run: ffprobe.RunFile, label: str, params: Any) -> None:
        import numpy as np

        self.run, self.label = run, label
        self.layers = ffprobe.layer_numbers(run)
        if params.layer > len(self.layers):
            what = f"Layer {params.layer} does not exist; the network has {len(self.layers)} layers."
            raise ffprobe.UsageError(what, where=str(run.path), hint="Layers are numbered from 1; 0 is the last.")
        self.drawn: int = params.layer or len(self.layers)
        self.epochs = [int(epoch) for epoch in run.read("metrics/epoch")]
        self.maximum, self.norm = (run.read(f"metrics/weight_{what}").astype(float) for what in ("maximum", "norm"))
        paths = ["initial/weight_maximum", "initial/weight_norm"]
        first = [run.read(path) for path in paths if run.has(path)]
        self.untrained = len(first) == len(paths) and all(np.isfinite(values).any() for values in first)
        if self.untrained:
            self.epochs = [0, *self.epochs]
            self.maximum, self.norm = np.vstack([first[0], self.maximum]), np.vstack([first[1], self.norm])
        if not self.epochs or not np.isfinite(self.maximum).any():
            hint = "Resume the run until its first epoch is complete; modules without parameters have no weights."
            raise ffprobe.FileError("The run measured no weights.", where=str(run.path), hint=hint)
        self.spread: dict[int, tuple[float, float, float]] = {}
        self.image: np.ndarray | None = None
        for i, layer in enumerate(map(str, run.read("metrics/layer"))):
            weight = _final(run, layer)
            if weight is not None and np.isfinite(weight).all():
                self.spread[i] = _distribution(weight, params.clamp)
                if i == self.drawn - 1:
                    self.image = weight.reshape(len(weight), -1)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        nothing = (float("nan"),) * 3
        for row, epoch in enumerate(self.epochs):
            for i, layer in enumerate(self.layers):
                spread = self.spread.get(i, nothing) if epoch == self.epochs[-1] else nothing
                yield (epoch, i + 1, layer, self.maximum[row, i], self.norm[row, i], *spread)

    def notes(self) -> Iterator[str]:
        if not self.run.complete:
            yield (
                f"the run is unfinished; the file has {self.epochs[-1]} epochs. Final weights are written at the end."
            )
        elif self.image is None:
            yield f"the file has no weight of layer {self.drawn} that can be drawn."
        else:
            yield (
                f"the figure shows layer {self.drawn}, {self.image.shape[0]} outputs by {self.image.shape[1]} inputs."
            )
        if not self.untrained:
            yield "weights before training were not recorded."
        same = [str(i + 1) for i, (sd, _, _) in self.spread.items() if sd == 0]
        if same:
            yield f"all weights of layer {', '.join(same)} are equal, so their kurtosis is undefined."

    def to_dict(self) -> dict[str, Any]:
        facts = {"untrained": self.untrained, "drawn_layer": self.drawn if self.image is not None else None}
        return {"label": self.label, "path": str(self.run.path), "complete": self.run.complete, **facts}


def _final(run: ffprobe.RunFile, layer: str) -> np.ndarray | None:
    """The layer's final weight, float64 ``[outputs, ...]``; None if the file has none."""
    if not run.complete:
        return None
    group = f"weights/{layer}/"
    names = [f"{group}{kind}.weight" for kind in ("conv", "linear")]
    if not any(map(run.has, names)):  # another module: its largest matrix, which is also what training measures
        names = [path for path in run.paths() if path.startswith(f"{group}module.") and run.variable(path).ndim > 1]
        names = sorted(names, key=lambda path: -run.variable(path).size)
    known = [name for name in names if run.has(name)]
    return run.read(known[0]).astype(float) if known else None


def _distribution(weight: np.ndarray, clamp: float) -> tuple[float, float, float]:
    """Standard deviation, excess kurtosis (NaN if all weights are equal), and percent of weights beyond the clamp."""
    from scipy import stats

    flat = weight.ravel()
    sd = 0.0 if flat.min() == flat.max() else float(flat.std())
    kurtosis = float(stats.kurtosis(flat)) if sd else float("nan")
    return sd, kurtosis, 100 * float((abs(flat) > clamp).mean())


def _colour_range(weights: Sequence[np.ndarray], clamp: float) -> float:
    """Absolute weight where the colours end: the clamp, or less if weights are so small that it would show nothing."""
    import numpy as np

    if not weights:
        return clamp
    most = max(float(np.quantile(np.abs(weight), QUANTILE)) for weight in weights)
    return min(clamp, most) or clamp


def _steady(result: _RunWeights) -> tuple[bool | None, str]:
    """Agrees if no layer's largest weight changes by a quarter in the second half of training."""
    if result.epochs[-1] < 2:
        return None, "one epoch is too few"
    half = min(range(len(result.epochs)), key=lambda row: abs(result.epochs[row] - result.epochs[-1] / 2))
    factor = result.maximum[-1] / result.maximum[half]
    factor = factor[factor == factor]
    span = f"from epoch {result.epochs[half]} to {result.epochs[-1]}"
    text = f"{span} it changes by a factor of {factor.min():.2f} to {factor.max():.2f}"
    if result.epochs[-1] < ffprobe.GROWTH_EPOCHS:
        return None, f"{text}; too early to see whether growth ends"
    return bool(factor.min() > 0.75 and factor.max() < 1.25), text


def _normalizers(results: Sequence[_RunWeights]) -> Iterator[ffprobe.Claim | None]:
    """Batch normalization compared with length normalization: the first run of each with the same loss and network."""
    import numpy as np

    by: dict[str | None, list[_RunWeights]] = {}
    for result in results:
        by.setdefault(ffprobe.run_components(result.run).get("normalizer"), []).append(result)
    length = [result for kind in ("length", "rms", "layernorm") for result in by.get(kind, [])]
    pairs = [(a, b) for a in by.get("batchnorm", []) for b in length if _comparable(a.run, b.run)]
    if not pairs:
        return
    batch, other = pairs[0]
    most, runs = (batch.maximum[-1], other.maximum[-1]), [batch.run, other.run]
    over = f"{other.label} is above {batch.label} in {int((most[1] > most[0]).sum())} of {len(most[0])} layers"
    agrees = bool((most[1] > most[0]).all()) if np.isfinite(most).all() else None
    yield ffprobe.joint_claim(
        "Trifecta, Appendix E, Figure 9 left",
        "length normalization leads to larger maximum weights than batch normalization in every layer (VFF+SymBa/f).",
        [ffprobe.judge(runs, "", agrees, over, paper=FCN)],
    )
    sd = [result.spread.get(result.drawn - 1, (float("nan"),))[0] for result in (batch, other)]
    text = f"the standard deviation in layer {batch.drawn} is {sd[0]:.3g} with {batch.label}"
    agrees = bool(sd[0] < sd[1]) if np.isfinite(sd).all() else None
    yield ffprobe.joint_claim(
        "Trifecta, Appendix E, Figure 10",
        "with batch normalization the weights are spread far less (layer 6 of VFF+SymBa/f).",
        [ffprobe.judge(runs, "", agrees, f"{text}, {sd[1]:.3g} with {other.label}", paper=FCN)],
    )


def _comparable(first: ffprobe.RunFile, second: ffprobe.RunFile) -> bool:
    """Whether two runs have the same data set, network, loss and scheduler."""
    a, b = ffprobe.run_components(first), ffprobe.run_components(second)
    return all(a.get(slot) == b.get(slot) for slot in ("dataset", "network", "loss", "scheduler"))


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Weights]
