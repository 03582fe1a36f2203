"""The images whose activations were recorded: which validation or training image each row is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ffprobe.view.payload.images import recorded_images

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile


class ActivationRows:
    """The rows of the recorded activations of a run.

    Args:
        run: the run file; it must have activations.
        key: id of the run, for the addresses of images.

    Attributes:
        true_label: int ``[rows]``.
    """

    def __init__(self, run: RunFile, key: str) -> None:
        self._key = key
        self.true_label = np.asarray(run.read("activations/true_label"), np.int64)
        self._source = np.asarray(run.read("activations/source_index"), np.int64)
        self._held_out = np.asarray(run.read("activations/held_out")) != 0
        known = run.read("evaluation/source_index") if run.has("evaluation/source_index") else np.zeros(0, int)
        self._validation = {int(source): index for index, source in enumerate(known)}
        self._pixels = {part: recorded_images(run, part) for part in ("validation", "training")}

    def row_of(self, validation_index: int) -> int | None:
        """The row of a validation image; None if its activations were not recorded."""
        for row in np.flatnonzero(self._held_out):
            if self._validation.get(int(self._source[row])) == validation_index:
                return int(row)
        return None

    def describe(self, row: int) -> dict[str, Any]:
        """The image of a row: its part and index, its true label, and the address of its pixels or None."""
        source = int(self._source[row])
        index = self._validation.get(source) if self._held_out[row] else None
        part, sample = ("training", source) if index is None else ("validation", index)
        return {
            "part": part,
            "sample": sample,
            "true": int(self.true_label[row]),
            "image": f"/api/runs/{self._key}/images/{part}/{sample}.png" if sample in self._pixels[part] else None,
        }
