"""The device and the precision of forward passes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch

from ffprobe.errors import UsageError
from ffprobe.runtime.processor import processor_rates

FASTER = 1.2
"""How many times faster bf16 must be on a processor for ``auto`` to choose it."""


def choose_device(name: str) -> torch.device:
    """The device that ``--device`` names; ``auto`` is the first CUDA GPU, or the CPU if there is none.

    Raises:
        UsageError: this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"The device {name!r} cannot be used: {reason}", hint="Use --device auto or cpu.") from error
    return device


def choose_precision(name: str, device: torch.device, *, keep: bool = True) -> str:
    """``fp32``, ``bf16`` or ``fp64``; ``auto`` is bf16 where it is at least 1.2 times faster, else fp32.

    On a GPU, bf16 is faster from Ampere on. Processors with bfloat16 instructions differ: some compute slower in it
    than in float32, so ``auto`` measures a convolution and a product once for each machine (``processor_rates``).

    fp16 is not offered: local losses divide by batch times features, so fp16 gradients of activations underflow.

    Args:
        name: what was asked for.
        device: the device.
        keep: write what was measured for ``auto`` to the cache folder, for the next time.

    Raises:
        UsageError: bf16 was requested on a device that does not support it.
    """
    if name == "auto":
        if not native_bf16(device):
            return "fp32"
        return "bf16" if device.type == "cuda" or processor_rates(keep=keep).speedup >= FASTER else "fp32"
    if name == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        name = torch.cuda.get_device_name(device)
        raise UsageError(f"{name} does not support bfloat16.", hint="Use --precision fp32.")
    return name


def native_bf16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 run natively: CUDA from Ampere on, CPUs with AVX512-BF16 or AMX."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type != "cpu":
        return False
    features = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # private names, which torch may remove
    return any(bool(getattr(torch.cpu, name, bool)()) for name in features)


def autocast(precision: str, device: torch.device) -> Callable[[], AbstractContextManager[None]]:
    """A function that returns a new context manager for forward passes in this precision."""
    if precision != "bf16":
        return nullcontext
    return lambda: torch.autocast(device.type, torch.bfloat16)
