"""Random shifts of signals in time, a separate one for every signal."""

from __future__ import annotations

import torch


def shift_signals(
    signals: torch.Tensor, generator: torch.Generator, shift: int, part: tuple[int, slice] | None = None
) -> torch.Tensor:
    """Shift each signal by whole time steps, uniform in [-shift, shift]; its first or last value fills the gap.

    Args:
        signals: ``[B, C, T]``, on any device; not changed.
        generator: a CPU generator, the only source of randomness.
        shift: largest shift in time steps; 0 draws nothing.
        part: (number of signals in the whole batch, rows of these signals in it): shifts are drawn for the whole batch,
            also if other processes have the rest; None if ``signals`` is the whole batch.

    Returns:
        ``[B, C, T]``, with the dtype and device of ``signals``.
    """
    if not shift:
        return signals
    count, rows = part or (len(signals), slice(None))
    offsets = torch.randint(-shift, shift + 1, (count,), generator=generator)[rows].to(signals.device)
    steps = torch.arange(signals.shape[2], device=signals.device) + offsets[:, None]  # [B, T]
    source = steps.clamp(0, signals.shape[2] - 1)[:, None].expand_as(signals)
    return signals.gather(2, source)
