"""Is the softmax of goodness over labels a calibrated probability?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


class Calibration(ffprobe.PerRunProbe):
    """Calibration of the softmax of goodness over labels, per layer, without and with a fitted temperature.

    Scores are a layer's goodness for every label, and the scores of the run's evaluator if it uses several layers. The
    temperature is fitted on the validation images of the last evaluation and scored on the test set. If the test set
    was not evaluated, one half of the validation images is used to fit and the other half to score. Columns ending in
    ``_raw`` are at temperature 1, on the same images. ``floor`` is the error that perfectly calibrated predictions show
    by chance.
    """

    name = "calibration"
    source = "Guo et al. 2017 (arXiv:1706.04599), Section 4.2; not reported for Forward-Forward so far"
    question = "Is the softmax of goodness over labels a calibrated probability?"
    settings_in_extra = True

    class Params(ffprobe.Params):
        """Settings of the figure, and of the split of images."""

        layer: int = Field(0, ge=0, description="number of the layer drawn, from 1; 0 is the run's evaluator")
        seed: int = Field(
            0, ge=0, lt=2**31, description="random seed for the split of validation images and for the floor"
        )

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunCalibration:
        return _RunCalibration(run, label, self.params)

    def columns(self, results: Sequence[_RunCalibration]) -> list[ffprobe.Column]:
        columns = [
            ffprobe.Column("depth", "", "layer number, from 1; empty for the evaluator", key=True),
            ffprobe.Column("layer", "", "layer number, from 1, or the evaluator", key=True),
            ffprobe.Column("accuracy", "%", "accuracy of the label with the largest score", ".2f"),
            ffprobe.Column("temperature", "1", "fitted temperature, in units of the score", "#.3g"),
            ffprobe.Column("floor", "%", "ece of perfectly calibrated predictions with these confidences", ".2f"),
        ]
        for name, unit, text, style in (
            ("ece", "%", "expected calibration error, bins of equal width", ".2f"),
            ("ece_mass", "%", "expected calibration error, bins with equal numbers of images", ".2f"),
            ("nll", "nats", "negative log-likelihood of the true label", ".3f"),
            ("brier", "1", "Brier score, summed over labels, in [0, 2]", ".3f"),
        ):
            columns.append(ffprobe.Column(f"{name}_raw", unit, f"{text}, at temperature 1", style))
            columns.append(ffprobe.Column(name, unit, f"{text}, at the fitted temperature", style))
        return columns

    def notes(self, results: Sequence[_RunCalibration], claims: Sequence[ffprobe.Claim]) -> list[str]:
        return super().notes(results, claims) + NOTES

    def draw(self, figure: Figure, results: Sequence[_RunCalibration]) -> None:
        """Reliability diagrams at temperature 1 and at the fitted one; with one run, also a histogram of confidence."""
        left, right = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, fitted, title in ((left, False, "temperature 1"), (right, True, "temperature fitted")):
            series = []
            for i, result in enumerate(results):
                quality = result.drawn.tuned if fitted else result.drawn.raw
                if quality is None:
                    continue
                x, y = 100 * quality.bins.confidence, quality.bins.accuracy
                error = 100 * (y * (1 - y) / quality.bins.count) ** 0.5
                series.append(
                    ffprobe.Series(label="", x=x.tolist(), y=(100 * y).tolist(), error=error.tolist(), colour=i)
                )
                if len(results) == 1:
                    share = 100 * quality.bins.count / quality.bins.count.sum()
                    axes.bar(x, share, width=4, color="0.85", zorder=1, label="share of images")
            axes.plot([0, 100], [0, 100], color="0.45", linewidth=0.8, linestyle=(0, (6, 2)), marker="", zorder=1)
            ffprobe.line_by_layer(axes, series, xlabel="confidence (%)", ylabel="accuracy (%)")
            single = f"temperature {results[0].drawn.temperature:.3g}" if fitted else title
            axes.set_title(title if len(results) > 1 else single, loc="left")
            ticks = range(0, 101, 20)
            axes.set(xlim=(-3, 103), ylim=(-3, 103), aspect="equal", xticks=ticks, yticks=ticks)
            axes.label_outer()
        handles = [container for container in left.containers if hasattr(container, "lines")]
        if len(results) > 1:
            names = [result.label for result in results]
            figure.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)))
        else:
            bars = [container for container in left.containers if not hasattr(container, "lines")]
            depth, name = results[0].drawn.depth, results[0].drawn.name
            shown = f"layer {depth}" if depth else name
            figure.legend([*handles, *bars], [shown, "share of images"], loc="outside lower center", ncols=2)

    def figure_size(self, results: Sequence[_RunCalibration]) -> tuple[float, float]:
        return 5.5, 2.7


NOTES = [
    "ece uses 15 bins of equal width, ece_mass 15 bins with equal numbers of images. An error near the floor is not"
    " significant: perfectly calibrated predictions with the same confidences show it by chance, on average.",
]


class _Calibrated(NamedTuple):
    """The calibration of a layer, or of the evaluator.

    Attributes:
        depth: layer number, from 1; None for the evaluator.
        name: of the layer or the evaluator.
        temperature: as fitted; NaN without one.
        raw: quality at temperature 1; None without finite goodness.
        tuned: quality at the fitted temperature; None without one.
    """

    depth: int | None
    name: str
    temperature: float
    raw: Any
    tuned: Any


class _RunCalibration:
    """The calibration of each layer of a run, and of the evaluator if it uses several layers."""

    def __init__(self, run: ffprobe.RunFile, label: str, params: Any) -> None:
        self.run, self.label = run, label
        self.problems: list[str] = []
        self.layers = ffprobe.layer_numbers(run)
        if params.layer > len(self.layers):
            what = f"Layer {params.layer} does not exist; the network has {len(self.layers)} layers."
            hint = "Layers are numbered from 1; 0 is the evaluator."
            raise ffprobe.UsageError(what, where=str(run.path), hint=hint)
        fit, score, self.images = _images(run, params.seed)
        scored: list[tuple[int | None, str]] = [(i + 1, layer) for i, layer in enumerate(self.layers)]
        evaluator, used = _evaluator(run, len(self.layers))
        if evaluator is not None and len(used) > 1:
            scored.append((None, evaluator.name))
        elif not used:
            self.problems.append(
                "the run's evaluator is not installed, or not with these settings, so there are only single layers"
            )
        self.calibrated = [self._calibrate(depth, name, evaluator, fit, score, params.seed) for depth, name in scored]
        if without := [str(entry.depth or entry.name) for entry in self.calibrated if entry.raw is None]:
            self.problems.append(f"the goodness of layer {', '.join(without)} is NaN or infinite")
        shown = params.layer or (None if len(used) > 1 else used[0] + 1 if used else len(self.layers))
        self.drawn = next(entry for entry in self.calibrated if entry.depth == shown)
        if self.drawn.raw is None:
            what, hint = f"T{self.problems[-1][1:]}.", "Select another layer, for example calibration:layer=1."
            raise ffprobe.FileError(what, where=str(run.path), hint=hint)

    def _calibrate(
        self, depth: int | None, name: str, evaluator: ffprobe.Evaluator | None, fit: _Images, score: _Images, seed: int
    ) -> _Calibrated:
        import numpy as np

        scores, fit_scores = (_scores(images.goodness, depth, evaluator) for images in (score, fit))
        if not np.isfinite(scores).all() or not np.isfinite(fit_scores).all():
            return _Calibrated(depth, name, float("nan"), None, None)
        temperature, why = float("nan"), "there are no images to fit on"
        if len(fit.truth):
            temperature, why = ffprobe.fit_temperature(fit_scores, fit.truth)
        if why:
            self.problems.append(f"{f'layer {depth}' if depth else name} has no temperature: {why}")
        raw = ffprobe.probability_quality(scores, score.truth, seed=seed)
        tuned = None if why else ffprobe.probability_quality(scores, score.truth, temperature, seed=seed)
        return _Calibrated(depth, name, temperature, raw, tuned)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        nan = float("nan")
        for depth, name, temperature, raw, tuned in self.calibrated:
            if raw is None:
                yield (depth, name, *(nan,) * 11)
                continue
            floor = 100 * (tuned or raw).floor
            pairs = [
                (100 * raw.ece, 100 * tuned.ece if tuned else nan),
                (100 * raw.ece_mass, 100 * tuned.ece_mass if tuned else nan),
                (raw.nll, tuned.nll if tuned else nan),
                (raw.brier, tuned.brier if tuned else nan),
            ]
            yield (depth, name, 100 * raw.accuracy, temperature, floor, *(value for pair in pairs for value in pair))

    def notes(self) -> Iterator[str]:
        if not self.run.complete:
            yield f"the run is unfinished; the file has {self.run.epochs} epochs."
        yield f"{self.images}."
        yield from (f"{problem}." for problem in self.problems)
        loss = self.run.config.get("loss", {})
        if hasattr(loss, "get") and isinstance(loss.get("alpha"), (int, float)):
            temperature = 1 / loss["alpha"]
            yield (
                "the loss uses alpha times a difference of goodness as log odds, which is a temperature of"
                f" {temperature:.3g}."
            )

    def to_dict(self) -> dict[str, Any]:
        return {"label": self.label, "path": str(self.run.path), "images": self.images}


class _Images(NamedTuple):
    """Images to fit or to score on.

    Attributes:
        goodness: ``[layers, images, labels]``.
        truth: int ``[images]``.
    """

    goodness: np.ndarray
    truth: np.ndarray


def _images(run: ffprobe.RunFile, seed: int) -> tuple[_Images, _Images, str]:
    """Images to fit on and to score on, and a description of how they were selected."""
    import numpy as np

    def read(group: str, last: bool) -> _Images:
        goodness = run.variable(f"{group}/goodness")
        return _Images(goodness[-1] if last else goodness[...], run.read(f"{group}/true_label"))

    has_validation = run.has("evaluation/goodness") and len(run.variable("evaluation/goodness"))
    if run.complete and run.has("test/goodness"):
        test = read("test", False)
        if not has_validation:
            nothing = _Images(test.goodness[:, :0], test.truth[:0])
            return nothing, test, f"scored on {len(test.truth)} test images; nothing to fit on"
        fit = read("evaluation", True)
        return fit, test, f"fitted on {len(fit.truth)} validation images, scored on {len(test.truth)} test images"
    if not has_validation or run.variable("evaluation/true_label").shape[0] < 4:
        hint = "Resume the run until its first evaluation, or train with training.validation_fraction above 0."
        raise ffprobe.FileError("The file has the goodness of fewer than 4 images.", where=str(run.path), hint=hint)
    goodness, truth = read("evaluation", True)
    order = np.random.default_rng(seed).permutation(len(truth))
    a, b = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    text = f"the test set was not evaluated: fitted on {len(a)} validation images, scored on the other {len(b)}"
    return _Images(goodness[:, a], truth[a]), _Images(goodness[:, b], truth[b]), text


def _evaluator(run: ffprobe.RunFile, depth: int) -> tuple[ffprobe.Evaluator | None, list[int]]:
    """The run's evaluator and the layers that it uses; None and no layers if it is not available."""
    config = run.config.get("evaluator", {})
    config = dict(config) if hasattr(config, "keys") else {"name": config}
    component: Any = ffprobe.registered("evaluator").get(str(config.pop("name", "")))
    try:
        evaluator = component(component.Params.model_validate(config)) if component else None
    except ValueError:  # recorded by another version of the evaluator
        evaluator = None
    return evaluator, evaluator.layers(depth) if evaluator else []


def _scores(goodness: np.ndarray, depth: int | None, evaluator: ffprobe.Evaluator | None) -> np.ndarray:
    """Scores ``[images, labels]`` of layer ``depth``, from 1, or of the evaluator if ``depth`` is None."""
    import torch

    if depth is not None:
        return goodness[depth - 1]
    assert evaluator is not None
    return evaluator.scores(torch.from_numpy(goodness.astype("float64"))).numpy()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Calibration]
