"""Linear centred kernel alignment: how alike two representations of the same images are."""

from __future__ import annotations

from typing import Any

import numpy as np


class CentredFeatures:
    """Features of ``n`` images, ready to be compared with others of the same images.

    With more units than images the matrix is rotated into ``n`` dimensions (the R of its QR decomposition): the inner
    products between images, all that linear CKA looks at, stay the same, and what is kept is never larger than the
    smaller of the feature matrix and the Gram matrix.

    Args:
        features: float ``[n, units]``; finite.

    Attributes:
        matrix: float64 ``[n, min(units, n)]``, columns of mean 0 (up to rounding).
        norms: float64 ``[n]``, squared norms of the centred rows.
        constant: whether all images have the same features.
    """

    def __init__(self, features: Any) -> None:
        x = np.asarray(features, np.float64)
        self.constant = bool((x == x[:1]).all())  # decided before rounding can blur it
        x = x - x.mean(axis=0)
        self.norms = np.einsum("nf,nf->n", x, x)
        self._own: dict[bool, float] = {}
        self.matrix = x if x.shape[1] <= x.shape[0] else np.asarray(np.linalg.qr(x.T, mode="r")).T

    def own(self, *, debiased: bool) -> float:
        """``hsic`` of these features with themselves, computed once."""
        if debiased not in self._own:
            self._own[debiased] = hsic(self, self, debiased=debiased)
        return self._own[debiased]


def hsic(a: CentredFeatures, b: CentredFeatures, *, debiased: bool) -> float:
    """The Hilbert-Schmidt independence criterion with linear kernels, up to a factor that CKA does not see.

    Biased: ``||X^T Y||_F^2`` (Gretton and others 2005). Debiased: ``n (n - 3)`` times Song and others' HSIC_1 (2012,
    equation 5), which sums over pairs of different images only. For centred features its sums over Gram matrices
    ``K``, ``L`` without diagonal are known from the diagonals ``k``, ``l`` alone:
    ``||X^T Y||^2 - k.l + sum k sum l / ((n - 1)(n - 2)) - 2 k.l / (n - 2)``.

    Raises:
        ValueError: the numbers of images differ, or are below 4 where the estimate is debiased.
    """
    n = len(a.norms)
    if n != len(b.norms) or (debiased and n < 4):
        raise ValueError(f"HSIC of {n} and {len(b.norms)} images; debiased it needs at least 4 of the same.")
    cross = float(np.square(a.matrix.T @ b.matrix).sum())
    if not debiased:
        return cross
    inner = float(a.norms @ b.norms)
    return cross - inner + a.norms.sum() * b.norms.sum() / ((n - 1) * (n - 2)) - 2 * inner / (n - 2)


def linear_cka(a: CentredFeatures, b: CentredFeatures, *, debiased: bool = True) -> float:
    """Linear CKA, ``HSIC(a, b) / sqrt(HSIC(a, a) HSIC(b, b))`` (Kornblith and others 2019, equation 4).

    Unchanged by rotations, reflections and isotropic scaling of either side; 1 for a representation and itself. The
    biased estimate lies in [0, 1] and nears 1 for unrelated features as units outnumber images (Murphy and others
    2024). The debiased one (the same ratio of unbiased HSICs) is about 0 there; it lies in [-1, 1] up to its noise.

    Args:
        a: one representation.
        b: another one of the same images.
        debiased: which estimate.

    Returns:
        The alignment; NaN where a side is constant or its debiased HSIC with itself is not positive.

    Raises:
        ValueError: as ``hsic``.
    """
    if a.constant or b.constant:
        return float("nan")
    own = [x.own(debiased=debiased) for x in (a, b)]
    if min(own) <= 0:
        return float("nan")
    return hsic(a, b, debiased=debiased) / float(np.sqrt(own[0] * own[1]))
