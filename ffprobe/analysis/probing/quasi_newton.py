"""The inverse Hessian of a smooth function, learned from steps taken and gradients seen (BFGS)."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

PAIRS, BYTES = 60, 1 << 27


class InverseHessian:
    """What the last steps say of the inverse Hessian, to multiply many gradients with at once.

    The compact form of limited-memory BFGS (Byrd, Nocedal and Schnabel 1994, equation 3.13): with steps ``S`` and
    changes of the gradient ``Y`` as columns, ``H = c I + [S, c Y] M [S, c Y]^T`` for a small matrix ``M``; ``c`` is the
    last ``s.y / y.y``. More steps are kept than is usual: two products with them cost little beside one with the data.

    Args:
        size: numbers in a gradient.
    """

    def __init__(self, size: int) -> None:
        self.most = max(5, min(PAIRS, BYTES // (8 * size)))
        self._s, self._y = np.zeros((2, self.most, size), np.float32)
        self._sy, self._yy = np.zeros((2, self.most, self.most))  # like the rows above, by slot
        self._age: list[int] = []  # slots in use, oldest first

    def learn(self, step: np.ndarray, change: np.ndarray) -> None:
        """Take in one step ``[size]`` and the gradient's change along it ``[size]``; a step without ascent is ignored.

        The oldest pair is forgotten when there is no room.
        """
        if float(step @ change) <= 1e-10 * float(np.linalg.norm(step) * np.linalg.norm(change)):
            return
        slot = len(self._age) if len(self._age) < self.most else self._age.pop(0)
        self._age.append(slot)
        self._s[slot], self._y[slot] = step, change
        self._sy[slot], self._sy[:, slot] = self._y @ step, self._s @ change
        self._yy[slot] = self._yy[:, slot] = self._y @ change

    def times(self, gradients: np.ndarray) -> np.ndarray:
        """``H g`` for each row of ``[many, size]``; the gradients themselves as long as nothing was learned."""
        age, n = self._age, len(self._age)
        if not n:
            return gradients
        s, y = self._s[:n], self._y[:n]
        order = np.ix_(age, age)
        upper, yy = np.triu(self._sy[order]), self._yy[order]
        scale = upper[-1, -1] / yy[-1, -1]
        along_s, along_y = (s @ gradients.T)[age], scale * (y @ gradients.T)[age].astype(float)
        inner = solve_triangular(upper, along_s)
        outer = solve_triangular(upper, np.diag(upper)[:, None] * inner + scale * (yy @ inner) - along_y, trans="T")
        slots = np.empty((2, n, len(gradients)), np.float32)
        slots[0, age], slots[1, age] = outer, scale * inner
        return np.float32(scale) * gradients + slots[0].T @ s - slots[1].T @ y
