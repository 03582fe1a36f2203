"""Heads compared with scikit-learn, and classes without fitted images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import ffprobe


def blobs(classes: int, count: int = 300, width: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % classes
    centres = torch.randn(classes, width, generator=generator)
    x = centres[labels] + torch.randn(count, width, generator=generator)
    return x * torch.tensor([1e-3, 1, 10, 1, 1, 100]) + torch.tensor([0, 5, -900, 0, 0, 1e4]), labels


@pytest.mark.parametrize("classes", [2, 4])
def test_probabilities_equal_scikit_learns(classes: int) -> None:
    x, labels = blobs(classes)
    head = ffprobe.fit_head(x, labels, classes, l2=2.0)
    scaler = StandardScaler().fit(x.double().numpy())
    model = LogisticRegression(C=0.5, max_iter=2000, tol=1e-8).fit(scaler.transform(x.double().numpy()), labels)
    expected = model.predict_proba(scaler.transform(x.double().numpy()))
    np.testing.assert_allclose(head.log_probabilities(x).exp(), expected, atol=2e-3)
    assert (head.log_probabilities(x).argmax(1).numpy() == expected.argmax(1)).all()


def test_a_class_without_fitted_images_is_never_predicted() -> None:
    x, labels = blobs(3)
    head = ffprobe.fit_head(x, torch.tensor([0, 2, 4])[labels], 6, l2=1.0)
    log_probabilities = head.log_probabilities(x)
    assert torch.isneginf(log_probabilities[:, [1, 3, 5]]).all()
    torch.testing.assert_close(
        log_probabilities[:, [0, 2, 4]], ffprobe.fit_head(x, labels, 3, l2=1.0).log_probabilities(x)
    )


def test_a_constant_feature_has_weight_zero() -> None:
    x, labels = blobs(3)
    constant = torch.full((len(x), 1), 7.123)
    head = ffprobe.fit_head(torch.cat([x, constant], 1), labels, 3, l2=1.0)
    assert head.weight[-1].tolist() == [0, 0, 0]
    assert torch.isfinite(head.weight).all()


def test_one_class_is_refused() -> None:
    with pytest.raises(ffprobe.FileError, match="at least two classes"):
        ffprobe.fit_head(torch.rand(5, 2), torch.zeros(5, dtype=torch.int64), 3, l2=1.0)


def test_a_head_on_features_is_fitted_once_for_all_subsets() -> None:
    x, labels = blobs(3)
    calibration = ffprobe.Calibration(
        torch.rand(2, 8, 3), labels[:8], "pair", {0: x[:8], 1: x[:8]}, {0: x, 1: x}, labels
    )
    first = ffprobe.fit_feature_head(calibration, [0, 1], 1.0)
    assert ffprobe.fit_feature_head(calibration.halves()[0], [0, 1], 1.0) is first
    assert ffprobe.fit_feature_head(calibration, [0], 1.0) is not first
    assert first.weight.shape == (12, 3)
    with pytest.raises(ffprobe.FileError, match=r"no recorded activations.*recording\.activations"):
        ffprobe.fit_feature_head(ffprobe.Calibration(torch.rand(2, 8, 3), labels[:8]), [0], 1.0)
