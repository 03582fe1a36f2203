"""``ffprobe.ForwardForwardClassifier`` is a scikit-learn classifier like any other."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plugin_files import POWERNORM, write
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import ffprobe
from ffprobe import ForwardForwardClassifier

SMALL = {"network": {"name": "fcn", "width": 32 / 2048, "depth": 2}}


def small(**more: Any) -> ForwardForwardClassifier:
    return ForwardForwardClassifier(settings=SMALL, **{"epochs": 12, "batch_size": 16, **more})


def digits(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    x, y = load_digits(return_X_y=True)
    return x[:count], y[:count]


DRAWN = "weights decide how often samples are drawn at random, so that a weight of 2 is not exactly a sample twice"
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": DRAWN,
    "check_sample_weight_equivalence_on_sparse_data": DRAWN,
}
"""The checks of scikit-learn that it marks as failing for its own stochastic estimators, too."""


@pytest.mark.slow
@parametrize_with_checks([small()], expected_failed_checks=lambda estimator: EXPECTED)
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
        small().fit(np.zeros((4, 2, 2, 8, 8)), [0, 1, 0, 1])
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


def test_the_network_may_be_an_object_and_is_cloned_and_pickled() -> None:
    x, y = digits(200)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
    network = nn.Sequential(nn.Flatten(), network)
    model = ForwardForwardClassifier("mono-forward", network=network, epochs=5, batch_size=16).fit(x, y)
    assert model.score(x, y) > 0.8
    assert cross_val_score(clone(model), x, y, cv=2).min() > 0.3  # chance is 0.1
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_early_stopping_keeps_the_best_epoch_and_ends_before_the_last() -> None:
    x, y = digits(200)
    model = small(epochs=40, early_stopping=True, n_iter_no_change=2, validation_fraction=0.3).fit(x, y)
    assert 2 < model.n_iter_ < 40
    assert small(epochs=3).fit(x, y).n_iter_ == 3


def test_calibrated_probabilities_fit_held_out_samples_better_than_the_softmax() -> None:
    x, y = digits(600)
    settings = {"preset": "mono-forward", "settings": {"network": {"name": "fcn", "width": 32 / 2048, "depth": 2}}}
    model = ForwardForwardClassifier(**settings, epochs=30, batch_size=16, calibrate=True, validation_fraction=0.3)
    model.fit(x[:400], y[:400])
    calibrated = model.predict_proba(x[400:])
    np.testing.assert_allclose(calibrated.sum(axis=1), 1)
    assert len(model.held_out_labels_) == pytest.approx(120, abs=10)
    model.held_out_scores_ = None
    assert log_loss(y[400:], calibrated) < log_loss(y[400:], model.predict_proba(x[400:]))


def test_a_class_with_weight_zero_is_never_predicted() -> None:
    x, y = digits(200)
    x, y = x[y < 2], y[y < 2]
    settings = {"network": {"name": "fcn", "width": 32 / 2048, "depth": 2}}
    model = ForwardForwardClassifier("mono-forward", settings=settings, epochs=20, batch_size=8)
    model.fit(x, y, sample_weight=(y == 0).astype(float))
    assert set(model.predict(x)) == {0}
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        model.fit(x, y, sample_weight=np.full(len(y), -1.0))


def test_partial_fit_learns_pass_by_pass_and_goes_on_after_pickling() -> None:
    x, y = digits(300)
    settings = {"network": {"name": "fcn", "width": 32 / 2048, "depth": 2}}
    model = ForwardForwardClassifier("mono-forward", ["greedy"], settings, batch_size=16)
    model.partial_fit(x[:100], y[:100], classes=range(10))
    first = model.score(x, y)
    for _ in range(8):
        model.partial_fit(x[:100], y[:100])
        model.partial_fit(x[100:200], y[100:200])
    assert model.score(x[200:], y[200:]) > max(0.6, first)
    again = pickle.loads(pickle.dumps(model))
    before = again.score(x, y)
    assert again.partial_fit(x[:200], y[:200]).score(x, y) > before - 0.1
    assert again.n_iter_ == model.n_iter_ + 1
    with pytest.raises(ValueError, match="not among the classes"):
        model.partial_fit(x[:3], [0, 1, 77])


def test_signals_are_inputs_too() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = rng.normal(size=(80, 2, 12)) + 2 * y[:, None, None]
    network = nn.Sequential(nn.Conv1d(2, 8, 3, padding=1), nn.ReLU())
    model = ForwardForwardClassifier("mono-forward", network=network, epochs=5, batch_size=16).fit(x, y)
    assert model.score(x, y) > 0.9
    assert model.shape_ == (2, 12)


def test_a_training_is_recorded_on_request(tmp_path: Path) -> None:
    x, y = digits(200)
    model = small(epochs=2, record=tmp_path / "fit.h5").fit(x, y)
    with ffprobe.open(tmp_path / "fit.h5") as run:
        assert run.complete
        assert run.epochs == model.n_iter_ == 2
        assert run.config["network"]["name"] == "fcn"
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    with pytest.raises(ffprobe.UsageError, match="already exists"):
        model.fit(x, y)


def test_partial_fit_refuses_to_train_one_layer_after_another() -> None:
    x, y = digits(60)
    settings = {"network": {"name": "fcn", "width": 32 / 2048, "depth": 2}}
    with pytest.raises(ffprobe.UsageError, match="one layer after another over many"):
        ForwardForwardClassifier("mono-forward", settings=settings).partial_fit(x, y)
