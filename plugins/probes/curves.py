"""How do accuracy and separation of each layer grow during training? Reproduces the paper's Figure 3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


class Curves(ffprobe.PerRunProbe):
    """Accuracy of each layer's goodness alone, and its separation of true from wrong labels, over epochs.

    Separation is goodness under the true label minus goodness under a wrong label (App. A), in units of goodness. It is
    measured in three ways: on training batches against the sampled negatives, mean over the epoch's steps (what the
    paper plots); on validation images against the mean over all wrong labels; and on validation images against the
    wrong label with the largest goodness, the one that a prediction has to beat. Test accuracy over epochs is available
    only for runs with ``training.test=every``.
    """

    name = "curves"
    source = "Trifecta (arXiv:2311.18130) Section 7, Figure 3"
    question = "How do accuracy and separation of each layer grow over the epochs?"

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunCurves:
        return _RunCurves(run, label)

    def columns(self, results: Sequence[_RunCurves]) -> list[ffprobe.Column]:
        gap = "goodness under the true label minus "
        return [
            ffprobe.Column("epoch", "epoch", "number of completed epochs", key=True),
            ffprobe.Column("depth", "", "layer number, from 1", key=True),
            ffprobe.Column("layer", "", "layer number, from 1, as text", key=True),
            ffprobe.Column(
                "validation", "%", "validation accuracy from this layer's goodness alone", ".2f", better="higher"
            ),
            ffprobe.Column("test", "%", "test accuracy from this layer's goodness alone", ".2f", better="higher"),
            ffprobe.Column(
                "separation", "1", f"{gap}that of the sampled negatives, training batches, mean over the epoch", "#.3g"
            ),
            ffprobe.Column(
                "separation_mean", "1", f"{gap}the mean over all wrong labels, validation images", "#.3g", detail=True
            ),
            ffprobe.Column(
                "separation_hardest",
                "1",
                f"{gap}the maximum over all wrong labels, validation images",
                "#.3g",
                detail=True,
            ),
        ]

    def claims(self, results: Sequence[_RunCurves]) -> list[ffprobe.Claim]:
        """The paper's claim about its deep network, for runs with the same loss, normalizer and scheduler."""
        setting = {"loss": {"symba"}, "normalizer": {"batchnorm"}, "scheduler": {"olu"}}
        verdicts = []
        for indices in ffprobe.seed_groups([result.run for result in results]):
            seeds = [results[i] for i in indices]
            if ffprobe.in_setting(seeds[0].run, setting):
                label = ", ".join(result.label for result in seeds) if len(results) > 1 else ""
                agrees, text, p = _lead(seeds)
                runs = [result.run for result in seeds]
                verdicts.append(ffprobe.judge(runs, label, agrees, text, p=p, paper=TFF_D))
        claim = ffprobe.joint_claim(
            "Trifecta, Section 7",
            "the lead of layer 12 over layer 6 grows from 2.6 points after 200 epochs to 3.7 after 500 (TFF/d,"
            " CIFAR-10, learning rate halved after 200).",
            verdicts,
        )
        return [claim] if claim else []

    def draw(self, figure: Figure, results: Sequence[_RunCurves]) -> None:
        """Accuracy on the left, separation on the right, as in the paper; one row of panels for each run."""
        grid, panels = figure.subplots(len(results), 2, squeeze=False, sharex="row"), []
        for result, (left, right) in zip(results, grid, strict=True):
            left.sharey(grid[0, 0])  # accuracies are comparable between runs; separations have each run's own scale
            part, accuracy = ("test", result.test) if result.tested else ("validation", result.validation)
            separation = result.separation if result.trained_on_pairs else result.mean
            where = "" if result.trained_on_pairs else "validation "
            panels.append(ffprobe.Panel(axes=left, x=result.epochs, y=accuracy, ylabel=f"{part} accuracy (%)"))
            panels.append(ffprobe.Panel(axes=right, x=result.epochs, y=separation, ylabel=f"{where}separation"))
            if len(results) > 1:
                left.set_title(result.label, loc="left")
        ffprobe.lines_by_depth(figure, panels)

    def figure_size(self, results: Sequence[_RunCurves]) -> tuple[float, float]:
        return 5.5, 0.5 + 1.8 * len(results)


TFF_D = ffprobe.paper_setting("tff-d", "cifar10", 500)


