"""Features are standardized with the statistics of the rows to fit on."""

from __future__ import annotations

import numpy as np
import pytest

from ffprobe.analysis.probing.features import standardize


def standardized(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    held = np.arange(len(matrix)) % 4 == 3
    fit, score = (np.empty((n, matrix.shape[1]), np.float32) for n in (int((~held).sum()), int(held.sum())))
    standardize(matrix, held, "matrix", fit, score)
    return fit, score


def test_the_fit_rows_have_mean_0_and_deviation_1() -> None:
    fit, _ = standardized(np.random.default_rng(0).normal(5, 3, (400, 7)).astype(np.float32))
    assert fit.mean(axis=0) == pytest.approx(0, abs=1e-5)
    assert fit.std(axis=0) == pytest.approx(1, rel=1e-5)


def test_constant_and_subnormal_features_are_0() -> None:
    rows = np.arange(40)
    # 1e-42 is a subnormal float32: its inverse is infinite there
    matrix = np.stack([np.full(40, 0.1), (rows % 2) * 1e-42, rows], axis=1).astype(np.float32)
    fit, score = standardized(matrix)
    assert np.isfinite(fit).all()
    assert np.isfinite(score).all()
    assert not fit[:, :2].any()
    assert fit[:, 2].std() == pytest.approx(1, rel=1e-5)
