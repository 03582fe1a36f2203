"""The one list of kinds of component, which everything else reads.

It holds names and no classes, so that `ffprobe --help` and the discovery of plugins import none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ffprobe.components.base import Component

SINGLE_SLOTS: dict[str, str] = {
    "dataset": "Dataset",
    "network": "Network",
    "encoder": "Encoder",
    "normalizer": "Normalizer",
    "goodness": "Goodness",
    "loss": "Loss",
    "negatives": "Negatives",
    "scheduler": "UpdateScheduler",
    "rule": "Rule",
    "evaluator": "Evaluator",
}
"""The kinds of which a run has exactly one, in the order of reading, and the name of each base class."""

KINDS: dict[str, str] = {**SINGLE_SLOTS, "probe": "Probe", "peer": "Peer", "executor": "Executor"}
"""Every kind of component, and the name of its base class in ``ffprobe``."""


def base_class(kind: str) -> type[Component]:
    """The class that components of this kind are derived from.

    Raises:
        KeyError: there is no such kind.
    """
    found: type[Component] = getattr(import_module(f"ffprobe.components.{kind}"), KINDS[kind])
    return found