class _RunCurves:
    """Measurements of every epoch of one run; each array has the shape ``[epochs, layers]``."""

    def __init__(self, run: ffprobe.RunFile, label: str) -> None:
        import numpy as np
        import torch

        self.run, self.label = run, label
        self.layers = ffprobe.layer_numbers(run)
        self.epochs = [int(epoch) for epoch in run.read("metrics/epoch")]
        if not self.epochs:
            hint = "Resume the run until its first epoch is complete."
            raise ffprobe.FileError("The file has no epoch yet.", where=str(run.path), hint=hint)
        self.validation = 100 * run.read("metrics/validation_accuracy").astype(float)
        self.test = 100 * run.read("metrics/test_accuracy").astype(float)
        self.separation = run.read("metrics/goodness_positive").astype(float) - run.read("metrics/goodness_negative")
        self.mean, self.hardest = np.full_like(self.validation, np.nan), np.full_like(self.validation, np.nan)
        self.evaluated: list[int] = []
        # for each evaluation and image: whether the last layer is right minus whether the middle layer is
        self.leads: dict[int, np.ndarray] = {}
        if run.has("evaluation/goodness"):
            truth, recorded = run.read("evaluation/true_label"), run.variable("evaluation/goodness")
            for i, epoch in enumerate(int(epoch) for epoch in run.read("evaluation/epoch")):
                goodness = recorded[i]  # one evaluation at a time, because they may be large
                true, wrong = ffprobe.true_and_wrong(goodness, truth)
                row = self.epochs.index(epoch)
                self.mean[row] = (true - wrong.mean(axis=-1)).mean(axis=-1)
                self.hardest[row] = (true - wrong.max(axis=-1)).mean(axis=-1)
                self.evaluated.append(epoch)
                pair = goodness[[self.middle - 1, -1]]
                if np.isfinite(pair).all():
                    middle, last = ffprobe.predicted_labels(torch.from_numpy(pair)).numpy() == truth
                    self.leads[epoch] = last.astype(int) - middle

    @property
    def tested(self) -> bool:
        """Whether test accuracy was measured at every evaluation."""
        return bool((self.test == self.test).any())

    @property
    def trained_on_pairs(self) -> bool:
        """Whether goodness of positives and negatives was measured in training; a loss over classes has neither."""
        return bool((self.separation == self.separation).any())

    @property
    def middle(self) -> int:
        """The layer that the last one is compared with, from 1; layer 6 of 12."""
        return max(1, len(self.layers) // 2)

    def ends(self) -> tuple[int, int]:
        """The evaluated epoch nearest to 40 % of the epochs, and the last one."""
        return min(self.leads, key=lambda epoch: abs(epoch - 0.4 * self.epochs[-1])), max(self.leads)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        for row, epoch in enumerate(self.epochs):
            for i, layer in enumerate(self.layers):
                values = (self.validation, self.test, self.separation, self.mean, self.hardest)
                yield (epoch, i + 1, layer, *(array[row, i] for array in values))

    def notes(self) -> Iterator[str]:
        if not self.run.complete:
            yield f"the run is unfinished; the file has {len(self.epochs)} epochs."
        if len(self.evaluated) < len(self.epochs):
            yield f"evaluated after {len(self.evaluated)} of {len(self.epochs)} epochs; the other rows are empty."
        if not self.tested:
            yield "to record test accuracy over epochs, train with --set training.test=every."
        if not self.trained_on_pairs:
            yield "training measured no goodness of positives and negatives; the figure shows validation images."
        missing = [
            str(i + 1) for i in range(len(self.layers)) if self.trained_on_pairs and _is_empty(self.separation[:, i])
        ]
        if missing:
            yield f"no loss was ever computed on layer {', '.join(missing)}: no separation on training batches."

    def to_dict(self) -> dict[str, Any]:
        path, parts = str(self.run.path), {"evaluated": self.evaluated, "test": self.tested}
        return {"label": self.label, "path": path, "complete": self.run.complete, **parts}


def _lead(seeds: Sequence[_RunCurves]) -> tuple[bool | None, str, float]:
    """Whether the last layer's lead over the middle one grew after 40 % of the epochs, in words, and the p value.

    The verdict is None if the runs are too small or the change is not significant.

    Args:
        seeds: one run, tested over its images, or runs that differ only in the seed, tested over seeds.
    """
    depth = len(seeds[0].layers)
    if depth < 4 or min(len(result.leads) for result in seeds) < 3:
        return None, f"{depth} layers and {len(seeds[0].leads)} evaluations are too few", float("nan")
    tests = [ffprobe.gain_test(*(result.leads[epoch] for epoch in result.ends())) for result in seeds]
    test = tests[0] if len(tests) == 1 else ffprobe.gain_over_seeds([test.gain for test in tests])
    grown, p = test.decide()
    points = []
    for i, epoch in enumerate(seeds[0].ends()):
        lead = sum(100 * float(result.leads[result.ends()[i]].mean()) for result in seeds) / len(seeds)
        points.append(f"{lead:+.2f} points after {epoch} epochs")
    return None if grown is None else grown == 1, f"layer {depth} over {seeds[0].middle}: {', '.join(points)}", p


def _is_empty(values: np.ndarray) -> bool:
    return not (values == values).any()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Curves]
