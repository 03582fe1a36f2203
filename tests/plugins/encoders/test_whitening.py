"""Fixed whitening filters."""

from __future__ import annotations

import pytest
import torch
from ffprobe_plugins.encoders.whitening import Whitening, filters

import ffprobe


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_filters_are_orthonormal(channels: int) -> None:
    rows = filters(channels).flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(4 * channels))


def test_the_first_filters_are_mean_and_differences_of_brightness() -> None:
    brightness = filters(3)[:4].sum(dim=1) / 3**0.5
    expected = [[[1, 1], [1, 1]], [[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]]]
    torch.testing.assert_close(brightness, torch.tensor(expected) / 2)


def test_components_have_mean_0_and_variance_1_over_the_batch_and_halves_are_opposite() -> None:
    images = torch.randn(32, 3, 9, 7, generator=torch.Generator().manual_seed(0)) * 3 + 1
    out = Whitening().build((3, 9, 7), 10)(images, torch.zeros(32, dtype=torch.int64))
    assert out.shape == (32, 24, 8, 6)
    y = out[:, :12] - out[:, 12:]  # relu(y) - relu(-y)
    assert (out[:, :12] * out[:, 12:] == 0).all()
    torch.testing.assert_close(y.mean(dim=(0, 2, 3)), torch.zeros(12), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var(dim=(0, 2, 3), correction=0), torch.ones(12), atol=1e-3, rtol=0)


def test_photographs_are_nearly_white() -> None:
    from sklearn.datasets import load_sample_image

    photo = torch.tensor(load_sample_image("china.jpg")).permute(2, 0, 1).float()[None]
    photo = (photo - photo.mean(dim=(0, 2, 3), keepdim=True)) / photo.std(dim=(0, 2, 3), keepdim=True)
    out = Whitening().build(tuple(photo.shape[1:]), 10)(photo, torch.zeros(1, dtype=torch.int64))
    y = (out[:, :12] - out[:, 12:]).transpose(0, 1).flatten(1)
    correlations = torch.corrcoef(y) - torch.eye(12)
    pixels = torch.corrcoef(photo.unfold(2, 2, 1).unfold(3, 2, 1).movedim(1, -1).reshape(-1, 12).T) - torch.eye(12)
    assert correlations.abs().sum() / 132 < 0.15 < pixels.abs().sum() / 132


def test_evaluation_uses_running_statistics_and_labels_have_no_effect() -> None:
    module = Whitening().build((1, 6, 6), 3)
    images = torch.randn(16, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    for _ in range(200):
        module(images, torch.zeros(16, dtype=torch.int64))
    trained = module(images, torch.zeros(16, dtype=torch.int64))
    module.eval()
    alone = torch.cat([module.neutral(image[None]) for image in images])
    torch.testing.assert_close(alone, trained, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("shape", [(3, 1, 8), (2, 8), (5,)])
def test_only_images_have_patches(shape: ffprobe.Shape) -> None:
    with pytest.raises(ffprobe.UsageError, match="2x2 pixels"):
        Whitening().build(shape, 10)
