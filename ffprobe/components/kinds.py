"""The list of component kinds, which all other code reads.

It contains names instead of classes, so that `ffprobe --help` and plugin discovery import none of the classes.
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
"""The kinds of which a run has exactly one, in the order in which they are listed, and the name of each base class."""

KINDS: dict[str, str] = {
    **SINGLE_SLOTS,
    "probe": "Probe",
    "observer": "Observer",
    "peer": "Peer",
    "executor": "Executor",
}
"""Every kind of component, and the name of its base class in ``ffprobe``."""

FURTHER_BASES: dict[str, str] = {"PerRunProbe": "probe"}
"""The public subclasses of those base classes that components may derive from instead, and the kind of each."""


def base_class(kind: str) -> type[Component]:
    """The base class of the components of this kind.

    Raises:
        KeyError: there is no such kind.
    """
    base: type[Component] = getattr(import_module(f"ffprobe.components.{kind}"), KINDS[kind])
    return base
