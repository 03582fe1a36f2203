"""The recorded goodness of a part of the images, and what each layer alone predicts from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ffprobe.errors import FileError, UsageError

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile
    from ffprobe.store.recorded import RecordedArray

Part = Literal["test", "validation"]
PARTS: tuple[Part, ...] = ("test", "validation")
UNDECIDED = -1
"""The predicted label of an image whose scores do not decide, as in ``ffprobe.prediction``."""
_GROUP = {"test": "test", "validation": "evaluation"}


@dataclass(frozen=True)
class RecordedGoodness:
    """The goodness of one part of the images, on demand.

    Attributes:
        part: ``test`` or ``validation``.
        epochs: the epochs after which the part was evaluated.
        epoch: the chosen one of them.
        true_label: int ``[N]``.
        source_index: index of each image in the data set's split, int ``[N]``.
        variable: the recorded array, ``[L, N, K]`` after ``row``.
        row: index of the epoch in the array; None for an array without epochs.
    """

    part: Part
    epochs: tuple[int, ...]
    epoch: int
    true_label: np.ndarray
    source_index: np.ndarray
    variable: RecordedArray
    row: int | None

    def of_all(self) -> np.ndarray:
        """The goodness of all images, float32 ``[L, N, K]``."""
        return np.asarray(self.variable[...] if self.row is None else self.variable[self.row])

    def of_image(self, index: int) -> np.ndarray:
        """The goodness of one image, float32 ``[L, K]``.

        Raises:
            FileError: there is no such image.
        """
        if not 0 <= index < len(self.true_label):
            raise FileError(f"There is no {self.part} image {index}.", hint=f"There are {len(self.true_label)}.")
        key = (slice(None), index) if self.row is None else (self.row, slice(None), index)
        return np.asarray(self.variable[key])


def recorded_goodness(run: RunFile, part: str = "", epoch: int | None = None) -> RecordedGoodness:
    """The recorded goodness of a part.

    Args:
        run: the run file.
        part: ``test`` or ``validation``; empty: the test images if the run finished and tested them.
        epoch: an evaluated epoch; the last one by default. The test set is evaluated once, at the end.

    Raises:
        UsageError: there is no such part or epoch.
        FileError: nothing was evaluated yet.
    """
    tested = run.complete and run.has("test/goodness")
    part = part or ("test" if tested else "validation")
    if part not in PARTS:
        raise UsageError(f"There is no part {part!r}.", hint="The parts are test and validation.")
    if part == "test" and not tested:
        raise FileError("The test images have not been evaluated.", hint="They are evaluated when the run ends.")
    group = _GROUP[part]
    if not run.has(f"{group}/goodness"):
        raise FileError("This run recorded no goodness.", hint="Its rule may have none.")
    variable = run.variable(f"{group}/goodness")
    labels = np.asarray(run.read(f"{group}/true_label"), np.int64)
    if part == "test":
        epochs, row = [run.epochs], None
        sources = np.arange(len(labels))
    else:
        epochs = [int(one) for one in run.read(f"{group}/epoch")]
        if not epochs:
            raise FileError("The run has not been evaluated yet.", hint="Wait for the first evaluation.")
        if epoch is not None and epoch not in epochs:
            raise UsageError(f"There was no evaluation after epoch {epoch}.", hint="Choose one of the list.")
        row = len(epochs) - 1 if epoch is None else epochs.index(epoch)
        sources = np.asarray(run.read(f"{group}/source_index"), np.int64)
    chosen = epochs[-1] if row is None else epochs[row]
    if len(sources) != len(labels) or variable.shape[-2] != len(labels):
        raise FileError("The goodness and the labels of the images do not match.", where=str(run.path))
    return RecordedGoodness(part, tuple(epochs), chosen, labels, sources, variable, row)


def predicted(scores: np.ndarray) -> np.ndarray:
    """The label with the largest score, or -1 where a score is NaN or several are largest; int64 ``[...]``."""
    unsure = np.isnan(scores).any(axis=-1)
    best = np.argmax(np.where(np.isnan(scores), -np.inf, scores), axis=-1)
    ties = (scores == np.max(scores, axis=-1, keepdims=True, initial=-np.inf)).sum(axis=-1)
    return np.where(unsure | (ties != 1), UNDECIDED, best)
