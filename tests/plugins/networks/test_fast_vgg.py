"""The plan of fast-vgg."""

from __future__ import annotations

import pytest
from ffprobe_plugins.networks.fast_vgg import FastVGG

import ffprobe


def plan(shape: ffprobe.Shape, **params: object) -> list[tuple[int, int]]:
    return [(spec.width, spec.pool) for spec in FastVGG(FastVGG.Params(**params)).layers(shape, 10)]


def test_the_first_convolution_of_a_stage_pools() -> None:
    assert plan((24, 31, 31)) == [(64, 2), (64, 1), (256, 2), (256, 1), (256, 2), (256, 1)]


def test_settings() -> None:
    assert plan((3, 32, 32), channels=(10, 20), convolutions=1, width=0.5) == [(5, 2), (10, 2)]


def test_small_images_are_not_pooled_away() -> None:
    assert [pool for _, pool in plan((1, 3, 3), convolutions=1)] == [2, 1, 1]


def test_only_images() -> None:
    with pytest.raises(ffprobe.UsageError, match="needs images"):
        plan((12,))
