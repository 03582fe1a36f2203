"""Recorded activations: places, epochs, blocks, and errors."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import ffprobe

sys.path.insert(0, str(Path(__file__).parents[2] / "plugins" / "probes"))

from recorded_layers import write_layers

TRUTH, HELD = np.arange(50) % 2, np.arange(50) >= 30
X = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)


def written(path: Path, *, image: bool = True, reduction: str = "none") -> Path:
    recorded = {("input", "pre"): {0: X, 4: X}} if image else {}
    recorded |= {("0", "pre"): {0: X + 1, 2: X + 2, 4: X + 3}, ("0", "post"): {0: X, 2: X, 4: X}, ("1", "pre"): {4: X}}
    return write_layers(path, recorded, TRUTH, HELD, reduction=reduction)


def test_places_are_ordered_by_depth_and_stage(tmp_path: Path) -> None:
    with ffprobe.open(written(tmp_path / "a.h5", reduction="average-pool 2x2")) as run:
        found = ffprobe.RecordedActivations(run)
        assert found.places == [(0, "input", "pre"), (1, "0", "pre"), (1, "0", "post"), (2, "1", "pre")]
        assert [found.epochs[place] for place in found.places] == [[0, 4], [0, 2, 4], [0, 2, 4], [4]]
        assert [found.untrained(place) for place in found.places] == [False, True, True, False]
        assert (found.last_epoch, found.held.sum(), found.layers) == (4, 20, ["0", "1"])
        assert found.pooled() == "average-pool 2x2"


def test_a_matrix_is_one_epoch_in_any_blocks(tmp_path: Path) -> None:
    with ffprobe.open(written(tmp_path / "a.h5")) as run:
        found = ffprobe.RecordedActivations(run)
        for row, shift in ((0, 1), (1, 2), (-1, 3), (2, 3)):
            matrix = found.matrix(found.places[1], row)
            assert matrix.shape == (50, 6)
            assert (np.asarray(matrix) == X + np.float32(shift)).all()
            for rows in (1, 7, 50, 99):
                blocks = list(matrix.blocks(rows))
                assert max(map(len, blocks)) <= rows
                assert (np.concatenate(blocks) == X + np.float32(shift)).all()
        assert found.matrix(found.places[1], 1).name == f"activations/0/pre/activation, epoch 2, {run.path}"
        assert found.pooled() == ""


def test_a_trained_network_is_needed(tmp_path: Path) -> None:
    path = write_layers(tmp_path / "a.h5", {("0", "pre"): {0: X}}, TRUTH, HELD)
    with (
        ffprobe.open(path) as run,
        pytest.raises(ffprobe.FileError, match=r"trained network are not in the file.*a\.h5"),
    ):
        ffprobe.RecordedActivations(run)
