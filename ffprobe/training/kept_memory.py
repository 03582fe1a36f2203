"""Freed memory kept for the next layer, instead of given back to the system and asked for again."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
"""The numbers of glibc's settings in ``malloc.h``."""
LARGEST, MAPPINGS = 32 << 20, 65536
"""Up to where glibc keeps blocks by itself (64-bit), and how many larger ones it maps: its defaults."""


@contextmanager
def kept_memory(device: torch.device) -> Iterator[None]:
    """Let the C library keep what is freed, as long as the context lasts.

    glibc maps every block above 32 MB anew and unmaps it when it is freed, so each activation of a wide layer costs a
    page fault for every 4 kB: measured, a twelfth of a training step of ``tff-s`` and up to half the time of an
    evaluation. Kept, the process stays at its peak until the context ends, when all of it is given back.

    Numbers do not depend on it. Nothing happens on a GPU, where torch keeps memory itself, or without glibc.

    Args:
        device: of network and batches.
    """
    if device.type != "cpu" or platform.libc_ver()[0] != "glibc":
        yield
        return
    library = ctypes.CDLL(None)
    library.mallopt(MMAP_MAX, 0)
    library.mallopt(TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        library.mallopt(MMAP_MAX, MAPPINGS)
        library.mallopt(MMAP_THRESHOLD, LARGEST)
        library.mallopt(TRIM_THRESHOLD, 2 * LARGEST)
        library.malloc_trim(0)
