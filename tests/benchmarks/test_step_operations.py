"""The operations that a speed is counted in, against torch's own count of a plain step."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.plain_trifecta import PlainTrifecta
from benchmarks.step import two_steps_operations


def test_operations_are_those_that_torch_counts() -> None:
    width, batch = 0.0625, 3
    one = PlainTrifecta(width)
    images, labels = torch.randn(batch, 3, 32, 32), torch.tensor([0, 1, 2])
    with FlopCounterMode(display=False) as counter:
        for _ in range(2):
            one.step(images, labels, labels + 1)
    # the plain step, unlike ours, runs the last layer forward in its odd step, too
    last = 2 * 9 * 16 * 32 * 8 * 8 * 2 * batch
    assert counter.get_total_flops() == two_steps_operations(width, batch) + last
