"""Does depth help? The gain of each layer, the epoch in which it learns, and its correlation with the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


class Depth(ffprobe.PerRunProbe):
    """The gain of each layer over the one before, when it learns, and whether the model's accuracy follows it.

    Gains are paired by image, on the test set if it was evaluated, else on the validation set. ``epoch`` is the first
    evaluated epoch at which the layer has reached ``reach`` percent of its own final validation accuracy; the true
    epoch is between ``not_by``, the evaluation before, and ``epoch``. Correlations (Pearson) are between the layer's
    validation accuracy and the model's: over the evaluated epochs of a run, and, with three runs or more, over runs.
    """

    name = "depth"
    source = "Trifecta (arXiv:2311.18130) Section 7; Adamson (arXiv:2504.11229)"
    question = "Does depth help: how much does each layer add, and when does it learn?"
    settings_in_extra = True

    class Params(ffprobe.Params):
        """The criterion for when a layer has learned."""

        reach: float = Field(
            90.0, gt=0, le=100, description="percent of its own final accuracy at which a layer counts as trained"
        )

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunDepth:
        return _RunDepth(run, label, self.params.reach / 100)

    def columns(self, results: Sequence[_RunDepth]) -> list[ffprobe.Column]:
        column, paired = ffprobe.Column, "standard error, paired by image"
        columns = [
            column("depth", "", "layer number, from 1", key=True),
            column("layer", "", "layer number, from 1, as text", key=True),
            column("accuracy", "%", "final accuracy from this layer's goodness alone", ".2f"),
            column("gain", "points", "gain over the layer before", "+.2f"),
            column("gain_se", "points", paired, ".2f", spread_of="gain"),
            column("over_middle", "points", "gain over the middle layer", "+.2f"),
            column("over_middle_se", "points", paired, ".2f", spread_of="over_middle"),
            column("epoch", "epoch", f"first evaluation at {self.params.reach:g} % of its own final accuracy", ".4g"),
            column("not_by", "epoch", "the evaluation before that; 0 if there is none", ".4g"),
            column("correlation", "1", "correlation with the model's accuracy, over the evaluated epochs", ".3f"),
        ]
        if len(results) > 1:
            columns.append(column("over_runs", "1", "correlation with the model's accuracy, over runs", ".3f"))
        return columns

    def rows(self, results: Sequence[_RunDepth]) -> list[tuple[Any, ...]]:
        rows, joint = super().rows(results), _Joint.of(results)
        if len(results) > 1:
            rows = [(*row, float("nan")) for row in rows]  # the correlation over runs is in rows of its own
        return rows + (joint.rows() if joint else [])

    def notes(self, results: Sequence[_RunDepth], claims: Sequence[ffprobe.Claim]) -> list[str]:
        notes, joint = super().notes(results, claims), _Joint.of(results)
        if len(results) > 1 and joint is None:
            notes.append("Correlations over runs need three runs of the same depth.")
        return (
            notes
            + (list(joint.notes()) if joint else [])
            + (CRITERION if any(not claim.not_comparable for claim in claims) else [])
        )

    def claims(self, results: Sequence[_RunDepth]) -> list[ffprobe.Claim]:
        several, joint = len(results) > 1, _Joint.of(results)
        gains, delays, correlations = [], [], []
        for indices in ffprobe.seed_groups([result.run for result in results]):
            seeds = [results[i] for i in indices]
            if ffprobe.in_setting(seeds[0].run, DEEP):
                label = ", ".join(result.label for result in seeds) if several else ""
                agrees, text, p = _gains(seeds)
                runs = [result.run for result in seeds]
                gains.append(ffprobe.judge(runs, label, agrees, text, p=p, paper=TFF_D))
        for result in results:
            if ffprobe.in_setting(result.run, PAIRS):
                label = result.label if several else ""
                delays.append(ffprobe.judge(result.run, label, *_learns_later(result), paper=ADAMSON))
        if joint and not list(joint.notes()) and ffprobe.in_setting(results[0].run, PAIRS):
            agrees, text, p = _correlates(joint)
            runs = [result.run for result in results]
            correlations.append(ffprobe.judge(runs, "", agrees, text, p=p, paper=ADAMSON))
        claims = [
            ffprobe.joint_claim(
                "Trifecta, Section 7",
                "every further layer gains, layer 12 is 3.7 points above layer 6 (TFF/d, CIFAR-10, 500 epochs).",
                gains,
            ),
            ffprobe.joint_claim(
                "Adamson 2025 (arXiv:2504.11229)",
                "deeper layers improve later than shallower ones (fully connected Forward-Forward, MNIST).",
                delays,
            ),
            ffprobe.joint_claim(
                "Adamson 2025 (arXiv:2504.11229)",
                "over 30 seeds a shallow layer's accuracy is strongly correlated with the model's, a deep layer's is"
                " less correlated.",
                correlations,
            ),
        ]
        return [claim for claim in claims if claim]

    def draw(self, figure: Figure, results: Sequence[_RunDepth]) -> None:
        """Gain, epoch of learning and correlation, by layer."""
        panels = figure.subplots(1, 3)
        series: tuple[list[ffprobe.Series], ...] = ([], [], [])
        for result in results:
            gains = [result.gain(i - 1, i) for i in range(1, result.depth)]
            layers = list(range(1, result.depth + 1))
            series[0].append(
                ffprobe.Series(label="", x=layers[1:], y=[g for g, _ in gains], error=[e for _, e in gains])
            )
            series[1].append(ffprobe.Series(label="", x=layers, y=result.reached))
            series[2].append(ffprobe.Series(label="", x=layers, y=result.correlation))
        ylabels = ("gain (points)", "epoch of learning", "correlation with model")
        for axes, lines, ylabel in zip(panels, series, ylabels, strict=True):
            ffprobe.line_by_layer(axes, lines, ylabel=ylabel)
        panels[0].axhline(0, color="0.45", linewidth=0.8, zorder=1)
        panels[1].set_ylim(bottom=0)
        if len(results) > 1:
            names = [result.label for result in results]
            figure.legend(panels[1].containers, names, loc="outside lower center", ncols=min(4, len(names)))

    def figure_size(self, results: Sequence[_RunDepth]) -> tuple[float, float]:
        return 5.5, 2.1


CRITERION = [ffprobe.GAIN_CRITERION]
TFF_D = ffprobe.paper_setting("tff-d", "cifar10", 500)
ADAMSON = ffprobe.paper_setting("fcn", "mnist")
DEEP = {"loss": {"symba"}, "normalizer": {"batchnorm"}, "scheduler": {"olu"}}
PAIRS = {"rule": {"forward-forward"}, "loss": {"fixed-threshold", "symba"}}


class _RunDepth:
    """The layers of one run."""

    def __init__(self, run: ffprobe.RunFile, label: str, reach: float) -> None:
        import numpy as np
        import torch

        self.run, self.label = run, label
        self.layers = ffprobe.layer_numbers(run)
        self.depth, self.middle = len(self.layers), max(1, len(self.layers) // 2)
        accuracy = 100 * run.read("metrics/validation_accuracy").astype(float)
        measured = np.flatnonzero(np.isfinite(accuracy).any(axis=1))
        if not len(measured) or not run.has("evaluation/goodness") or not len(run.variable("evaluation/goodness")):
            hint = "Resume the run until its first evaluation, or train with training.validation_fraction above 0."
            raise ffprobe.FileError("The run measured no accuracy.", where=str(run.path), hint=hint)
        if without := [str(i + 1) for i in np.flatnonzero(np.isnan(accuracy[measured[-1]]))]:
            what = f"Layer {', '.join(without)} has no goodness of its own, so layers cannot be compared."
            hint = "Use a run of a local rule; `ffprobe analyze probes` compares the layers of any network."
            raise ffprobe.FileError(what, where=str(run.path), hint=hint)
        self.epochs = run.read("metrics/epoch")[measured]
        self.course = accuracy[measured]  # [evaluations, layers]
        self.model = 100 * run.read("metrics/model_validation_accuracy").astype(float)[measured]
        self.tested = bool(run.complete and run.has("test/goodness"))
        part: str = "test" if self.tested else "evaluation"
        recorded, truth = run.variable(f"{part}/goodness"), run.read(f"{part}/true_label")
        goodness = recorded[...] if self.tested else recorded[-1]
        if not np.isfinite(goodness).all():
            where = f"{part}/goodness of {run.path}"
            raise ffprobe.FileError("The last goodness contains NaN or infinity.", where=where)
        predicted = ffprobe.predicted_labels(torch.from_numpy(np.asarray(goodness))).numpy()
        self.right: np.ndarray = predicted == truth  # [layers, images]
        enough = reach * self.course[-1] * (1 - 1e-6)  # accuracies are float32: 0.9 is slightly less than 90 %
        rows = [int(np.argmax(self.course[:, i] >= enough[i])) for i in range(self.depth)]
        self.reached = [int(self.epochs[row]) for row in rows]
        self.not_by = [int(self.epochs[row - 1]) if row else 0 for row in rows]
        self.correlation = [_pearson(self.course[:, i], self.model) for i in range(self.depth)]

    def rows(self) -> Iterator[tuple[Any, ...]]:
        nothing = (float("nan"), float("nan"))
        for i, layer in enumerate(self.layers):
            gain = self.gain(i - 1, i) if i else nothing
            over = self.gain(self.middle - 1, i) if i != self.middle - 1 else nothing
            accuracy = 100 * self.right[i].mean()
            yield (i + 1, layer, accuracy, *gain, *over, self.reached[i], self.not_by[i], self.correlation[i])

    def gain(self, before: int, after: int) -> tuple[float, float]:
        """Gain of layer ``after`` over layer ``before`` (from 0) and its standard error, in points."""
        return ffprobe.accuracy_gain(self.right[before], self.right[after])

    def notes(self) -> Iterator[str]:
        if not self.run.complete:
            yield f"the run is unfinished; final means after epoch {self.epochs[-1]}."
        part = "test" if self.tested else "validation"
        steps = sorted({int(b - a) for a, b in zip([0, *self.epochs], self.epochs, strict=False)})
        every = "every epoch" if steps == [1] else f"every {' to '.join(map(str, steps[:1] + steps[1:][-1:]))} epochs"
        yield (
            f"accuracy on {self.right.shape[1]} {part} images; layers were evaluated {every}, which is the resolution"
            " of the epoch of learning."
        )
        constant = [str(i + 1) for i, r in enumerate(self.correlation) if r != r]
        if len(self.epochs) < 3:
            yield "fewer than three evaluations: no correlation over epochs."
        elif constant:
            yield f"layer {', '.join(constant)} or the model never changed accuracy: no correlation over epochs."
        evaluator = _evaluator(self.run)
        yield f"the model's accuracy is that of {evaluator}; if it uses a single layer, its correlation is 1."

    def to_dict(self) -> dict[str, Any]:
        facts = {"test": self.tested, "images": int(self.right.shape[1]), "middle_layer": self.middle}
        return {"label": self.label, "path": str(self.run.path), "evaluated": self.epochs.tolist(), **facts}


def _evaluator(run: ffprobe.RunFile) -> str:
    config = run.config.get("evaluator", {})
    layers = config.get("layers") if hasattr(config, "get") else None
    return " ".join(filter(None, (ffprobe.run_components(run).get("evaluator", "an unknown evaluator"), layers)))


def _pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's r; NaN with fewer than three points, or if one side is constant."""
    import numpy as np
    from scipy import stats

    known = np.isfinite(first) & np.isfinite(second)
    first, second = first[known], second[known]
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(stats.pearsonr(first, second).statistic)


