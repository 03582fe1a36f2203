"""Stored inputs as a network takes them: normalized floats, channels first."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def normalize(
    inputs: torch.Tensor, mean: Sequence[float], std: Sequence[float], dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Inputs as a network takes them.

    Pixels come on the scale 0 to 1, less ``mean``, over ``std``: torchvision's ToTensor and Normalize. Values are less
    ``mean``, over ``std``. Tokens become one-hot, with a channel for each token.

    Args:
        inputs: as ``Samples.inputs``; not changed.
        mean: of each feature or channel, as ``Samples.mean``; tokens have as many as there are different tokens.
        std: as ``mean``, positive.
        dtype: of the result; half precisions are computed in float32 and rounded once.

    Returns:
        ``[B, F]``, ``[B, C, T]`` or ``[B, C, H, W]`` on the device of ``inputs``; of tokens ``[B, T]``: ``[B, V, T]``.
    """
    if inputs.dim() == 2 and not inputs.dtype.is_floating_point:
        rows, length = inputs.shape
        one_hot = torch.zeros(rows, len(mean), length, dtype=dtype, device=inputs.device)
        return one_hot.scatter_(1, inputs.long()[:, None], 1)
    exact = dtype if dtype in (torch.float32, torch.float64) else torch.float32
    # one small copy to the device, not two
    both = torch.tensor([list(mean), list(std)], dtype=exact).to(inputs.device, non_blocking=True)
    both = both.view(2, 1, -1, *[1] * (inputs.dim() - 2))
    if inputs.dtype.is_floating_point:
        return inputs.to(exact).sub(both[0]).div_(both[1]).to(dtype)
    return inputs.to(exact).div_(255).sub_(both[0]).div_(both[1]).to(dtype)


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """The same values with channels last in memory, if they are images ``[B, C, H, W]``; others are contiguous."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x.contiguous()
