"""Does separation grow by learning, or by scaling the weights up? Reproduces the paper's Appendix D."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    import torch
    from matplotlib.figure import Figure

RECORD = "Train again with --plugin scaling."
HALF = 0.5
TFF_D = ffprobe.paper_setting("tff-d", "cifar10", 500)


class Scaling(ffprobe.PerRunProbe):
    """The share of each layer's separation that remains if its weights are scaled back to their initial norm.

    In a sandbox (at regular step intervals) the first images of the epoch's last batch pass through the network twice,
    as positives and negatives in one batch and in training mode, so that batch normalization uses the batch's own
    statistics: once with the weights as they are, and once with the weight and the bias of every layer's convolution or
    linear map (for any other module, the largest parameter) times initial norm / current norm of the weight.

    A normalizer that follows the map (position ``preactivation`` or ``activation``) removes the scale of the weight,
    and its learned gain takes its place: each channel's weight counts as divided by its own norm and multiplied by the
    gain, so the folded norm is that of the gain. There, gain and offset are scaled back instead of weight and bias. The
    gain of a normalizer at any other position stays as learned.

    The separation is the mean goodness of positives minus that of negatives; in form ``class``, that of the true label
    minus the mean of the wrong ones. After a normalizer that removes scale, and with a goodness of squares, the share
    that remains is (initial norm / norm)^2: it is a readout of the norm alone. Hence a second measure, free of scale:
    how far the weight turned in an epoch, 1 - cosine between its values before and after.
    """

    name = "scaling"
    source = "Trifecta (arXiv:2311.18130) Appendix D, Figures 5 and 6"
    question = "Does separation grow by learning, or by scaling the weights up?"
    label_every_note = True

    class Params(ffprobe.Params):
        """Settings of the recording."""

        sandbox_every: int = Field(
            500, ge=1, description="minimum number of steps between two sandboxes; one always runs at the end"
        )
        images: int = Field(128, ge=2, description="maximum number of images of the batch")

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self._norms: list[float | None] | None = None
        self._gains: list[float | None] = []
        self._before: list[torch.Tensor | None] = []

    def state_dict(self) -> dict[str, Any]:
        return {"norms": self._norms, "gains": self._gains}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._norms = state["norms"]
        # a checkpoint of version 0.1.0 has no gains: such a run goes on without folding
        self._gains = state.get("gains") or [None] * len(self._norms or [])

    def variables(self, run: ffprobe.RunContext) -> list[ffprobe.Variable]:
        names = tuple(layer.name for layer in run.layers)
        dims = (
            ffprobe.Dimension("row", None, long_name="sandbox"),
            ffprobe.Dimension("layer", len(names), "str", names, long_name="layer, first to last"),
        )
        wide, variable = ("row", "layer"), ffprobe.Variable
        return [
            variable("step", ("row",), "i8", "step", "number of optimizer steps", dimensions=dims),
            variable("separation", wide, long_name="separation with the weights as they are", dimensions=dims),
            variable("rescaled", wide, long_name="separation at the weights' initial norms", dimensions=dims),
            variable(
                "factor", wide, long_name="initial norm of the weight (folded: gain) over its norm", dimensions=dims
            ),
            variable(
                "folded", wide, long_name="1 where the gain of the normalizer is folded in, else 0", dimensions=dims
            ),
            variable("turned", wide, long_name="1 - cosine of the weight before and after the epoch", dimensions=dims),
        ]

    @ffprobe.hookimpl
    def ffprobe_before_run(self, context: ffprobe.RunContext) -> None:
        if self._norms is None:  # a resumed run restores them from the checkpoint
            weights = [context.network.layer(i).weight for i in range(len(context.layers))]
            self._norms = [None if w is None else float(w.detach().norm()) for w in weights]
            gains = [_gain(context.network.layer(i)) for i in range(len(context.layers))]
            self._gains = [None if gain is None else float(gain.detach().norm()) for gain in gains]

    @ffprobe.hookimpl
    def ffprobe_before_epoch(self, context: ffprobe.EpochContext) -> None:
        at_end = replace(context, step=context.step + context.run.steps_per_epoch)
        weights = [context.run.network.layer(i).weight for i in range(len(context.run.layers))]
        due = at_end.due(self.params.sandbox_every)
        self._before = [None if w is None else w.detach().clone() for w in weights] if due else []

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context: ffprobe.EpochContext) -> None:
        if context.due(self.params.sandbox_every):
            assert context.images is not None and context.labels is not None and self._norms is not None
            images, labels = context.images[: self.params.images], context.labels[: self.params.images]
            context.record("step", context.step)
            for name, value in _measure(context.run, images, labels, self._norms, self._gains).items():
                context.record(name, value)
            layers = [context.run.network.layer(i) for i in range(len(context.run.layers))]
            before = self._before or [None] * len(layers)  # nobody knew that the run stops early after this epoch
            context.record("turned", [_turned(w, x.weight) for w, x in zip(before, layers, strict=True)])
        self._before = []

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunScaling:
        return _RunScaling(run, label)

    def columns(self, results: Sequence[_RunScaling]) -> list[ffprobe.Column]:
        column = ffprobe.Column
        return [
            column("depth", "", "layer number, from 1", key=True),
            column("separation", "1", "goodness of positives minus negatives on one batch in the last sandbox", ".3f"),
            column("share", "1", "share of it that remains at the weights' initial norms", ".2f"),
            column("norm_growth", "1", "norm of the weight (folded: of the gain) over its initial norm", ".2f"),
            column("turned_first", "1", "1 - cosine of the weight before and after the first recorded epoch", ".2g"),
            column("turned_last", "1", "the same for the last recorded epoch", ".2g"),
            column("weight_first", "1", "largest absolute weight before the first step", ".3f"),
            column("weight_last", "1", "largest absolute weight after the last epoch", ".3f"),
            column("positive_first", "1", "mean goodness of positives in the first epoch", ".3f"),
            column("positive_last", "1", "mean goodness of positives in the last epoch", ".3f"),
            column("negative_last", "1", "mean goodness of negatives in the last epoch", ".3f"),
            column("goodness_max", "1", "largest goodness on the test set, else on the validation set", ".3g"),
        ]

    def notes(self, results: Sequence[_RunScaling], claims: Sequence[ffprobe.Claim]) -> list[str]:
        return super().notes(results, claims) + NOTES

    def claims(self, results: Sequence[_RunScaling]) -> list[ffprobe.Claim]:
        return [claim for result in results for claim in result.claims(len(results) > 1)]

    def draw(self, figure: Figure, results: Sequence[_RunScaling]) -> None:
        """The share that remains, the largest weight and the largest goodness, by layer."""
        panels = figure.subplots(3, 1, sharex=True)
        highest = [
            max(1.0, *(_highest(result.share) for result in results)),
            max(_highest(result.weights[-1]) for result in results),
            max(_highest(result.largest) for result in results),
        ]
        for axes, top in zip(panels, highest, strict=True):
            axes.set_ylim(0, 1.1 * top)  # before lines are labelled at their ends
        series: tuple[list[ffprobe.Series], ...] = ([], [], [])
        for i, result in enumerate(results):
            x, label = list(range(1, result.depth + 1)), result.label if len(results) > 1 else ""
            shares, weights, largest = result.share.tolist(), result.weights[-1].tolist(), result.largest.tolist()
            series[0].append(ffprobe.Series(label=label, x=x, y=shares, colour=i))
            series[1].append(ffprobe.Series(label=label or "after training", x=x, y=weights, colour=i))
            initial = "" if label else "initial"
            series[1].append(ffprobe.Series(label=initial, x=x, y=result.first.tolist(), look="second", colour=i))
            series[2].append(ffprobe.Series(label=label, x=x, y=largest, colour=i))
        deepest = max(result.depth for result in results)
        series[0].append(ffprobe.Series(label="", x=[1, deepest], y=[1, 1], look="floor", colour=5))
        ffprobe.line_by_layer(panels[0], series[0], xlabel="", ylabel="separation that remains")
        ffprobe.line_by_layer(panels[1], series[1], xlabel="", ylabel="largest weight")
        ffprobe.line_by_layer(panels[2], series[2], ylabel="largest goodness")

    def figure_size(self, results: Sequence[_RunScaling]) -> tuple[float, float]:
        return 3.25, 5.0


NOTES = [
    "share: separation with every layer's weight scaled back to its initial norm, over the separation as it is. A layer"
    " counts as learning if more than half remains.",
    "turned: 1 - cosine between the weight before and after an epoch; it does not depend on the scale of the weight,"
    " and applies to every run that recorded it, whatever its normalizer.",
    "goodness_max: largest goodness of any image with any label.",
]


def _gain(layer: Any) -> torch.Tensor | None:
    """The learned gain of a normalizer that follows the layer's map; None without one."""
    if layer.position not in ("preactivation", "activation"):
        return None
    found = [p for name, p in layer.normalizer.named_parameters() if name.rpartition(".")[2] == "weight"]
    return found[0] if len(found) == 1 else None


