"""Movement of a layer's input between recorded epochs, in closed form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.drift import Drift, frechet
from recorded_layers import write_layers
from scipy.linalg import sqrtm

import ffprobe

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 5)) @ np.diag([3.0, 2.0, 1.0, 1.0, 0.5])
VARIANCE = X.var(axis=0).sum()
TRUTH, HELD = np.arange(60) % 4, np.arange(60) >= 40


def test_a_shift_counts_by_its_square_over_the_variance() -> None:
    distance, means = frechet(X, X + 2.0)
    assert distance == pytest.approx(4 * 5 / VARIANCE) and means == pytest.approx(distance)


def test_a_scaling_of_centred_rows_counts_by_the_square_of_its_change() -> None:
    x = X - X.mean(axis=0)
    assert frechet(x, 3 * x) == (pytest.approx(4.0), pytest.approx(0, abs=1e-12))


def test_it_is_the_formula_with_a_matrix_root_and_does_not_see_which_image_is_which() -> None:
    y = X @ RANDOM.normal(size=(5, 5)) + 1
    first, second = (np.cov(z.T, bias=True) for z in (X, y))
    expected = np.square(X.mean(0) - y.mean(0)).sum() + np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet(X, y)[0] == pytest.approx(expected / VARIANCE)
    assert frechet(X, X[::-1])[0] == pytest.approx(0, abs=1e-9)
    wide = RANDOM.normal(size=(6, 20))  # more units than images
    assert frechet(wide, 2 * wide - wide.mean(axis=0))[0] == pytest.approx(1.0)


def analyze(*paths: Path, **settings: Any) -> Any:
    runs = [ffprobe.open(path) for path in paths]
    result = Drift(Drift.Params(**settings)).analyze(runs)
    for run in runs:
        run.close()
    return result


def layers(post: dict[int, np.ndarray]) -> dict[tuple[str, str], dict[int, np.ndarray]]:
    own = dict.fromkeys(post, X)
    return {("input", "pre"): {0: X}, ("0", "pre"): own, ("0", "post"): post, ("1", "pre"): own, ("1", "post"): own}


def test_rows_are_successive_recordings_of_the_layer_before(tmp_path: Path) -> None:
    path = write_layers(tmp_path / "a.h5", layers({0: X, 1: X + 2, 4: X + 2}), TRUTH, HELD)
    result = analyze(path)
    first, second = result.to_dict()["rows"]
    assert [(row["depth"], row["since"], row["epoch"]) for row in (first, second)] == [(2, 0, 1), (2, 1, 4)]
    assert first["frechet"] == pytest.approx(4 * 5 / VARIANCE, rel=1e-4) and second["frechet"] == pytest.approx(
        0, abs=1e-6
    )
    assert first["cka"] == pytest.approx(1) == second["cka"]
    assert all(row["frechet"] == pytest.approx(0, abs=1e-6) for row in analyze(path, stage="pre").to_dict()["rows"])
    assert any("untrained, 1, 4" in note for note in result.notes)
    assert result.figure().axes and analyze(path, path).figure().axes


def test_two_recordings_are_said_to_be_few_and_a_dead_input_has_no_unit(tmp_path: Path) -> None:
    result = analyze(write_layers(tmp_path / "a.h5", layers({0: np.ones((60, 5)), 4: X}), TRUTH, HELD))
    assert any("recording.epochs" in note for note in result.notes)
    assert any("layer 2 was the same for every image" in note for note in result.notes)
    assert result.to_dict()["rows"][0]["frechet"] is None


def test_refusals_name_what_helps(make_run: Any, tmp_path: Path) -> None:
    with pytest.raises(ffprobe.FileError, match=r"No activations.*recording\.activations=true"):
        Drift().analyze([make_run()])
    with pytest.raises(ffprobe.FileError, match=r"recorded only once.*recording\.epochs"):
        analyze(write_layers(tmp_path / "a.h5", layers({3: X}), TRUTH, HELD))
    with pytest.raises(ffprobe.FileError, match=r"NaN or infinity.*bad\.h5"):
        Drift().analyze([make_run("bad", signal=[float("nan"), 1.0, 1.0])])
