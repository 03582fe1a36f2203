"""The largest eigenvalue of a loss's Hessian, by Lanczos iterations on Hessian-vector products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch

TOLERANCE = 1e-3
"""Relative accuracy at which the iterations stop."""
DENSE = 3
"""Parameters up to which the whole matrix is computed; Lanczos needs fewer eigenvalues than rows."""


def largest_eigenvalue(loss: torch.Tensor, parameters: Sequence[torch.Tensor]) -> float:
    """The largest (most positive) eigenvalue of the Hessian of a loss.

    The gradient's graph is built once, so random parts of the forward pass, such as dropout, are the same in every
    product. scipy's ``eigsh`` (ARPACK's implicitly restarted Lanczos) starts from a fixed vector.

    Args:
        loss: scalar, with its graph, twice differentiable.
        parameters: leaves of the graph; those that the loss does not depend on count with rows of zeros.

    Returns:
        0 for a loss that is linear in the parameters; NaN if the loss is not finite or the iterations do not converge.

    Raises:
        RuntimeError: a part of the graph cannot be differentiated twice.
    """
    import numpy as np
    import torch
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    parts = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
    gradient = torch.cat(
        [(torch.zeros_like(p) if g is None else g).flatten() for p, g in zip(parameters, parts, strict=True)]
    )
    count = len(gradient)
    if not gradient.isfinite().all():
        return float("nan")
    if not gradient.requires_grad:
        return 0.0

    def product(vector: np.ndarray) -> np.ndarray:
        """Hessian times vector, ``[n]``."""
        v = torch.from_numpy(np.array(vector, np.float64).reshape(-1)).to(gradient)
        found = torch.autograd.grad(gradient, parameters, v, retain_graph=True, allow_unused=True)
        pieces = [torch.zeros_like(p) if h is None else h for p, h in zip(parameters, found, strict=True)]
        return torch.cat([piece.flatten() for piece in pieces]).double().cpu().numpy()

    if count <= DENSE:
        return float(np.linalg.eigvalsh(np.stack([product(row) for row in np.eye(count)])).max())
    start = np.random.default_rng(0).normal(size=count)
    if not product(start).any():  # ARPACK refuses a matrix of zeros
        return 0.0

    def of_largest_size(shift: float) -> float:
        """The eigenvalue of largest size of the Hessian minus ``shift`` times the identity."""
        operator = LinearOperator((count, count), lambda v: product(v) - shift * v.reshape(-1), dtype=np.float64)
        return float(eigsh(operator, 1, which="LM", v0=start, tol=TOLERANCE, return_eigenvectors=False)[0])

    try:
        # the eigenvalue of largest size converges fast; where it is negative, seen from it the wanted one is that
        size = of_largest_size(0.0)
        return size if size > 0 else size + of_largest_size(size)
    except ArpackNoConvergence:
        return float("nan")
