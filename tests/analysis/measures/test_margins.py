"""The split into true and wrong labels, compared with a loop."""

from __future__ import annotations

import numpy as np

import ffprobe


def test_the_split_equals_that_of_a_loop() -> None:
    random = np.random.default_rng(0)
    goodness, truth = random.normal(size=(3, 7, 5)).astype("f4"), random.integers(0, 5, 7)
    true, wrong = ffprobe.true_and_wrong(goodness, truth)
    assert true.shape == (3, 7)
    assert wrong.shape == (3, 7, 4)
    for layer in range(3):
        for sample, label in enumerate(truth):
            row = list(goodness[layer, sample])
            assert true[layer, sample] == row.pop(int(label))
            assert list(wrong[layer, sample]) == row
