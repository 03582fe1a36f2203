"""Shifts of signals in time."""

import torch

from ffprobe.data.shift import shift_signals


def test_each_signal_moves_by_whole_steps_and_its_end_fills_the_gap():
    signals = torch.arange(10.0).expand(200, 2, 10)
    moved = shift_signals(signals, torch.Generator().manual_seed(0), 3)
    offsets = moved[:, 0, 5] - 5
    assert sorted(set(offsets.tolist())) == [-3, -2, -1, 0, 1, 2, 3]
    expected = (torch.arange(10.0) + offsets[:, None]).clamp(0, 9)
    assert torch.equal(moved, expected[:, None].expand_as(moved))


def test_the_rows_of_two_processes_are_those_of_one():
    signals = torch.randn(8, 1, 20)
    whole = shift_signals(signals, torch.Generator().manual_seed(1), 4)
    parts = [
        shift_signals(signals[rows], torch.Generator().manual_seed(1), 4, (8, rows))
        for rows in (slice(0, 3), slice(3, 8))
    ]
    assert torch.equal(torch.cat(parts), whole)


def test_a_shift_of_zero_draws_nothing():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    signals = torch.randn(2, 1, 5)
    assert shift_signals(signals, generator, 0) is signals
    assert torch.equal(generator.get_state(), before)