class _Joint:
    """Correlations over runs of the same depth, between final validation accuracies."""

    def __init__(self, results: Sequence[_RunDepth]) -> None:
        import numpy as np

        self.results = results
        self.final = np.stack([result.course[-1] for result in results])  # [runs, layers]
        self.model = np.array([result.model[-1] for result in results])
        self.over_runs = [_pearson(self.final[:, i], self.model) for i in range(self.final.shape[1])]

    @classmethod
    def of(cls, results: Sequence[_RunDepth]) -> _Joint | None:
        """The correlations; None with fewer than three runs or runs of different depths."""
        return cls(results) if len(results) > 2 and len({result.depth for result in results}) == 1 else None

    def rows(self) -> list[tuple[Any, ...]]:
        """One row for each layer, with the mean accuracy and the correlation over runs."""
        nothing, label = (float("nan"),) * 7, f"mean of {len(self.results)}"
        accuracy = [
            100 * sum(result.right[i].mean() for result in self.results) / len(self.results)
            for i in range(len(self.over_runs))
        ]
        layers = self.results[0].layers
        return [(label, i + 1, layers[i], accuracy[i], *nothing, r) for i, r in enumerate(self.over_runs)]

    def notes(self) -> Iterator[str]:
        if any(r != r for r in self.over_runs):
            yield "If all runs end at the same accuracy, there is no correlation over runs."
        if len({tuple(sorted(ffprobe.run_components(result.run).items())) for result in self.results}) > 1:
            yield (
                "The runs differ in more than the seed, so correlations over runs also reflect which setting is better."
            )


