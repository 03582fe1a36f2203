"""A toy run with an observer, compared with the same run without it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ffprobe.hookspecs import RunContext
from ffprobe.plugin.registry import Registry
from ffprobe.store.reader import open_run
from ffprobe.testing.contract import expect
from ffprobe.testing.randomness import global_states, moved, undisturbed
from ffprobe.testing.toy import ended, numbers_of, toy_session

SENSITIVE: dict[str, Any] = {
    "normalizer": {"name": "batchnorm"},
    "loss": {"name": "symba"},
    "scheduler": {"name": "olu"},
}
"""Settings that make the toy run more sensitive: an extra forward pass changes running statistics, an extra backward
pass changes a shared gradient, and the network's mode changes the results."""


@dataclass(frozen=True)
class Watched:
    """The results of a toy run.

    Attributes:
        path: path of the run file.
        numbers: arrays that no observer may change, by path in the file.
        streams: states of the run's random streams at the end.
        drawn: global generators that were used during the run; a run itself uses none.
        messages: messages in the file's log.
        context: the run context that observers received.
    """

    path: Path
    numbers: Mapping[str, np.ndarray]
    streams: Mapping[str, torch.Tensor]
    drawn: tuple[str, ...]
    messages: tuple[tuple[int, str], ...]
    context: RunContext


def watched(
    registry: Registry, words: Sequence[str], out: Path, settings: Mapping[str, Any], observers: Sequence[Any] = ()
) -> Watched:
    """Run the toy with additional ``words`` (plugins), ``settings`` and ``observers``."""
    with undisturbed():
        before = global_states()
        session = toy_session(registry, words, out, {**SENSITIVE, **settings}, observers)
        session.run()
        drawn = moved(before)
    with open_run(out) as run:
        numbers, messages = numbers_of(run), tuple(run.messages())
    return Watched(out, numbers, ended(session.experiment), tuple(drawn), messages, session.trainer.context)


@cache
def baseline() -> Watched:
    """The toy run without observers; computed once per process."""
    folder = Path(tempfile.mkdtemp(prefix="ffprobe-baseline-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    watched(Registry(), [], folder / "run.h5", {})  # imports in a process's first run use generators
    return watched(Registry(), [], folder / "run.h5", {})


def compare(seen: Watched) -> None:
    """Compare a run with observers to the run without observers.

    Raises:
        Broken: an array, a random stream or a global generator differs.
    """
    alone = baseline()
    for path, value in alone.numbers.items():
        same = path in seen.numbers and np.array_equal(value, seen.numbers[path], equal_nan=value.dtype.kind == "f")
        expect(same, f"{path} as in a run without it, bit for bit", "different values")
    for name, state in alone.streams.items():
        same = torch.equal(state, seen.streams[name])
        expect(same, f"the same state of the random stream {name!r} as without it", "another state")
    drawn = [name for name in seen.drawn if name not in alone.drawn]
    expect(not drawn, "no draws from global generators", f"draws from {', '.join(drawn)}")
