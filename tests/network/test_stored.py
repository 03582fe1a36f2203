"""Rows flattened in memory order: the same elements, without a copy."""

from __future__ import annotations

import torch

import ffprobe


def test_maps_with_channels_last_are_flattened_without_a_copy() -> None:
    plain = torch.randn(3, 4, 5, 6)
    last = plain.contiguous(memory_format=torch.channels_last)
    flat = ffprobe.flat_as_stored(last)
    assert flat.data_ptr() == last.data_ptr()
    assert torch.equal(flat.sort(dim=1).values, plain.flatten(1).sort(dim=1).values)
    assert torch.equal(flat[0, :4], plain[0, :, 0, 0])


def test_other_tensors_are_flattened_by_flatten() -> None:
    for x in (
        torch.randn(3, 4, 5, 6),
        torch.randn(3, 7),
        torch.randn(3, 4, 6).transpose(1, 2),
        torch.randn(2, 1, 4, 4),
    ):
        assert torch.equal(ffprobe.flat_as_stored(x), x.flatten(1))
