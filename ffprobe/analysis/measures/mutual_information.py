"""Mutual information with a label, in bits: bounds and estimates, each with its error."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Bits(NamedTuple):
    """An amount of information with an error interval.

    Attributes:
        bits: the estimate in bits.
        low: lower end of its interval.
        high: upper end of its interval.
    """

    bits: float
    low: float
    high: float


class ConfusionInformation(NamedTuple):
    """Estimates of the mutual information between a label and a prediction of it.

    Attributes:
        plug_in: estimate from the observed frequencies; with few images it is too high if many cells are non-zero, too
            low if few are.
        miller_madow: the plug-in estimate minus its first-order bias.
        low: lower end of a 95 % bootstrap interval.
        high: upper end of that interval.
    """

    plug_in: float
    miller_madow: float
    low: float
    high: float


def label_information_bound(log_probabilities: Any, labels: Any) -> Bits:
    """Compute a lower bound of the information about the label in a classifier's input, ``H(y) - cross-entropy``.

    Barber and Agakov (2003): any distribution ``q(y | h)`` bounds ``I(h; y)`` from below by ``H(y) + E[log q(y | h)]``;
    the gap is not known. The entropy is the plug-in estimate from these labels, which is too small on average, so that
    the bound still holds on average; it may be below 0. ``q`` must not have been fitted on these rows.

    Args:
        log_probabilities: ``[N, K]``, natural logarithms, each row a distribution.
        labels: ``[N]``, 0 to ``K - 1``.

    Returns:
        The bound, with an interval of one standard error (of a mean over N images) on both sides.
    """
    log_q, label = np.asarray(log_probabilities, float), np.asarray(labels)
    share = np.bincount(label, minlength=log_q.shape[1]) / len(label)
    gain = (log_q[np.arange(len(label)), label] - np.log(share[label])) / np.log(2)
    bits = float(gain.mean())
    error = float(gain.std(ddof=1) / len(gain) ** 0.5) if len(gain) > 1 else float("nan")
    return Bits(bits, bits - error, bits + error)


def plug_in_information(counts: Any) -> np.ndarray:
    """Compute the mutual information of observed frequencies, in bits.

    Args:
        counts: ``[..., K, L]``, number of occurrences of each pair of label and prediction.

    Returns:
        Float64 ``[...]``, at least 0.
    """
    n = np.asarray(counts, float)
    p = n / n.sum(axis=(-2, -1), keepdims=True)

    def entropy(q: np.ndarray, axis: Any) -> np.ndarray:
        return -np.where(q > 0, q * np.log2(np.where(q > 0, q, 1)), 0).sum(axis=axis)

    return np.asarray(entropy(p.sum(-1), -1) + entropy(p.sum(-2), -1) - entropy(p, (-2, -1))).clip(min=0)


def confusion_information(counts: Any, *, resamples: int = 1000, seed: int = 0) -> ConfusionInformation:
    """Estimate the mutual information between the rows and the columns of a table of counts, in bits.

    The correction of Miller and Madow subtracts half a nat divided by the number of images for each non-zero cell
    beyond those of the margins (Miller 1955). The interval is the basic bootstrap interval over images, ``2 I -
    quantile``: resampling adds the bias once more, and the reflection removes it. Its ends are clipped to 0 and to the
    logarithm of the smaller number of values.

    Args:
        counts: ``[K, L]`` integers, the confusion matrix.
        resamples: number of bootstrap resamples.
        seed: random seed of the bootstrap.

    Returns:
        The plug-in estimate, the corrected estimate and the interval; the corrected estimate may be below 0.
    """
    table = np.asarray(counts, np.int64)
    total = int(table.sum())
    plug_in = float(plug_in_information(table))
    used = [int(np.count_nonzero(part)) for part in (table.sum(1), table.sum(0), table)]
    corrected = plug_in + (used[0] + used[1] - used[2] - 1) / (2 * total * np.log(2))
    random = np.random.default_rng(seed)
    estimates = []
    for start in range(0, resamples, step := max(1, (1 << 20) // table.size)):
        draws = random.multinomial(total, table.ravel() / total, size=min(step, resamples - start))
        estimates.append(plug_in_information(draws.reshape(-1, *table.shape)))
    lower, upper = np.quantile(np.concatenate(estimates), [0.025, 0.975])
    ends = np.clip([2 * plug_in - upper, 2 * plug_in - lower], 0, np.log2(min(used[:2])))
    return ConfusionInformation(plug_in, float(corrected), float(ends[0]), float(ends[1]))
