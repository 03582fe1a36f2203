"""Linear and multi-layer probes on all recorded activations of a run, fitted once for all analyses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ffprobe.analysis.probing.heads import fit_heads
from ffprobe.analysis.runs.cache import cached
from ffprobe.analysis.runs.progress import progress_of

if TYPE_CHECKING:
    from ffprobe.analysis.runs.recorded_activations import Place, RecordedActivations


class RecordedHead(NamedTuple):
    """The heads fitted on one recording.

    Attributes:
        accuracy: float64 ``[repeats]``, the fraction of held-out images that each fit classifies correctly.
        log_probabilities: float64 ``[held-out images, classes]``, natural logarithms of the mean of the calibrated
            probabilities over fits; one column for each class among the images to fit on, in ascending order.
    """

    accuracy: np.ndarray
    log_probabilities: np.ndarray


def fit_recorded_heads(
    recorded: RecordedActivations, *, hidden: int | None = None, repeats: int = 5, seed: int = 0, l2: float = 1.0
) -> Mapping[tuple[Place, int], RecordedHead]:
    """Fit the heads of ``train_heads`` on every recording of the trained and of the untrained network.

    The numbers are cached beside the run file (``cached``), so that ``probes`` and ``information`` share the fits.

    Args:
        recorded: the recorded activations of a run.
        hidden: width of the hidden layer; None for linear heads.
        repeats: number of fits for each recording.
        seed: random seed of the subsets of images and of the initializations.
        l2: strength of the penalty.

    Returns:
        The heads by place and row: -1 is the trained network, 0 the untrained one where it was recorded.

    Raises:
        FileError: as in ``train_heads``.
    """
    places = [(place, -1) for place in recorded.places]
    places += [(place, 0) for place in recorded.places if recorded.untrained(place)]
    held, classes = int(recorded.held.sum()), len(np.unique(recorded.truth[~recorded.held]))
    settings = {"hidden": hidden, "repeats": repeats, "seed": seed, "l2": l2}
    shapes = {"accuracy": (len(places), repeats), "log_probabilities": (len(places), held, classes)}

    def compute() -> dict[str, np.ndarray]:
        return _fit(recorded, places, hidden, repeats, seed, l2, shapes)

    fitted = cached("heads", [recorded.run], settings, shapes, compute)
    pairs = zip(fitted["accuracy"], fitted["log_probabilities"], strict=True)
    return {place: RecordedHead(*pair) for place, pair in zip(places, pairs, strict=True)}


def _fit(
    recorded: RecordedActivations,
    places: Sequence[tuple[Place, int]],
    hidden: int | None,
    repeats: int,
    seed: int,
    l2: float,
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, np.ndarray]:
    from scipy.special import logsumexp

    matrices = [recorded.matrix(place, row) for place, row in places]
    arrays = {name: np.full(shape, np.nan) for name, shape in shapes.items()}
    names = [matrix.name for matrix in matrices]
    with progress_of(str(recorded.run.path)):
        heads = fit_heads(
            matrices, recorded.truth, recorded.held, hidden=hidden, repeats=repeats, seed=seed, l2=l2, names=names
        )
        for i, accuracy, log_q in heads:
            arrays["accuracy"][i] = accuracy
            arrays["log_probabilities"][i] = logsumexp(log_q, axis=0) - np.log(repeats)
    return arrays
