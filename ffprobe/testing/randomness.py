"""The global random generators of torch, numpy and Python: saving, comparing and restoring their states."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def undisturbed(seed: int = 0) -> Iterator[None]:
    """Seed all global generators inside the block and restore their states afterwards; gradients are enabled."""
    python, numbers = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numbers)


def global_states() -> dict[str, Any]:
    """The state of each global generator, by name; two states are equal exactly if nothing was drawn in between."""
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy.random": repr([np.asarray(part).tolist() for part in np.random.get_state(legacy=True)]),
        "random": repr(random.getstate()),
    }


def moved(before: dict[str, Any]) -> list[str]:
    """The names of the generators that were used or seeded since ``before``."""
    now = global_states()
    return [name for name, state in before.items() if now[name] != state]
