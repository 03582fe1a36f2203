"""``ffprobe.ForwardForwardClassifier`` is a scikit-learn classifier like any other."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plugin_files import POWERNORM, write
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import ffprobe
from ffprobe import ForwardForwardClassifier

SMALL = {"network": {"name": "fcn", "width": 32 / 2048, "depth": 2}}


def small(**more: Any) -> ForwardForwardClassifier:
    return ForwardForwardClassifier(settings=SMALL, **{"epochs": 12, "batch_size": 16, **more})


def digits(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    x, y = load_digits(return_X_y=True)
    return x[:count], y[:count]


@pytest.mark.slow
@parametrize_with_checks([small()])
def test_scikit_learn_finds_nothing_wrong(estimator: Any, check: Any) -> None:
    check(estimator)


def test_it_learns_vectors_and_gives_probabilities() -> None:
    x, y = digits()
    model = small(epochs=20).fit(x[:200], y[:200])
    assert model.score(x[200:], y[200:]) > 0.7
    probability = model.predict_proba(x[200:])
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-6)
    assert (model.classes_[probability.argmax(axis=1)] == model.predict(x[200:])).all()
    assert model.layer_accuracy_.shape == (2,)
    assert model.n_features_in_ == 64


def test_images_and_labels_of_text() -> None:
    x, y = digits()
    names = np.array(["even", "odd"])[y % 2]
    model = ForwardForwardClassifier(plugins=["tiny:width=0.25"], epochs=8, batch_size=16)
    model.fit(x.reshape(-1, 1, 8, 8), names)
    assert set(model.predict(x.reshape(-1, 1, 8, 8))) == {"even", "odd"}
    assert model.score(x.reshape(-1, 1, 8, 8), names) > 0.8
    assert model.shape_ == (1, 8, 8)


def test_the_same_seed_is_the_same_network_and_another_is_not() -> None:
    x, y = digits(100)
    one, two, other = (small(epochs=2, random_state=seed).fit(x, y) for seed in (0, 0, 1))
    assert all((one.weights_[name] == two.weights_[name]).all() for name in one.weights_)
    assert any((one.weights_[name] != other.weights_[name]).any() for name in one.weights_)


def test_pipeline_cross_validation_and_grid_search() -> None:
    x, y = digits(200)
    pipeline = make_pipeline(MinMaxScaler(), small(epochs=3))
    assert cross_val_score(pipeline, x, y, cv=2).shape == (2,)
    grid = {"plugins": [["symba"], ["fixed-threshold"]], "learning_rate": [1e-3, 1e-2]}
    search = GridSearchCV(small(epochs=2), grid, cv=2).fit(x, y)
    assert len(search.cv_results_["mean_test_score"]) == 4
    assert search.best_params_["plugins"] in (["symba"], ["fixed-threshold"])


def test_it_pickles_with_a_plugin_whose_classes_do_not(tmp_path: Path) -> None:
    x, y = digits(100)
    model = small(epochs=2, plugins=[write(tmp_path, POWERNORM, "powernorm.py")]).fit(x, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(x), model.predict_proba(x))
    assert clone(model).get_params() == model.get_params()


def test_a_wrong_setting_is_said_as_everywhere() -> None:
    x, y = digits(50)
    with pytest.raises(ffprobe.UsageError, match="Did you mean 'width'"):
        ForwardForwardClassifier(settings={"network.widht": 1}).fit(x, y)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="images"):
        small().fit(np.zeros((4, 8, 8)), [0, 1, 0, 1])
    x, y = digits(60)
    model = small(epochs=1).fit(x.reshape(-1, 1, 8, 8), y)
    with pytest.raises(ValueError, match=r"\(1, 8, 8\)"):
        model.predict(x.reshape(-1, 1, 4, 16))


def test_a_constant_feature_is_not_divided_by_its_rounding_error() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    X[:, 1] = 0.1  # the mean of thirty such numbers is not 0.1, so their standard deviation is not 0
    assert 0 < X.std(axis=0)[1] < 1e-15
    model = ForwardForwardClassifier(settings={"network.width": 0.1}, epochs=1).fit(X, rng.integers(0, 2, 30))
    assert model.scale_.ravel()[1] == 1
    assert model.scale_.ravel()[[0, 2]] == pytest.approx(X.std(axis=0)[[0, 2]])
