"""What is reached without the method: chance, logistic regression on pixels, features of the untrained network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ffprobe.analysis.audit.finding import Finding, Topic, per_run
from ffprobe.analysis.measures.paired import gain_test
from ffprobe.analysis.probing.readout import fit_head
from ffprobe.analysis.runs.cache import cached
from ffprobe.analysis.runs.progress import report_progress
from ffprobe.analysis.runs.recorded_activations import RecordedActivations
from ffprobe.analysis.runs.summary import summarize
from ffprobe.errors import FfprobeError

if TYPE_CHECKING:
    import numpy as np

    from ffprobe.analysis.runs.recorded_activations import Place
    from ffprobe.store.reader import RunFile

L2 = 1.0
FEATURES = ("pixels", "untrained", "trained")


def floors_topic(runs: Sequence[RunFile], labels: Sequence[str]) -> Topic:
    """The run's accuracy beside chance and logistic regression, and its features beside those of random weights."""
    return Topic("Floors", tuple(per_run(runs, labels, _run)))


def _run(run: RunFile) -> Iterator[Finding]:
    import numpy as np

    summary = summarize(run)
    tested = summary.test == summary.test
    own, part = (summary.test, "test") if tested else (summary.validation, "validation")
    path = "test/true_label" if tested else "evaluation/true_label"
    truth = run.read(path) if run.has(path) else np.empty(0)
    if own != own or not len(truth) or truth.min() < 0:  # labels that were never written are -1
        yield Finding("open", "No accuracy was measured, so there is nothing to compare with chance.")
        return
    chance = 100 * float(np.unique(truth, return_counts=True)[1].max()) / len(truth)
    error = (chance * (100 - chance) / len(truth)) ** 0.5
    above = own > chance + 2 * error
    text = f"Chance, the share of the most frequent class, is {chance:.1f} %; the run has {own:.1f} % ({part})."
    yield Finding("ok" if above else "look", text)
    yield from _readouts(run, own)


def _readouts(run: RunFile, own: float) -> Iterator[Finding]:
    try:
        recorded = RecordedActivations(run)
    except FfprobeError as error:
        yield Finding("open", f"No floor from pixels or from the untrained network: {error.what} {error.hint}".strip())
        return
    fitted, held = int((~recorded.held).sum()), int(recorded.held.sum())
    if not fitted or not held:
        yield Finding("open", "No floor from pixels or from the untrained network: no image was held out.")
        return
    correct = right_answers(run, recorded)
    pixels, untrained, trained = (100 * correct[name].mean() for name in FEATURES)
    images = f"fitted on {fitted} recorded images"
    if pixels == pixels:
        text = f"Logistic regression on pixels, {images}, has {pixels:.1f} % on {held} held-out ones;"
        text += f" the run has {own:.1f} %."
        total: Any = run.attributes.get("training_images", fitted)
        if fitted < total:
            text += f" With all {total} training images it would have more."
        yield Finding("ok" if own > pixels else "look", text)
    if untrained != untrained:
        yield Finding("open", "The activations of the untrained network were not recorded (recording.epochs).")
        return
    gain = gain_test(correct["untrained"], correct["trained"])
    text = f"A linear readout of all layers, {images}, has {trained:.1f} % after and {untrained:.1f} % before training:"
    text += f" {gain.gain:+.1f} ± {gain.error:.1f} points on {held} images (p = {gain.p:.2g})."
    if gain.gain > 0 and gain.p < 0.05:
        yield Finding("ok", text)
    else:
        yield Finding("look", f"{text} What was learned is not shown to be above the frozen baseline.")


def right_answers(run: RunFile, recorded: RecordedActivations) -> dict[str, np.ndarray]:
    """Whether each held-out image is classified correctly, by what is read: float ``[held]``, NaN if not recorded."""
    import numpy as np

    held = int(recorded.held.sum())
    shapes = dict.fromkeys(FEATURES, (held,))

    def compute() -> dict[str, np.ndarray]:
        report_progress(f"{run.path}: readouts")
        layers = [place for place in recorded.places if place.depth and place.stage == "post"]
        layers = layers or [place for place in recorded.places if place.depth]
        inputs = [place for place in recorded.places if not place.depth]
        untrained = layers if all(map(recorded.untrained, layers)) else []
        missing = np.full(held, np.nan)
        chosen = {"pixels": (inputs, -1), "untrained": (untrained, 0), "trained": (layers, -1)}
        return {name: _right(recorded, *what) if what[0] else missing for name, what in chosen.items()}

    return cached("audit", [run], {"l2": L2}, shapes, compute)


def _right(recorded: RecordedActivations, places: Sequence[Place], row: int) -> np.ndarray:
    import numpy as np
    import torch

    x = np.concatenate([np.asarray(recorded.matrix(place, row)) for place in places], axis=1)
    if not np.isfinite(x).all():
        return np.zeros(int(recorded.held.sum()))  # a network that diverged classifies nothing
    features, labels = torch.from_numpy(x.astype("f8")), torch.from_numpy(recorded.truth.astype("i8"))
    known = torch.from_numpy(~recorded.held)
    head = fit_head(features[known], labels[known], int(labels.max()) + 1, L2)
    return (head.log_probabilities(features[~known]).argmax(dim=1) == labels[~known]).double().numpy()
