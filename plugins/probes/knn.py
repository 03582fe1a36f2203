"""Which class have the nearest neighbours of an image in each layer? k nearest neighbours by cosine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


class NearestNeighbours(ffprobe.PerRunProbe):
    """Accuracy of the k nearest neighbours of each layer's recorded activations, without any training.

    A held-out image gets the class that most of its k nearest fitting images have, by cosine distance
    (scikit-learn's ``KNeighborsClassifier``; a tie goes to the first class). With ``k=auto``, each layer takes the k of
    ``1, 3, 5, 10, 20, 50`` with which the fitting images predict each other best (each left out of its own neighbours),
    the smaller one at a tie; held-out images choose nothing. The floors are the same on the untrained network and on
    the image itself. Activations are recorded with the neutral label and reduced to ``recording.max_features`` values.
    """

    name = "knn"
    source = "Wu and others 2018 (arXiv:1805.01978), with equal votes; Cover and Hart 1967"
    needs = frozenset({"activations"})
    question = "How accurately do an image's nearest neighbours in each layer predict its class?"
    settings_in_extra = True

    class Params(ffprobe.Params):
        """Settings of the neighbours."""

        k: int | Literal["auto"] = Field(
            "auto", description="number of neighbours, at least 1, or auto: chosen for each layer on the fitting images"
        )
        metric: Literal["cosine", "euclidean"] = Field("cosine", description="distance between activations")

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        if self.params.k != "auto" and self.params.k < 1:
            raise ffprobe.UsageError(f"k is {self.params.k}; it must be at least 1.", hint="Try knn:k=20.")

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunNeighbours:
        return _RunNeighbours(run, label, self.params)

    def columns(self, results: Sequence[_RunNeighbours]) -> list[ffprobe.Column]:
        column, text = ffprobe.Column, "held-out accuracy of the nearest neighbours"
        return [
            column("depth", "", "layer number, from 1; 0 is the input", key=True),
            column("layer", "", "layer number, from 1, as text; input is the image itself", key=True),
            column("stage", "", "before (pre) or after (post) the normalizer", key=True),
            column("k", "1", "number of neighbours after training", "d"),
            column("accuracy", "%", f"{text}, after training", ".1f"),
            column("accuracy_se", "%", "binomial standard error", ".1f", spread_of="accuracy"),
            column("untrained", "%", f"{text}, before training", ".1f"),
            column("gain", "points", "accuracy after training minus before", "+.1f"),
        ]

    def draw(self, figure: Figure, results: Sequence[_RunNeighbours]) -> None:
        """Accuracy over depth; filled before and hollow after the normalizer, the untrained network beside it."""
        axes = figure.subplots()
        ffprobe.stage_lines(axes, [(r.label if len(results) > 1 else "", r.rows()) for r in results], 4, 6, "k-NN (%)")
        key = ffprobe.stage_key()
        figure.legend(list(key.values()), list(key), loc="outside lower center", ncols=2)

    def figure_size(self, results: Sequence[_RunNeighbours]) -> tuple[float, float]:
        return 3.25, 2.8


CHOICES = (1, 3, 5, 10, 20, 50)


def choose_k(fit: np.ndarray, labels: np.ndarray, metric: str) -> int:
    """The k of ``CHOICES`` with which images predict each other best, each without itself; the smallest of the best.

    Args:
        fit: ``[N, units]``.
        labels: integers ``[N]``.
        metric: ``cosine`` or ``euclidean``.
    """
    import numpy as np
    from sklearn.neighbors import NearestNeighbors

    choices = [k for k in CHOICES if k < len(fit)] or [1]
    if len(fit) < 3:
        return 1
    search = NearestNeighbors(n_neighbors=choices[-1], metric=metric).fit(fit)
    neighbours = search.kneighbors(return_distance=False)  # without arguments, an image is not its own neighbour
    classes, target = np.unique(labels, return_inverse=True)
    votes = np.eye(len(classes), dtype=np.int32)[target][neighbours].cumsum(axis=1)  # [N, most, K]
    right = [int((votes[:, k - 1].argmax(axis=1) == target).sum()) for k in choices]
    return choices[int(np.argmax(right))]


def neighbour_accuracy(
    features: np.ndarray, labels: np.ndarray, held: np.ndarray, k: int | str, metric: str
) -> tuple[int, float]:
    """The k that was used and the fraction of held-out images whose neighbours' majority is their own class.

    Args:
        features: ``[N, units]``.
        labels: integers ``[N]``.
        held: bool ``[N]``, the images that are scored; the others are the neighbours.
        k: number of neighbours, at most that of fitting images, or ``auto``.
        metric: ``cosine`` or ``euclidean``.
    """
    from sklearn.neighbors import KNeighborsClassifier

    fit, known = features[~held], labels[~held]
    count = choose_k(fit, known, metric) if k == "auto" else min(int(k), len(fit))
    classifier = KNeighborsClassifier(count, metric=metric).fit(fit, known)
    return count, float((classifier.predict(features[held]) == labels[held]).mean())


class _RunNeighbours:
    """The neighbours of one run's activations."""

    def __init__(self, run: ffprobe.RunFile, label: str, params: Any) -> None:
        import numpy as np

        self.run, self.label, self.params = run, label, params
        self.recorded = ffprobe.RecordedActivations(run)
        self.images = int(self.recorded.held.sum())
        self.fitted = len(self.recorded.held) - self.images
        if not self.images or not self.fitted:
            hint = "Train with training.validation_fraction above 0, and with recording.samples of at least 10."
            raise ffprobe.FileError("No image was held out, or none is left to fit on.", where=str(run.path), hint=hint)
        shape = {"accuracy": (len(self.recorded.places), 2, 2)}
        values = ffprobe.cached("knn", [run], params.model_dump(), shape, lambda: {"accuracy": self._all()})
        self._rows = []
        for place, ((k, after), (_, before)) in zip(self.recorded.places, values["accuracy"], strict=True):
            error = float(np.sqrt(after * (1 - after) / self.images))
            percent = (100 * float(v) for v in (after, error, before, after - before))
            self._rows.append((*place.cells, int(k), *percent))

    def _all(self) -> np.ndarray:
        """Neighbours and accuracy of all places, after and before training, ``[places, 2, 2]``; NaN if missing."""
        import numpy as np

        values = np.full((len(self.recorded.places), 2, 2), np.nan)
        for i, place in enumerate(self.recorded.places):
            ffprobe.report_progress(f"{self.run.path}: layer {place.cells[1]}, {place.stage}")
            for column, row in enumerate((-1, 0)[: 1 + self.recorded.untrained(place)]):
                matrix = self.recorded.matrix(place, row)
                features = np.asarray(matrix)
                if not np.isfinite(features).all():
                    hint = "The run diverged; check its losses and its learning rate."
                    raise ffprobe.FileError("The activations contain NaN or infinity.", where=matrix.name, hint=hint)
                labels, held = self.recorded.truth, self.recorded.held
                values[i, column] = neighbour_accuracy(features, labels, held, self.params.k, self.params.metric)
        return values

    def rows(self) -> list[tuple[Any, ...]]:
        return self._rows

    def notes(self) -> Iterator[str]:
        chance = 100 / len(set(self.recorded.truth.tolist()))
        yield (
            f"{self.images} held-out images, neighbours among {self.fitted} training images, after epoch"
            f" {self.recorded.last_epoch}; chance is {chance:.0f} %. More neighbours to choose from give a higher"
            " accuracy, so compare runs that recorded equally many."
        )
        if self.params.k != "auto" and self.params.k > self.fitted:
            yield f"k = {self.params.k} is more than there are training images, so all {self.fitted} vote."
        if pooled := self.recorded.pooled():
            yield f"Activations were reduced before recording ({pooled})."
        if not all(self.recorded.untrained(place) for place in self.recorded.places if place.depth):
            yield "The untrained network was not recorded, so there is no floor."

    def to_dict(self) -> dict[str, Any]:
        counts = {"fit_images": self.fitted, "held_out_images": self.images, "epoch": self.recorded.last_epoch}
        return {"label": self.label, "path": str(self.run.path), **counts}


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [NearestNeighbours]
