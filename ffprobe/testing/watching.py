"""A toy run with a plugin that watches, held against the same run without it."""

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
"""What makes the toy notice more: one forward pass too many moves running statistics, one backward pass a shared
gradient, and the mode of the network decides the numbers."""


@dataclass(frozen=True)
class Watched:
    """How a toy run ended.

    Attributes:
        path: of the run file.
        numbers: what no observer may change, by path in the file.
        streams: where the run's random streams stand at the end.
        drawn: global generators that moved during the run, which a run by itself never does.
        messages: of the file's log.
        context: what observers were told of the run.
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
    """Run the toy with whatever ``words``, ``settings`` and ``observers`` add to it."""
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
    """The toy run that nobody watches; made once in a process."""
    folder = Path(tempfile.mkdtemp(prefix="ffprobe-baseline-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    watched(Registry(), [], folder / "run.h5", {})  # the first run of a process imports what draws from generators
    return watched(Registry(), [], folder / "run.h5", {})


def compare(seen: Watched) -> None:
    """Hold a watched run against the one that nobody watched.

    Raises:
        Broken: a number, a stream or a global generator differs.
    """
    alone = baseline()
    for path, value in alone.numbers.items():
        same = path in seen.numbers and np.array_equal(value, seen.numbers[path], equal_nan=value.dtype.kind == "f")
        expect(same, f"{path} bit for bit as in a run without it", "other numbers")
    for name, state in alone.streams.items():
        same = torch.equal(state, seen.streams[name])
        expect(same, f"the random stream {name!r} where it stands without it", "a stream that was drawn from")
    drawn = [name for name in seen.drawn if name not in alone.drawn]
    expect(not drawn, "no draw from a global generator", f"draws from {', '.join(drawn)}")