def _turned(before: torch.Tensor | None, after: torch.Tensor | None) -> float:
    """1 - cosine of the angle between two weights; NaN if one is missing or 0."""
    if before is None or after is None:
        return float("nan")
    a, b = before.detach().double().flatten(), after.detach().double().flatten()
    sizes = float(a.norm()), float(b.norm())
    # the half squared distance of unit vectors: exact for small angles, unlike 1 - cosine
    return float((a / sizes[0] - b / sizes[1]).square().sum()) / 2 if min(sizes) > 0 else float("nan")


def _measure(
    run: ffprobe.RunContext,
    images: torch.Tensor,
    labels: torch.Tensor,
    norms: Sequence[float | None],
    gains: Sequence[float | None],
) -> dict[str, torch.Tensor]:
    """Separations, factors and whether a gain is folded in, each ``[layer]``."""
    import torch

    with run.sandbox() as copy, torch.no_grad():
        network, setup = copy.network, copy.setup
        wrong = None
        if network.form == "pair":
            goodness = ffprobe.goodness_for_negatives(setup.negatives, network, images, setup.autocast)
            wrong = setup.negatives(images, labels, setup.classes, setup.generator, goodness)
        actual = _separation(copy, images, labels, wrong)
        factors, folded = torch.full((network.depth,), torch.nan), torch.zeros(network.depth)
        for index, (norm, first) in enumerate(zip(norms, gains, strict=True)):
            layer = network.layer(index)
            gain = _gain(layer) if first is not None else None
            weight, norm = (layer.weight, norm) if gain is None else (gain, first)
            now = 0.0 if weight is None else float(weight.norm())
            folded[index] = gain is not None
            if norm is None or now == 0:
                continue
            factors[index] = norm / now
            weight.mul_(norm / now)
            for bias in _biases(layer, gain is not None):
                bias.mul_(norm / now)  # otherwise the activation as a whole would not be scaled
        rescaled = _separation(copy, images, labels, wrong)
        return {"separation": actual, "rescaled": rescaled, "factor": factors, "folded": folded}


