"""How well does each layer predict the next token? Cross entropy and perplexity."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

RAW = (
    "Goodness of form pair is no log probability: its scale is that of the threshold, not of a likelihood, so that its "
    "softmax has no perplexity."
)


class Perplexity(ffprobe.PerRunProbe):
    """The cross entropy of each layer's goodness as logits, in nats and bits per sample, and the perplexity exp(cross
    entropy in nats), with 95 % bootstrap intervals over samples.

    A sample is one input and its label: for text, the next byte or token. Perplexity is the number of equally likely
    labels that would be as hard to predict: K for uniform logits over K labels, 1 for certainty. The samples are those
    of the test set, or of the validation set at the last evaluation if the test set was not evaluated.

    A goodness of form ``pair`` needs ``calibrate``, which fits a temperature to each layer on one half of the samples
    (Guo et al. 2017) and scores the other half; for form ``class`` it measures how much of the cross entropy is a wrong
    scale.
    """

    name = "perplexity"
    source = "Jelinek et al. 1977, doi:10.1121/1.2016299; temperature: Guo et al. 2017, arXiv:1706.04599"
    question = "How well does each layer predict the label (the next token)?"
    settings_in_extra = True

    class Params(ffprobe.Params):
        """Whether a temperature is fitted, and the bootstrap."""

        calibrate: bool = Field(
            False, description="fit a temperature to each layer on one half of the samples and score the other half"
        )
        seed: int = Field(0, ge=0, lt=2**31, description="random seed for the halves and the bootstrap")
        resamples: int = Field(2000, ge=100, le=100_000, description="number of bootstrap resamples of the samples")

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunPerplexity:
        return _RunPerplexity(run, label, self.params)

    def columns(self, results: Sequence[_RunPerplexity]) -> list[ffprobe.Column]:
        column = ffprobe.Column
        columns = [
            column("layer", "", "layer number, from 1", key=True),
            column("accuracy", "%", "accuracy of the label with the largest goodness", ".2f", better="higher"),
            column("nats", "nats", "cross entropy per sample", ".3f", better="lower"),
            column("bits", "bits", "cross entropy per sample", ".3f"),
            column("perplexity", "1", "exp of the cross entropy in nats", ".3f", better="lower"),
            column("low", "1", "lower end of its 95 % bootstrap interval", ".3f", low_of="perplexity"),
            column("high", "1", "upper end of its 95 % bootstrap interval", ".3f", high_of="perplexity"),
        ]
        if self.params.calibrate:
            columns.append(column("temperature", "1", "fitted temperature, in units of goodness", "#.3g"))
        return columns

    def notes(self, results: Sequence[_RunPerplexity], claims: Sequence[ffprobe.Claim]) -> list[str]:
        return [*super().notes(results, claims), NOTE]

    def draw(self, figure: Figure, results: Sequence[_RunPerplexity]) -> None:
        """Perplexity over the layers, one line for each run; dashed, that of the label frequencies alone."""
        axes = figure.subplots()
        series = []
        for number, result in enumerate(results):
            scored = [(i, s) for i, s in enumerate(result.scores, 1) if s is not None]
            x, y = [i for i, _ in scored], [math.exp(s.entropy.mean) for _, s in scored]
            series.append(ffprobe.Series(label=result.label, x=x, y=y, colour=number))
        ffprobe.line_by_layer(axes, series, ylabel="perplexity")
        axes.axhline(math.exp(results[0].frequencies), color="0.45", linewidth=0.8, linestyle=(0, (6, 2)), zorder=1)


NOTE = (
    "the intervals cover the samples only, not the seed of the run, and take samples as independent: windows of one"
    " text that overlap are not, and their intervals are too short."
)


class _Score(NamedTuple):
    """The score of one layer: its accuracy in [0, 1], cross entropy in nats, and temperature."""

    accuracy: float
    entropy: ffprobe.Estimate
    temperature: float


class _RunPerplexity:
    """The perplexity of each layer of one run."""

    def __init__(self, run: ffprobe.RunFile, label: str, params: Any) -> None:
        self.run, self.label, self.params = run, label, params
        self.problems: list[str] = []
        self.pair = run.attributes.get("goodness_form", "pair") == "pair"
        if self.pair and not params.calibrate:
            hint = "Fit a temperature to it: perplexity:calibrate=true."
            raise ffprobe.FileError(RAW, where=str(run.path), hint=hint)
        goodness, truth, self.samples = _samples(run)
        self.frequencies = _entropy_of(truth)
        fit, score = _halves(len(truth), params.seed) if params.calibrate else (slice(0, 0), slice(None))
        self.count = len(truth[score])
        self.scores = [
            self._score(number, logits[fit].astype(float), truth[fit], logits[score].astype(float), truth[score])
            for number, logits in enumerate(goodness, 1)
        ]

    def _score(
        self, layer: int, fit: np.ndarray, fit_truth: np.ndarray, logits: np.ndarray, truth: np.ndarray
    ) -> _Score | None:
        import numpy as np
        import torch
        from scipy.special import log_softmax

        if not (np.isfinite(logits).all() and np.isfinite(fit).all()):
            self.problems.append(f"the goodness of layer {layer} is NaN or infinite: no loss trains it, or it diverged")
            return None
        temperature = 1.0
        if self.params.calibrate:
            temperature, why = ffprobe.fit_temperature(fit, fit_truth)
            if why:
                self.problems.append(f"layer {layer} has no temperature: {why}")
                return None
        losses = -log_softmax(logits / temperature, axis=1)[np.arange(len(truth)), truth]
        entropy = ffprobe.mean_bootstrap(losses, resamples=self.params.resamples, seed=self.params.seed)
        right = ffprobe.predicted_labels(torch.from_numpy(logits)).numpy() == truth  # a tie is wrong
        return _Score(float(right.mean()), entropy, temperature)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        for layer, score in enumerate(self.scores, 1):
            if score is None:
                yield (layer, *[math.nan] * (6 + self.params.calibrate))
                continue
            nats = score.entropy
            perplexity = [math.exp(value) for value in (nats.mean, nats.low, nats.high)]
            row = (layer, 100 * score.accuracy, nats.mean, nats.mean / math.log(2), *perplexity)
            yield (*row, score.temperature) if self.params.calibrate else row

    def notes(self) -> Iterator[str]:
        if not self.run.complete:
            yield f"the run is unfinished; the file has {self.run.epochs} epochs."
        if self.params.calibrate:
            what = "fitted on one half and scored on the other, at a temperature for each layer"
            yield f"{self.count} of the {self.samples} are scored; {what}."
        else:
            yield f"scored on the {self.samples}, with goodness as logits at temperature 1."
        yield (
            f"the label frequencies alone have a perplexity of {math.exp(self.frequencies):.3f} "
            f"({self.frequencies:.3f} nats); below it, a layer reads its input."
        )
        loss: Any = self.run.config.get("loss", {})
        name = str(loss.get("name", "") if hasattr(loss, "get") else loss)
        if not self.pair and name != "cross-entropy" and not self.params.calibrate:
            yield f"the loss {name!r} does not train goodness as log probabilities; see perplexity:calibrate=true."
        yield from (f"{problem}." for problem in self.problems)

    def to_dict(self) -> dict[str, Any]:
        return {"label": self.label, "path": str(self.run.path), "samples": self.samples, "scored": self.count}


def _samples(run: ffprobe.RunFile) -> tuple[np.ndarray, np.ndarray, str]:
    """Goodness ``[layers, samples, labels]``, true labels ``[samples]``, and what they are."""
    if run.complete and run.has("test/goodness"):
        truth = run.read("test/true_label")
        return run.variable("test/goodness")[...], truth, f"{len(truth)} test samples"
    if not run.has("evaluation/goodness") or not len(run.variable("evaluation/goodness")):
        hint = "Resume the run until its first evaluation, or train with training.validation_fraction above 0."
        raise ffprobe.FileError("The file has no goodness of held-out samples.", where=str(run.path), hint=hint)
    truth = run.read("evaluation/true_label")
    return run.variable("evaluation/goodness")[-1], truth, f"{len(truth)} validation samples"


def _halves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])


def _entropy_of(truth: np.ndarray) -> float:
    """The entropy of the label frequencies, in nats."""
    import numpy as np
    from scipy.special import entr

    counts = np.bincount(truth)
    return float(entr(counts / counts.sum()).sum())


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Perplexity]
