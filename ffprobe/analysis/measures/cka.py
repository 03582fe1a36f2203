"""Linear centred kernel alignment (CKA): the similarity of two representations of the same images."""

from __future__ import annotations

from typing import Any

import numpy as np


class CentredFeatures:
    """Centred features of ``n`` images, prepared for comparison with other features of the same images.

    With more units than images, the matrix is rotated into ``n`` dimensions (the R of its QR decomposition). This keeps
    the inner products between images, on which alone linear CKA depends, and the stored matrix is never larger than the
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
        self.constant = bool((x == x[:1]).all())  # computed before centring, which rounds
        x = x - x.mean(axis=0)
        self.norms = np.einsum("nf,nf->n", x, x)
        self._self_hsic: dict[bool, float] = {}
        self.matrix = x if x.shape[1] <= x.shape[0] else np.asarray(np.linalg.qr(x.T, mode="r")).T

    def self_hsic(self, *, debiased: bool) -> float:
        """Return ``hsic`` of these features with themselves, computed once."""
        if debiased not in self._self_hsic:
            self._self_hsic[debiased] = hsic(self, self, debiased=debiased)
        return self._self_hsic[debiased]


def hsic(a: CentredFeatures, b: CentredFeatures, *, debiased: bool) -> float:
    """Hilbert-Schmidt independence criterion (HSIC) with linear kernels, up to a factor that cancels in CKA.

    Biased: ``||X^T Y||_F^2`` (Gretton and others 2005). Debiased: ``n (n - 3)`` times Song and others' HSIC_1 (2012,
    equation 5), which sums over pairs of different images only. For centred features, its sums over Gram matrices
    ``K``, ``L`` without diagonal follow from the diagonals ``k``, ``l`` alone:
    ``||X^T Y||^2 - k.l + sum k sum l / ((n - 1)(n - 2)) - 2 k.l / (n - 2)``.

    Raises:
        ValueError: the numbers of images differ, or there are fewer than 4 images for the debiased estimate.
    """
    n = len(a.norms)
    if n != len(b.norms) or (debiased and n < 4):
        raise ValueError(f"HSIC of {n} and {len(b.norms)} images: it needs equal numbers, at least 4 if debiased.")
    cross = float(np.square(a.matrix.T @ b.matrix).sum())
    if not debiased:
        return cross
    inner = float(a.norms @ b.norms)
    return cross - inner + a.norms.sum() * b.norms.sum() / ((n - 1) * (n - 2)) - 2 * inner / (n - 2)


def linear_cka(a: CentredFeatures, b: CentredFeatures, *, debiased: bool = True) -> float:
    """Compute linear CKA, ``HSIC(a, b) / sqrt(HSIC(a, a) HSIC(b, b))`` (Kornblith and others 2019, equation 4).

    It is invariant to rotations, reflections and isotropic scaling of either side, and 1 for equal representations. The
    biased estimate is in [0, 1] and approaches 1 for unrelated features with many more units than images (Murphy and
    others 2024). The debiased estimate (the same ratio of unbiased HSICs) is about 0 there; it is in [-1, 1] up to its
    noise.

    Args:
        a: a representation.
        b: another representation of the same images.
        debiased: whether to use the debiased estimate.

    Returns:
        The alignment; NaN if a side is constant or its debiased HSIC with itself is not positive.

    Raises:
        ValueError: as ``hsic``.
    """
    if a.constant or b.constant:
        return float("nan")
    norms = [x.self_hsic(debiased=debiased) for x in (a, b)]
    if min(norms) <= 0:
        return float("nan")
    return hsic(a, b, debiased=debiased) / float(np.sqrt(norms[0] * norms[1]))
