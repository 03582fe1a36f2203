"""How much of what a network's features know does its own prediction miss? A linear readout of all layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

READOUTS = ("all", "last", "untrained")


class Readout(ffprobe.PerRunProbe):
    """Accuracy of a linear readout of all layers' recorded features, minus the accuracy of the run's own prediction.

    The readout is multinomial logistic regression on the z-scored features of all layers together (with the neutral
    label), fitted on recorded training images and scored on recorded held-out images. ``native`` is the validation
    accuracy of the run's own evaluator. A large ``gap`` means that the layers know more than goodness reads; a gap of 0
    with a low accuracy means that they do not know it. Beside it stand the same readout of the last layer alone, and of
    all layers of the untrained network, the floor: what random features give away.

    The readout sees few images (``recording.samples``) and reduced features (``recording.max_features``), so it
    underestimates what a readout trained on everything would find. The two accuracies are of different held-out images,
    so the error of the gap is that of two independent proportions.
    """

    name = "readout"
    source = (
        "linear readout of hidden layers: Hinton 2022 (arXiv:2212.13345); its difference to native accuracy: a question"
        " of The Price of Locality (arXiv:2609.33240); the fit is this project's own"
    )
    needs = frozenset({"activations"})
    question = "How much more can a linear readout of all layers predict than the run's own evaluator?"
    settings_in_extra = True

    class Params(ffprobe.Params):
        """Settings of the readout."""

        stage: Literal["pre", "post"] = Field(
            "post", description="activations before (pre) or after (post) the normalizer"
        )
        l2: float = Field(1.0, gt=0, description="L2 penalty, l2 / 2 * ||W||^2, added to the summed loss")

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunReadout:
        return _RunReadout(run, label, self.params)

    def columns(self, results: Sequence[_RunReadout]) -> list[ffprobe.Column]:
        column = ffprobe.Column
        return [
            column(
                "features", "", "whose features are read: those of all layers, the last, or all untrained", key=True
            ),
            column("readout", "%", "held-out accuracy of the linear readout", ".1f"),
            column("readout_se", "%", "binomial standard error", ".1f", spread_of="readout"),
            column("native", "%", "validation accuracy by the run's evaluator", ".1f"),
            column("native_se", "%", "binomial standard error", ".1f", spread_of="native"),
            column("gap", "points", "readout minus native", "+.1f"),
            column("gap_se", "points", "standard error of the gap", ".1f", spread_of="gap"),
        ]

    def draw(self, figure: Figure, results: Sequence[_RunReadout]) -> None:
        """For each run, its own prediction and the readouts, as points in a row."""
        axes = figure.subplots()
        labels = ["native", *READOUTS]
        for i, result in enumerate(results):
            values = [(result.native, _error(result.native, result.validation))]
            values += [(result.accuracy[name], _error(result.accuracy[name], result.images)) for name in READOUTS]
            y, error = zip(*values, strict=True)
            look = {**ffprobe.line_look(i), "linestyle": ""}
            axes.errorbar(range(len(labels)), y, yerr=error, label=result.label, elinewidth=0.7, **look)
        axes.set_xticks(range(len(labels)), labels)
        axes.set(ylabel="accuracy (%)", xlim=(-0.5, len(labels) - 0.5))
        if len(results) > 1:
            figure.legend(loc="outside lower center", ncols=2)


def readout_accuracy(features: np.ndarray, labels: np.ndarray, held: np.ndarray, l2: float) -> float:
    """The fraction of held-out images that a linear readout, fitted on the others, classifies correctly.

    Args:
        features: ``[N, features]``.
        labels: integers ``[N]``.
        held: bool ``[N]``, the images that are scored.
        l2: strength of the penalty, as in ``ffprobe.fit_head``.
    """
    import torch

    x, y = torch.from_numpy(features.astype("f8")), torch.from_numpy(labels.astype("i8"))
    known = torch.from_numpy(~held)
    head = ffprobe.fit_head(x[known], y[known], int(y.max()) + 1, l2)
    return float((head.log_probabilities(x[~known]).argmax(dim=1) == y[~known]).double().mean())


class _RunReadout:
    """The readouts of one run, in percent."""

    def __init__(self, run: ffprobe.RunFile, label: str, params: Any) -> None:
        import numpy as np

        self.run, self.label, self.stage = run, label, params.stage
        self.recorded = ffprobe.RecordedActivations(run)
        self.places = [p for p in self.recorded.places if p.depth and p.stage == params.stage]
        self.images = int(self.recorded.held.sum())
        self.fitted = len(self.recorded.held) - self.images
        course = run.read("metrics/model_validation_accuracy").astype(float)
        final = run.complete and run.has("final/model_validation_accuracy")
        native = float(run.read("final/model_validation_accuracy")) if final else float("nan")
        if native != native and np.isfinite(course).any():
            native = float(course[np.isfinite(course)][-1])
        self.native = 100 * native
        self.validation = run.variable("evaluation/true_label").shape[0] if run.has("evaluation/true_label") else 0
        if native != native or not self.images or not self.fitted:
            what = "The run measured no accuracy of its own." if native != native else "No image was held out."
            hint = "Train with training.validation_fraction above 0, and resume until the first evaluation."
            raise ffprobe.FileError(what, where=str(run.path), hint=hint)
        shape = {"accuracy": (len(READOUTS),)}
        settings = params.model_dump()
        fits = ffprobe.cached("readout", [run], settings, shape, lambda: {"accuracy": self._fit(params.l2)})
        self.accuracy = dict(zip(READOUTS, (100 * fits["accuracy"]).tolist(), strict=True))

    def _fit(self, l2: float) -> np.ndarray:
        """The fractions of ``READOUTS``; NaN for an untrained network that was not recorded."""
        import numpy as np

        untrained = all(self.recorded.untrained(place) for place in self.places)
        chosen = {"all": (self.places, -1), "last": (self.places[-1:], -1), "untrained": (self.places, 0)}
        values = np.full(len(READOUTS), np.nan)
        for i, (name, (places, row)) in enumerate(chosen.items()):
            if name == "untrained" and not untrained:
                continue
            ffprobe.report_progress(f"{self.run.path}: readout of {name}")
            matrices = [self.recorded.matrix(place, row) for place in places]
            features = np.concatenate([np.asarray(matrix) for matrix in matrices], axis=1)
            if not np.isfinite(features).all():
                where, hint = matrices[0].name, "The run diverged; check its losses and its learning rate."
                raise ffprobe.FileError("The activations contain NaN or infinity.", where=where, hint=hint)
            values[i] = readout_accuracy(features, self.recorded.truth, self.recorded.held, l2)
        return values

    def rows(self) -> Iterator[tuple[Any, ...]]:
        native = (self.native, _error(self.native, self.validation))
        for name, value in self.accuracy.items():
            error = _error(value, self.images)
            spread = (error**2 + native[1] ** 2) ** 0.5
            yield (name, value, error, *native, value - self.native, spread)

    def notes(self) -> Iterator[str]:
        yield (
            f"readout fitted on {self.fitted} training images, scored on {self.images} held-out images, after epoch"
            f" {self.recorded.last_epoch}, stage {self.stage}; native on {self.validation} validation images."
        )
        yield "A readout of few images underestimates what the features know; record more with recording.samples."
        if self.accuracy["untrained"] != self.accuracy["untrained"]:
            yield "The untrained network was not recorded, so there is no floor."

    def to_dict(self) -> dict[str, Any]:
        counts = {"fit_images": self.fitted, "held_out_images": self.images, "validation_images": self.validation}
        return {"label": self.label, "path": str(self.run.path), **counts, "epoch": self.recorded.last_epoch}


def _error(percent: float, count: int) -> float:
    """Binomial standard error in percent."""
    return float((percent * (100 - percent) / count) ** 0.5) if count else float("nan")


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Readout]
