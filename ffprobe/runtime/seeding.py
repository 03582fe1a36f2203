"""One root seed, named independent random streams."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

STREAMS = ("split", "init", "shuffle", "augmentation", "negatives", "training", "probes", "rule", "scheduler", "test")


def stream_seed(root: int, name: str, step: int | None = None) -> int:
    """The seed of one stream: a hash of root and name, so that streams do not overlap and do not depend on order.

    Args:
        root: the run's seed.
        name: one of ``STREAMS``.
        step: number of optimizer steps done, for draws at a step that must not depend on earlier draws.

    Returns:
        A 63-bit integer.
    """
    if name not in STREAMS:
        raise ValueError(f"no random stream {name!r}; the streams are {STREAMS}")
    text = f"{root}/{name}" if step is None else f"{root}/{name}/{step}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def stream(root: int, name: str, step: int | None = None) -> torch.Generator:
    """A generator for one stream; always on the CPU, so that a run draws the same numbers on every device."""
    return torch.Generator().manual_seed(stream_seed(root, name, step))


@contextmanager
def seeded(root: int, name: str) -> Iterator[None]:
    """Seed torch's global generator from one stream inside the block, and restore its state afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(root, name))
        yield
