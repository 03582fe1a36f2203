"""The learned inverse Hessian: against the BFGS recursion written out, and on a quadratic where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from ffprobe.analysis.probing.quasi_newton import InverseHessian


def pairs(count: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random steps, the gradient's changes along them under a fixed Hessian, and the Hessian."""
    random = np.random.default_rng(0)
    root = random.normal(size=(size, size))
    hessian = root @ root.T + np.eye(size)
    steps = random.normal(size=(count, size))
    return steps, steps @ hessian, hessian


def learned(steps: np.ndarray, changes: np.ndarray) -> InverseHessian:
    h = InverseHessian(steps.shape[1])
    for s, y in zip(steps, changes, strict=True):
        h.learn(s.astype(np.float32), y.astype(np.float32))
    return h


def recursion(steps: np.ndarray, changes: np.ndarray) -> np.ndarray:
    """BFGS update by update (Nocedal and Wright, equation 6.17), from ``s.y / y.y`` of the last pair."""
    s, y = steps[-1], changes[-1]
    h = np.eye(len(s)) * (s @ y) / (y @ y)
    for s, y in zip(steps, changes, strict=True):
        rho = 1 / (s @ y)
        left = np.eye(len(s)) - rho * np.outer(s, y)
        h = left @ h @ left.T + rho * np.outer(s, s)
    return h


def test_it_is_what_the_recursion_gives() -> None:
    steps, changes, _ = pairs(6, 12)
    found = learned(steps, changes).times(np.eye(12, dtype=np.float32))
    assert found == pytest.approx(recursion(steps, changes), rel=1e-3, abs=1e-4)


def test_the_last_step_is_undone_exactly() -> None:
    steps, changes, _ = pairs(9, 12)
    found = learned(steps, changes).times(changes[-1:].astype(np.float32))
    assert found == pytest.approx(steps[-1:], rel=1e-3, abs=1e-4)


def test_the_oldest_pair_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ffprobe.analysis.probing.quasi_newton.PAIRS", 5)
    steps, changes, _ = pairs(9, 12)
    found = learned(steps, changes).times(np.eye(12, dtype=np.float32))
    assert found == pytest.approx(recursion(steps[-5:], changes[-5:]), rel=1e-3, abs=1e-4)


def test_before_anything_is_learned_it_is_the_identity() -> None:
    gradient = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert (InverseHessian(4).times(gradient) == gradient).all()


def test_a_step_along_which_the_gradient_falls_is_ignored() -> None:
    h = InverseHessian(2)
    h.learn(np.array([1, 0], np.float32), np.array([-1, 0], np.float32))
    assert (h.times(np.eye(2, dtype=np.float32)) == np.eye(2)).all()
