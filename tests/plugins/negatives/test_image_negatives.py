"""Negatives that are images, against plain code, and the loss with two thresholds by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

import ffprobe

X = torch.rand(40, 2, 12, 12, generator=torch.Generator().manual_seed(1))
LABELS = torch.zeros(40, dtype=torch.int64)


def make(kind: str, name: str, **params: Any) -> Any:
    component: Any = ffprobe.registered(kind)[name]
    return component(component.Params(**params))


def draw(name: str, seed: int = 0, **params: Any) -> torch.Tensor:
    return make("negatives", name, **params)(X, LABELS, 10, torch.Generator().manual_seed(seed))


def test_other_image_is_the_mean_of_two_images() -> None:
    partner = 2 * draw("other-image") - X  # [B, ...]
    distance = (partner[:, None] - X[None]).abs().amax(dim=(2, 3, 4))
    indices = distance.argmin(dim=1)
    assert float(distance.amin(dim=1).max()) < 1e-6
    assert not (indices == torch.arange(40)).any()
    assert sorted(indices.tolist()) == list(range(40))  # each is used once


def test_hybrids_are_pixels_of_two_images() -> None:
    hybrid = draw("masked-hybrid", blur=0.2)
    own = (hybrid == X).all(dim=1)  # [B, H, W]; all channels together
    for index in range(40):
        rest = ~own[index]
        assert 0 < int(rest.sum()) < rest.numel()
        fits = [j for j in range(40) if j != index and torch.equal(hybrid[index][:, rest], X[j][:, rest])]
        assert len(fits) == 1
    assert 0.3 < own.float().mean() < 0.7


@pytest.mark.parametrize(("blur", "side"), [(0.1, 28), (0.3, 12)])
def test_masks_are_blurred_bits_cut_in_half(blur: float, side: int) -> None:
    masks = make("negatives", "masked-hybrid", blur=blur).mask(5, (side, side), torch.Generator().manual_seed(2))
    bits = torch.randint(2, (5, 1, side, side), generator=torch.Generator().manual_seed(2)).double().numpy()
    times = round(2 * (blur * side) ** 2)
    kernel = np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25])
    for mask, plain in zip(masks[:, 0], bits[:, 0], strict=True):
        for _ in range(times):
            plain = ndimage.convolve(plain, kernel, mode="nearest")
        level = 0.5 if plain.min() <= 0.5 < plain.max() else plain.mean()
        far = np.abs(plain - level) > 1e-4  # rounding decides the others
        np.testing.assert_array_equal(mask.numpy()[far], (plain > level)[far])
        assert far.mean() > 0.97


def test_masks_of_signals_are_blurred_over_time() -> None:
    masks = make("negatives", "masked-hybrid", blur=0.1).mask(5, (40,), torch.Generator().manual_seed(2))
    bits = torch.randint(2, (5, 1, 40), generator=torch.Generator().manual_seed(2)).double().numpy()
    for mask, plain in zip(masks[:, 0], bits[:, 0], strict=True):
        for _ in range(32):
            plain = ndimage.convolve1d(plain, [0.25, 0.5, 0.25], mode="nearest")
        far = np.abs(plain - 0.5) > 1e-4
        np.testing.assert_array_equal(mask.numpy()[far], (plain > 0.5)[far])
        assert 0 < mask.sum() < 40


def test_half_of_the_features_of_a_hybrid_row_come_from_another_row() -> None:
    table = X[:, 0, 0, :7].contiguous()
    hybrid = make("negatives", "masked-hybrid")(table, LABELS, 10, torch.Generator().manual_seed(0))
    own = hybrid == table
    assert (own.sum(dim=1) == 4).all()  # 4 of 7
    for index in range(40):
        rest = ~own[index]
        assert sum(torch.equal(hybrid[index, rest], row[rest]) for row in table) == 1


def test_more_blur_gives_larger_regions() -> None:
    def edges(blur: float) -> float:
        mask = make("negatives", "masked-hybrid", blur=blur).mask(50, (28, 28), torch.Generator().manual_seed(3))
        return float((mask[..., 1:] != mask[..., :-1]).float().mean())

    assert edges(0.05) > 1.5 * edges(0.1) > 2.25 * edges(0.2)


@pytest.mark.parametrize("name", ["masked-hybrid", "other-image"])
def test_one_image_has_no_other(name: str) -> None:
    with pytest.raises(ffprobe.UsageError, match="batch-size"):
        make("negatives", name)(X[:1], LABELS[:1], 10, torch.Generator())


def test_two_thresholds_by_hand() -> None:
    def softplus(x: float) -> float:
        return math.log(1 + math.exp(x))

    loss = make("loss", "two-thresholds", positive=[3, 5], negative=[1, 2], price=[0.1, 0.5], factor=1)
    positive, negative = torch.tensor([4.0, 2.0]), torch.tensor([0.5, 3.0])
    for layer, (above, below, price) in enumerate([(3, 1, 0.1), (5, 2, 0.5), (5, 2, 0.5)]):
        context = ffprobe.LossContext(layer, 3, 0, 0, torch.zeros(4, 1), torch.zeros(2, dtype=torch.int64))
        expected = (softplus(above - 4) + softplus(above - 2) + softplus(0.5 - below) + softplus(3 - below)) / 2
        assert loss(positive, negative, context).item() == pytest.approx(expected + price * 3, rel=1e-6)


def test_two_thresholds_apply_to_every_position() -> None:
    maps = torch.rand(6, 4, 3, 2, dtype=torch.float64).requires_grad_()
    goodness = maps.square().mean(dim=(1, 2, 3))
    context = ffprobe.LossContext(1, 3, 0, 0, maps, torch.zeros(3, dtype=torch.int64))
    settings = {"positive": [9, 1.5], "negative": [9, 1.0], "price": [9, 0.2]}
    loss = make("loss", "two-thresholds", **settings, factor=4)
    value = loss(goodness[:3], goodness[3:], context)
    y = 4 * maps.square().mean(dim=1).flatten(1)  # [6, positions]
    expected = (1 + (1.5 - y[:3]).exp()).log().mean() + (1 + (y[3:] - 1.0).exp()).log().mean()
    expected = expected + 0.2 * y[:3].square().sum(dim=1).sqrt().mean()
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    (gradient,) = torch.autograd.grad(value, maps, retain_graph=True)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, maps)[0])
    once = make("loss", "two-thresholds", **settings, factor=4, per="image")(goodness[:3], goodness[3:], context)
    assert once.item() != pytest.approx(value.item(), rel=1e-3)
