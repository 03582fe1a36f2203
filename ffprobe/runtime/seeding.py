"""One root seed, named independent random streams."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

STREAMS = ("split", "init", "shuffle", "augmentation", "negatives", "training", "probes", "rule")


def stream_seed(root: int, name: str, step: int | None = None) -> int:
    """The seed of one stream: a hash of root and name, so that streams neither overlap nor depend on order.

    Args:
        root: the run's seed.
        name: one of ``STREAMS``.
        step: optimizer steps done, for what draws anew at a step, whatever was drawn before it.

    Returns:
        A number of 63 bits.
    """
    if name not in STREAMS:
        raise ValueError(f"no random stream {name!r}; there are {STREAMS}")
    text = f"{root}/{name}" if step is None else f"{root}/{name}/{step}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def stream(root: int, name: str, step: int | None = None) -> torch.Generator:
    """A CPU generator for one stream; on the CPU so that a run draws the same numbers on every device."""
    return torch.Generator().manual_seed(stream_seed(root, name, step))


@contextmanager
def seeded(root: int, name: str) -> Iterator[None]:
    """Torch's global generator on one stream inside the block, as it was before after it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(root, name))
        yield
