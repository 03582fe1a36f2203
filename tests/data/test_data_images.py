"""The in-memory data set."""

import math

import pytest
import torch

from ffprobe.data.images import Images, channel_statistics
from ffprobe.data.sample_problems import MIN_STD
from ffprobe.errors import FileError


def images(mean=(0.5,), std=(0.25,)):
    return Images(torch.zeros(2, 1, 1, 1, dtype=torch.uint8), torch.tensor([0, 1]), ("a", "b"), mean, std)


@pytest.mark.parametrize("value", [0.0, 1e-320, 1e-12, -1.0])
def test_a_standard_deviation_that_is_zero_or_a_rounding_error_is_refused(value):
    with pytest.raises(FileError, match=f"standard deviation {value:g}; the minimum is {MIN_STD:g}"):
        images(std=(value,))
    assert images(std=(MIN_STD,)).std == (MIN_STD,)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_statistics_that_are_not_finite_are_refused(value):
    for given in ({"mean": (value,)}, {"std": (value,)}):
        with pytest.raises(FileError, match="must be finite"):
            images(**given)


@pytest.mark.parametrize("level", [0, 1, 77, 255])
def test_a_constant_channel_has_the_standard_deviation_one(level):
    pixels = torch.full((3, 2, 5, 7), level, dtype=torch.uint8)
    pixels[0, 1, 0, 0] = level ^ 1
    (_, _), (constant, other) = channel_statistics(pixels)
    assert constant == 1
    assert other == pytest.approx(pixels[:, 1].double().div(255).std(correction=0).item())
    assert 0 < other < 1
