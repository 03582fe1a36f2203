"""The recorded activations of a run file: their layers, stages and epochs, read in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ffprobe.errors import FileError

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile
    from ffprobe.store.recorded import RecordedArray

STAGES = ("pre", "post")
RECORD = "Train again with --set recording.activations=true, or with the plugin probes."


class Place(NamedTuple):
    """The layer and stage of recorded activations.

    Attributes:
        depth: position of the layer, from 1; 0 is the input.
        layer: name of the layer in the run file; ``input`` for the images themselves.
        stage: ``pre`` or ``post``: before or after the normalizer that follows the layer.
    """

    depth: int
    layer: str
    stage: str

    @property
    def cells(self) -> tuple[int, str, str]:
        """The place in a table: depth, the layer's number as text (``input`` for the images), stage."""
        return self.depth, str(self.depth) if self.depth else self.layer, self.stage


class RecordedActivations:
    """The recorded activations of a run, for a fixed set of images with the neutral label.

    Attributes:
        run: the run file.
        layers: names of all layers, first to last.
        places: layers and stages with recorded activations, by depth, ``pre`` before ``post``.
        epochs: number of completed epochs at each recording, by place; 0 is the untrained network.
        truth: int ``[N]``, the label of each image.
        held: bool ``[N]``, true for images held out of training.

    Raises:
        FileError: no activations were recorded, or not yet those of the trained network.
    """

    def __init__(self, run: RunFile) -> None:
        if not run.has("activations/true_label"):
            raise FileError("No activations were recorded in this run.", where=str(run.path), hint=RECORD)
        self.run = run
        self.truth, self.held = run.read("activations/true_label"), run.read("activations/held_out") != 0
        self.layers = [str(name) for name in run.read("metrics/layer")]
        places = [Place(0, "input", "pre")]
        places += [Place(i, layer, stage) for i, layer in enumerate(self.layers, 1) for stage in STAGES]
        self.places = [place for place in places if run.has(_path(place))]
        self.epochs = {place: [int(e) for e in run.read(_path(place, "epoch"))] for place in self.places}
        layers = [epochs for place, epochs in self.epochs.items() if place.depth]
        if not layers or any(not epochs or epochs[-1] == 0 for epochs in layers):
            hint = "Resume the run until activations are recorded again, at the latest at its end."
            raise FileError(
                "Activations of the trained network are not in the file yet.", where=str(run.path), hint=hint
            )

    @property
    def last_epoch(self) -> int:
        """The epoch of the last recording."""
        return max(epochs[-1] for epochs in self.epochs.values())

    def untrained(self, place: Place) -> bool:
        """Return whether a place has a recording of the untrained network; always False for the input."""
        return place.depth > 0 and self.epochs[place][0] == 0

    def matrix(self, place: Place, row: int = -1) -> ActivationMatrix:
        """Return one recording, ``[N, units]``, without reading it yet.

        Args:
            place: one of ``places``.
            row: index into ``epochs[place]``, -1 for the last.
        """
        name = f"{_path(place)}, epoch {self.epochs[place][row]}, {self.run.path}"
        return ActivationMatrix(self.run.variable(_path(place)), row, name)

    def unreduced(self, place: Place, row: int = -1) -> dict[str, float]:
        """Return the statistics of a recording's whole activation, before it was reduced.

        Args:
            place: one of ``places``.
            row: index into ``epochs[place]``, -1 for the last.

        Returns:
            ``dead``, ``active``, ``hoyer`` and ``class_entropy``, named and defined as in ``ffprobe.Representation``;
            empty where nothing was reduced, and in files of version 0.1.0, which do not have them.
        """
        values = {}
        for name in ("dead", "active", "hoyer", "class_entropy"):
            path = _path(place, f"unreduced_{name}")
            if self.run.has(path):
                values[name] = float(self.run.variable(path)[row])
        return values if values.get("active", float("nan")) >= 0 else {}  # NaN: declared, and not recorded

    def pooled(self) -> str:
        """Return how feature maps were reduced before recording, as text; empty without a reduction."""
        reductions = {str(self.run.variable(_path(place)).attributes.get("reduction", "none")) for place in self.places}
        return ", ".join(sorted(reductions - {"none"}))


class ActivationMatrix:
    """One recording of one layer, float32 ``[images, units]``, read on demand.

    Attributes:
        shape: number of images, number of units.
        name: path, epoch and file, for error messages.
    """

    def __init__(self, variable: RecordedArray, row: int, name: str) -> None:
        self._variable, self._row = variable, row % max(1, variable.shape[0])
        self.shape: tuple[int, int] = (variable.shape[1], variable.shape[2])
        self.name = name

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """Yield the matrix in blocks of at most ``rows`` images, in order."""
        for start in range(0, self.shape[0], rows):
            yield self._variable[self._row, start : start + rows]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._variable[self._row]).astype(dtype or np.float32, copy=False)


def _path(place: Place, name: str = "activation") -> str:
    return f"activations/{place.layer}/{place.stage}/{name}"
