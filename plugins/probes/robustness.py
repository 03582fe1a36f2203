"""What does a network's accuracy lose to noise, corruption and coarse weights?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ffprobe_plugins.probes.perturbations import PERTURBATIONS, change_weights, changed_pixels, possible
from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    from ffprobe_plugins.probes.perturbations import Perturbation
    from matplotlib.figure import Figure


class Robustness(ffprobe.PerRunProbe):
    """Accuracy on recorded images with changed pixels, and of the network with changed weights.

    Pixels: normal noise, Gaussian blur, contrast and brightness, then clipped and rounded to 8 bits. Weights: normal
    noise relative to each weight's standard deviation, and quantization to a few bits, of every parameter of two or
    more dimensions; batch statistics are not adapted. ``drop`` is the loss of the run's evaluator against the same
    images and weights unchanged, with the standard error over images. Noise is drawn several times, and accuracies are
    means over the draws.

    The network is rebuilt from the run file and runs on the CPU; with many labels, layers and images that takes
    minutes. The images are those of the file (``recording.images``), by default validation images, so that nobody
    chooses on the test set. The strengths are this project's own, not those of a benchmark such as ImageNet-C.
    """

    name = "robustness"
    source = "kinds of corruption: Hendrycks and Dietterich 2019 (arXiv:1903.12261); strengths: this project's own"
    question = "How much accuracy does the network lose to noise, corrupted images and coarse weights?"
    settings_in_extra = True

    class Params(ffprobe.Params):
        """Which images, and how often noise is drawn."""

        part: Literal["validation", "test"] = Field("validation", description="which recorded images are classified")
        images: int = Field(200, ge=1, description="maximum number of images")
        draws: int = Field(3, ge=1, le=100, description="number of draws of noise")

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunRobustness:
        return _RunRobustness(run, label, self.params)

    def columns(self, results: Sequence[_RunRobustness]) -> list[ffprobe.Column]:
        column, deepest = ffprobe.Column, max(result.depth for result in results)
        return [
            column("change", "", "what was changed", key=True),
            column("strength", "1", "how much; units are in the notes", "g", key=True),
            column("accuracy", "%", "accuracy of the run's evaluator", ".1f"),
            column("accuracy_se", "%", "binomial standard error", ".1f", spread_of="accuracy"),
            column("drop", "points", "below the unchanged network and images", "+.1f"),
            column("drop_se", "points", "standard error, paired by image", ".1f", spread_of="drop"),
            column("draws_sd", "%", "standard deviation over the draws of noise", ".1f", detail=True),
            *(
                column(f"layer_{i + 1}", "%", f"accuracy of layer {i + 1} alone", ".1f", detail=True)
                for i in range(deepest)
            ),
        ]

    def rows(self, results: Sequence[_RunRobustness]) -> list[tuple[Any, ...]]:
        columns = len(self.columns(results)) + (len(results) > 1)
        return [(*row, *[float("nan")] * (columns - len(row))) for row in super().rows(results)]

    def draw(self, figure: Figure, results: Sequence[_RunRobustness]) -> None:
        """A panel for each kind of change: accuracy by strength, from the unchanged network on."""
        kinds = [one for one in PERTURBATIONS if any(m.change == one.name for r in results for m in r.measured)]
        for axes, one in zip(figure.subplots(2, 3, sharey=True).flat, kinds, strict=False):
            for colour, result in enumerate(results):
                own = [result.clean, *(m for m in result.measured if m.change == one.name)]
                values = [100 * float(m.model.mean()) for m in own]
                axes.plot(range(len(own)), values, label=result.label, **ffprobe.line_look(colour))
            axes.set_xticks(range(len(one.strengths) + 1), ["-", *(f"{s:g}" for s in one.strengths)])
            axes.set_title(one.name, fontsize="medium")
        figure.supylabel("accuracy (%)", fontsize="medium")
        if len(results) > 1:
            handles, labels = figure.axes[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=2)

    def figure_size(self, results: Sequence[_RunRobustness]) -> tuple[float, float]:
        return 5.5, 3.4


@dataclass(frozen=True)
class Measured:
    """What one change left.

    Attributes:
        change: name of the change, empty for none.
        strength: of the change.
        model: how often each image was classified correctly, mean over draws, ``[N]``.
        layers: accuracy of each layer alone, mean over draws, ``[L]``; NaN for a layer without goodness.
        spread: standard deviation of the accuracy over draws; NaN for one draw.
    """

    change: str
    strength: float
    model: np.ndarray
    layers: np.ndarray
    spread: float


class _RunRobustness:
    """The accuracies of one run."""

    def __init__(self, run: ffprobe.RunFile, label: str, params: Any) -> None:
        self.run, self.label, self.params = run, label, params
        self.network = ffprobe.RecordedNetwork(run, params.part, params.images)
        self.depth = self.network.network.depth
        self.images, channels = len(self.network.images), self.network.images.shape[0]
        self.clean = self._measure(None, 0.0)
        self.kinds = list(possible(channels))
        self.measured = []
        for one in self.kinds:
            ffprobe.report_progress(f"{run.path}: {one.name}")
            self.measured += [self._measure(one, strength) for strength in one.strengths]

    def _measure(self, one: Perturbation | None, strength: float) -> Measured:
        import numpy as np

        pixels, models, layers = self.network.images.pixels, [], []
        for draw in range(self.params.draws if one and one.random else 1):
            changed, undo = pixels, lambda: None
            if one and one.of == "pixels":
                changed = changed_pixels(one, strength, pixels, draw)
            elif one:
                undo = change_weights(one, strength, self.network.network, draw)
            correct = self.network.correct(changed)
            undo()
            models.append(correct.model.double().numpy())
            own = correct.layers.double().mean(dim=1).numpy()
            layers.append(np.where(correct.measured.numpy(), own, np.nan))
        spread = float(np.std([model.mean() for model in models], ddof=1)) if len(models) > 1 else float("nan")
        return Measured(one.name if one else "", strength, np.mean(models, axis=0), np.mean(layers, axis=0), spread)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        for m in (self.clean, *self.measured):
            accuracy = float(m.model.mean())
            error = (accuracy * (1 - accuracy) / self.images) ** 0.5
            gain = ffprobe.gain_test(self.clean.model, m.model)
            drop = (-gain.gain, gain.error) if m.change else (float("nan"), float("nan"))
            layers = [100 * float(value) for value in m.layers]
            name, strength = m.change or "none", m.strength if m.change else float("nan")
            yield (name, strength, 100 * accuracy, 100 * error, *drop, 100 * m.spread, *layers)

    def notes(self) -> Iterator[str]:
        yield f"{self.images} recorded {self.params.part} images; {self.params.draws} draws of each noise."
        yield "Strengths: " + "; ".join(f"{one.name}, {one.unit}" for one in self.kinds) + "."
        if len(self.kinds) < len(PERTURBATIONS):
            yield "Contrast and brightness are defined for images of one or three channels."

    def to_dict(self) -> dict[str, Any]:
        return {"label": self.label, "path": str(self.run.path), "images": self.images, "part": self.params.part}


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Robustness]