def _gains(seeds: Sequence[_RunDepth]) -> tuple[bool | None, str, float]:
    """Agrees if the last layer is above the middle one and no layer is below the one before it.

    Args:
        seeds: one run, tested over its images, or runs that differ only in the seed, tested over seeds.
    """
    depth, middle = seeds[0].depth, seeds[0].middle
    if depth < 4:
        return None, f"{depth} layers are too few", float("nan")

    def test(before: int, after: int) -> ffprobe.GainTest:
        tests = [ffprobe.gain_test(result.right[before], result.right[after]) for result in seeds]
        return tests[0] if len(tests) == 1 else ffprobe.gain_over_seeds([test.gain for test in tests])

    over_middle = test(middle - 1, depth - 1)
    way, p = over_middle.decide()
    below, p_below = ffprobe.falling_steps([test(i - 1, i) for i in range(1, depth)])
    gain, error = seeds[0].gain(middle - 1, depth - 1) if len(seeds) == 1 else over_middle[:2]
    text = f"layer {depth} is {gain:+.2f} ± {error:.2f} points against layer {middle}"
    who = f"layer {', '.join(map(str, below))}" if below else "no layer"
    text += f", and {who} is below the one before"
    if below:
        return False, text, p_below
    return way if way is None else way == 1, text, p


def _learns_later(result: _RunDepth) -> tuple[bool | None, str]:
    """Agrees if the last layer is later than the first by more than the interval between evaluations."""
    text = f"layer 1 had learned after epoch {result.reached[0]}, layer {result.depth} after epoch {result.reached[-1]}"
    if result.depth < 2:
        return None, "one layer is too few"
    if result.not_by[-1] >= result.reached[0]:
        return True, text
    return (False if result.not_by[0] >= result.reached[-1] else None), text


def _correlates(joint: _Joint) -> tuple[bool | None, str, float]:
    """Agrees if layer 1 is correlated with p < 0.05; with 10 runs or more, no such correlation disagrees."""
    from scipy import stats

    r, runs = joint.over_runs, len(joint.results)
    p = float(stats.pearsonr(joint.final[:, 0], joint.model).pvalue)
    text = f"over {runs} runs r is {r[0]:.2f} in layer 1 (p = {p:.2g}), {r[-1]:.2f} in layer {len(r)}"
    if p < 0.05:
        return bool(r[0] > 0), text, p
    return (False, text, float("nan")) if runs >= 10 else (None, text, p)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Depth]
