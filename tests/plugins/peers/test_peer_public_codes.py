"""Pezeshki's and Loewe's networks are replayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.plain_public_codes import loewe, pezeshki

from ffprobe.plugin.registry import Registry
from ffprobe.replay import Replay, Tolerance, replay

SHARP = Tolerance(1e-11, 1e-11, 1e-11)  # both sides compute in float64


def replayed(tmp_path: Path, arrays: dict[str, np.ndarray]) -> Replay:
    np.savez(tmp_path / "case.npz", **arrays)
    return replay(tmp_path / "case.npz", Registry(), SHARP)


@pytest.mark.parametrize(
    ("peer", "how"),
    [
        (pezeshki, {}),
        (pezeshki, {"sizes": (30, 8), "classes": 6, "each": 25, "seed": 1}),
        (loewe, {}),
        (loewe, {"widths": (5, 6, 8, 9), "classes": 3, "seed": 1}),
    ],
)
def test_other_sizes_and_seeds_replay(tmp_path: Path, peer: Any, how: dict[str, Any]) -> None:
    result = replayed(tmp_path, peer(**how))
    assert result.passed, result.to_dict()
    assert result.peer == f"peer-{peer.__name__}"
    assert not result.not_compared


@pytest.mark.parametrize(
    ("peer", "mistake"),
    [
        (pezeshki, "own maximum"),
        (pezeshki, "no epsilon"),
        (loewe, "no weight decay"),
        (loewe, "no peer normalization"),
        (loewe, "plain relu"),
    ],
)
def test_a_wrong_recording_strays(tmp_path: Path, peer: Any, mistake: str) -> None:
    result = replayed(tmp_path, peer(mistake=mistake))
    assert result.excess["weights"] > 1e4


@pytest.mark.parametrize("name", ["pezeshki-2layer", "loewe-3layer-peer"])
def test_the_recordings_of_those_codes(golden: Path, name: str) -> None:
    result = replay(golden / f"{name}.npz", Registry())
    assert result.passed, result.to_dict()
    assert not result.not_compared
