"""MNIST-1D: 5,000 generated signals of 40 samples, ten classes named after the digits."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

import ffprobe

if TYPE_CHECKING:
    import numpy as np

    Part = tuple[np.ndarray, np.ndarray]

TEMPLATES = """
5 6 6.5 6.75 7 7 7 7 6.75 6.5 6 5
5 3 3 3.4 3.8 4.2 4.6 5 5.4 5.8 5 5
5 6 6.5 6.5 6 5.25 4.75 4 3.5 3.5 4 5
5 6 6.5 6.5 6 5 5 6 6.5 6.5 6 5
5 4.4 3.8 3.2 2.6 2.6 5 5 5 5 5 5
5 3 3 3 3 5 6 6.5 6.5 6 4.5 5
5 4 3.5 3.25 3 3 3 3 3.25 3.5 4 5
5 7 7 6.6 6.2 5.8 5.4 5 4.6 4.2 5 5
5 4 3.5 3.5 4 5 5 4 3.5 3.5 4 5
5 4 3.5 3.5 4 5 5 5 5 4.7 4.3 5
"""
"""The published pen strokes of the digits 0 to 9: twelve heights from left to right."""
SEED, PER_CLASS, TRAINING = 42, 500, 4000
PADDING = (36, 60)  # zeros after the template, so that it covers a sixth to a quarter of the signal
DILATED, LENGTH = 72, 40  # points while noise is added, and of the finished signal
MAX_TRANSLATION = 48
SCALE, SHEAR = 0.4, 0.75  # widths of the uniform draws
CORRELATED, WHITE = 0.25, 0.02  # standard deviations of the noise before smoothing, and of the noise of each point


class MNIST1D(ffprobe.Dataset):
    """MNIST-1D: generated signals, 1x40, 10 classes, 4,000 for training and 1,000 for testing.

    The templates of ten digits are padded, stretched, scaled, shifted in time, hidden in smooth noise and sheared, with
    the published parameters and in the order of the published generator's draws. With the same seed, the signals are
    the published ones up to the rounding to float32. The authors report 32 % test accuracy of a logistic regression,
    68 % of a multi-layer perceptron and 94 % of a convolutional network, all trained with backpropagation.

    Deviations: none known. As published, mean and standard deviation of all 5,000 signals together are 0 and 1, and the
    split is random, not stratified.
    """

    name = "mnist1d"
    published = True
    source = "Greydanus & Kobak 2020, arXiv 2011.14439, section 3 and the authors' default parameters"
    defaults = {"network": {"name": "cnn1d"}, "encoder": {"name": "label-channel"}}

    def load(self, split: Literal["train", "test"]) -> ffprobe.Samples:
        """Load one split: float32 ``[4000, 1, 40]`` or ``[1000, 1, 40]``."""
        import torch

        signals, labels = self._parts[split]
        inputs = torch.from_numpy(signals).float().unsqueeze(1)
        return ffprobe.Samples(inputs, torch.from_numpy(labels), tuple("0123456789"))

    @cached_property
    def _parts(self) -> dict[Literal["train", "test"], Part]:
        signals, labels = generate()
        return {
            "train": (signals[:TRAINING], labels[:TRAINING]),
            "test": (signals[TRAINING:], labels[TRAINING:]),
        }


def generate() -> Part:
    """All signals float64 ``[5000, 40]`` and labels int64 ``[5000]``, in the published order."""
    import numpy as np

    draws = np.random.RandomState(SEED)  # the generator of the published numbers; numpy never changes its stream
    digits = templates()
    labels = np.repeat(np.arange(10), PER_CLASS)
    signals = np.stack([_signal(digits[label], draws) for label in labels])
    order = draws.permutation(len(labels))
    signals = (signals - signals.mean()) / signals.std()
    return signals[order], labels[order].astype(np.int64)


def templates() -> np.ndarray:
    """The ten strokes, float64 ``[10, 12]``: standard deviation 1/6, starting at 0."""
    import numpy as np

    heights = np.array([line.split() for line in TEMPLATES.split("\n") if line], dtype=float)
    heights /= heights.std(axis=1, keepdims=True) * 6
    return heights - heights[:, :1]


def _signal(template: np.ndarray, draws: np.random.RandomState) -> np.ndarray:
    """One signal of a class, ``[40]``."""
    import numpy as np
    from scipy.ndimage import gaussian_filter1d

    zeros = PADDING[0] + int(draws.rand() * (PADDING[1] - PADDING[0] + 1))
    padded = np.concatenate([template + 1e-8, np.zeros(zeros)])  # a template never is 0: only the padding gets noise
    signal = _resampled(padded, DILATED) * (1 + SCALE * (draws.rand() - 0.5))
    signal = np.roll(signal, draws.choice(MAX_TRANSLATION))
    noise = gaussian_filter1d(CORRELATED * draws.randn(DILATED), 2)
    signal = np.where(signal == 0, noise, signal) + WHITE * draws.randn(DILATED)
    slope = SHEAR * (draws.rand() - 0.5)
    return _resampled(signal - slope * np.linspace(-0.5, 0.5, DILATED), LENGTH)


def _resampled(signal: np.ndarray, length: int) -> np.ndarray:
    """The signal at ``length`` evenly spaced times, between its points on straight lines."""
    import numpy as np

    resampled: np.ndarray = np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(signal)), signal)
    return resampled


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Return the data set."""
    return [MNIST1D]