def _biases(layer: Any, folded: bool) -> list[torch.Tensor]:
    """The offsets beside the weight that is scaled back: of the map, or, folded, of the normalizer."""
    if folded:
        return [p for name, p in layer.normalizer.named_parameters() if name.rpartition(".")[2] == "bias"]
    bias = getattr(getattr(layer, layer.spec.kind), "bias", None) if layer.spec.kind != "module" else None
    return [] if bias is None else [bias]


def _separation(
    copy: ffprobe.Sandbox, images: torch.Tensor, labels: torch.Tensor, wrong: torch.Tensor | None
) -> torch.Tensor:
    """Mean goodness of positives minus negatives, ``[layer]``."""
    import torch

    goodness: torch.Tensor
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


class _RunScaling:
    """Separation, weights and goodness of one run."""

    def __init__(self, run: ffprobe.RunFile, label: str) -> None:
        import numpy as np

        self.run, self.label, group = run, label, "probes/scaling"
        if not run.has(f"{group}/rescaled"):
            what = "No rescaled separation was recorded in this run."
            raise ffprobe.FileError(what, where=str(run.path), hint=RECORD)
        self.steps = run.read(f"{group}/step")
        if not len(self.steps):
            hint = "Resume the run; it is recorded at the latest at its end."
            raise ffprobe.FileError("The file has no rescaled separation yet.", where=str(run.path), hint=hint)
        self.separation, rescaled, factor = (
            run.variable(f"{group}/{name}")[-1].astype(float) for name in ("separation", "rescaled", "factor")
        )
        self.depth = len(self.separation)
        self.share = np.where(self.separation > 0, rescaled / np.where(self.separation > 0, self.separation, 1), np.nan)
        self.growth = 1 / factor
        self.folded, self.turned = np.zeros(self.depth, bool), np.full((2, self.depth), np.nan)
        self.has_gains = run.has(f"{group}/folded")  # files of version 0.1.0 have neither
        if self.has_gains:
            self.folded = run.variable(f"{group}/folded")[-1] == 1
            self.turned = run.read(f"{group}/turned").astype(float)[[0, -1]]
        self.positive, self.negative = (
            run.read(f"metrics/goodness_{name}").astype(float) for name in ("positive", "negative")
        )
        self.weights = run.read("metrics/weight_maximum").astype(float)
        self.first = run.read("initial/weight_maximum").astype(float)
        self.part, self.largest = self._largest()

    def _largest(self) -> tuple[str, np.ndarray]:
        """The set of images (empty if there is none), and the largest goodness of each layer on it."""
        import numpy as np

        if self.run.complete and self.run.has("test/goodness"):
            values = self.run.variable("test/goodness")
            return "test", np.array([float(values[i].max()) for i in range(self.depth)])
        if self.run.has("evaluation/goodness") and len(self.run.variable("evaluation/goodness")):
            values = self.run.variable("evaluation/goodness")
            return "validation", np.array([float(values[-1, i].max()) for i in range(self.depth)])
        return "", np.full(self.depth, np.nan)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        for i in range(self.depth):
            scale = (
                *(self.separation[i], self.share[i], self.growth[i], *self.turned[:, i]),
                *(self.first[i], self.weights[-1, i]),
            )
            positive, negative = _known(self.positive[:, i]), _known(self.negative[:, i])
            yield (i + 1, *scale, positive[0], positive[-1], negative[-1], self.largest[i])

    def verdict(self) -> str:
        """One sentence, by the rule in the notes."""
        import numpy as np

        known = self.share[np.isfinite(self.share)]
        if not len(known):
            return "undecided: no layer separates positives from negatives."
        learned = int((known > HALF).sum())
        by = "learning" if learned == len(known) else "scaling" if not learned else "both"
        text = f"in {learned} of {len(known)} layers more than half of the separation remains at initial norms"
        return f"{by}: {text} (from {known.min():.2f} to {known.max():.2f})."

    def notes(self) -> Iterator[str]:
        yield f"Separation grows by {self.verdict()}"
        yield f"last sandbox after step {int(self.steps[-1])}."
        yield from self._scale_notes()
        flat = [str(i + 1) for i in range(self.depth) if not self.separation[i] > 0]
        if flat:
            yield f"layer {', '.join(flat)} does not separate, so nothing can remain."
        if self.part != "test":
            yield "the test set was not evaluated; goodness_max is on the validation set."

    def _scale_notes(self) -> Iterator[str]:
        """What share and norm_growth mean in this run."""
        normalizer = self.run.config.get("normalizer") or {}
        name, position = normalizer.get("name", ""), normalizer.get("position", "input")
        follows = position in ("preactivation", "activation")
        if self.folded.any():
            layers = ", ".join(str(i + 1) for i in range(self.depth) if self.folded[i])
            yield (
                f"the normalizer follows the map in layer {layers}: its gain is folded in, so share and norm_growth"
                " are about the gain there; the scale of the weight has no effect."
            )
        elif follows and not self.has_gains:
            yield f"the file is of a version that did not fold in the gain of {name} ({position}). {RECORD}"
        elif name and name != "none" and not follows:
            yield (
                f"{name} ({position}) normalizes what enters a layer, so share is a readout of the weight's norm:"
                " (1 / norm_growth)^2 for a goodness of squares. turned is free of scale."
            )
        if not self.has_gains:
            yield f"the file has no change of direction, the measure that is free of scale. {RECORD}"

    def claims(self, several: bool) -> Iterator[ffprobe.Claim]:
        """Appendix D's first experiment and its conclusion; the others are claims of ``weights`` and ``goodness``."""
        of = f"{self.label}: " if several else ""
        half = len(self.positive) // 2
        late = len(self.positive) >= ffprobe.GROWTH_EPOCHS
        mean = [_growth(self.positive[:, i], half) for i in range(self.depth)]
        text = (
            f"{of}from the middle epoch to the last, mean positive goodness grows at most {max(mean):.2f}-fold; it"
            " agrees if it less than doubles in every layer"
        )
        growth = ffprobe.judge(self.run, "", max(mean) < 2 if late else None, text, paper=TFF_D)
        yield ffprobe.Claim(
            "Trifecta, Appendix D and Figure 5",
            "TFF/d, CIFAR-10, 500 epochs: no layer's mean goodness grows without bounds.",
            f"{growth.text}.",
            growth.agrees,
            not_comparable=growth.not_comparable,
        )
        known = self.share[self.share == self.share]
        text = (
            f"{of}at initial norms {min(known, default=float('nan')):.2f} of the separation remain in the layer that"
            " loses most; it agrees if more than half remains in every layer"
        )
        rescaled = ffprobe.judge(self.run, "", bool((known > HALF).all()) if len(known) == self.depth else None, text)
        yield ffprobe.Claim(
            "Trifecta, Appendix D",
            "Scaling all weights up could lower the SymBa loss without learning, but is negligible in practice.",
            f"{rescaled.text}.",
            rescaled.agrees,
        )

    def to_dict(self) -> dict[str, Any]:
        return {"label": self.label, "verdict": self.verdict(), "steps": [int(s) for s in self.steps], "of": self.part}


def _known(values: np.ndarray) -> np.ndarray:
    """The measured values; NaN if there are none (a layer without a loss of its own)."""
    import numpy as np

    values = values[np.isfinite(values)]
    return values if len(values) else np.array([np.nan])


def _growth(values: np.ndarray, half: int) -> float:
    """The last value over the middle one; 1 if either is missing."""
    first, last = values[half - 1] if half else values[0], values[-1]
    return float(last / first) if first > 0 and last == last else 1.0


def _highest(values: np.ndarray) -> float:
    known = values[values == values]
    return float(known.max()) if len(known) and known.max() > 0 else 1.0


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Scaling]
