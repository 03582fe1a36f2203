"""MNIST-1D, as its authors' generator makes it."""

import numpy as np
import pytest
import torch
from ffprobe_plugins.datasets.mnist1d import MNIST1D, generate, templates


@pytest.fixture(scope="module")
def dataset():
    return MNIST1D()


def test_the_signals_are_the_published_ones(dataset):
    train, test = dataset.load("train"), dataset.load("test")
    assert train.labels[:10].tolist() == [2, 6, 4, 5, 6, 6, 6, 0, 3, 1]
    assert test.labels.bincount().tolist() == [102, 104, 89, 106, 106, 98, 99, 96, 98, 102]
    # from mnist1d 0.0.2.post1, the authors' package: make_dataset(get_dataset_args())
    assert train.inputs[0, 0, [0, 7, 20, 39]].tolist() == pytest.approx([-0.3320057, 1.6525071, 1.5934880, -0.8901664])
    assert test.inputs[-1, 0, [0, 7, 20, 39]].tolist() == pytest.approx(
        [-0.5193287, -0.0410400, 1.3949283, 1.1931518], rel=1e-5
    )


def test_all_signals_together_have_mean_0_and_standard_deviation_1(dataset):
    signals = torch.cat([dataset.load("train").inputs, dataset.load("test").inputs]).double()
    assert float(signals.mean()) == pytest.approx(0, abs=1e-6)
    assert float(signals.std()) == pytest.approx(1, abs=1e-5)


def test_a_stroke_starts_and_ends_at_0():
    strokes = templates()
    assert strokes.shape == (10, 12)
    np.testing.assert_allclose(strokes.std(axis=1), 1 / 6)
    np.testing.assert_allclose(strokes[:, [0, -1]], 0, atol=1e-12)


def test_the_global_generators_do_not_matter():
    np.random.seed(7)
    before = np.random.get_state()[1].copy()
    signals = generate()[0]
    assert signals[0, 0] == pytest.approx(-0.3320057)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
