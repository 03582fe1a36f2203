"""Components that a program hands in as objects, and the words that stand for them in a config.

The words are kept as long as the program runs, so that a later call (``predict``, ``resume``) finds the components that
a run file names. No other program can: a run file records the source text of an object, and never runs it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffprobe.errors import PluginError

if TYPE_CHECKING:  # `ffprobe --help` imports no component
    from ffprobe.components.base import Component

PREFIX = "given:"
_GIVEN: dict[str, type[Component]] = {}


class GivenPlugin(str):
    """The word of a component that a program handed in, with the settings of the instance that it handed in.

    Attributes:
        settings: the settings, as plain values.
    """

    settings: Mapping[str, Any]


def give(component: type[Component], settings: Mapping[str, Any] | None = None) -> GivenPlugin:
    """Remember a component class; a class of the same kind and name that was handed in before is replaced.

    Args:
        component: the class.
        settings: the settings of an instance of it.

    Returns:
        The word for it, which ``--plugin`` and ``RunOptions.plugin`` take.
    """
    word = GivenPlugin(f"{PREFIX}{component.kind}-{component.name}")
    word.settings = dict(settings or {})
    _GIVEN[str(word)] = component
    return word


def is_given(word: str) -> bool:
    """Whether a word stands for an object that some program handed in."""
    return word.startswith(PREFIX)


def given_component(word: str) -> type[Component]:
    """The component that this program handed in under a word.

    Raises:
        PluginError: this program handed in no such object.
    """
    if word not in _GIVEN:
        kind, _, name = word.removeprefix(PREFIX).partition("-")
        if kind == "dataset":  # a prediction does not need the data that the network was trained on
            return _missing_dataset(name)
        argument = "network=..." if kind == "network" else "plugins=[...]"
        raise PluginError(
            f"The {kind} {name!r} was an object of the program that trained the run; this program has none.",
            hint=f"Hand it in again: ffprobe.run and ffprobe.predict take {argument}. The run file describes it.",
        )
    return _GIVEN[word]


def _missing_dataset(name: str) -> type[Component]:
    """A data set that can be named, but not loaded."""
    from pydantic import ConfigDict

    from ffprobe.components.base import Params
    from ffprobe.components.dataset import Dataset
    from ffprobe.errors import UsageError

    class Recorded(Params):
        """What the run file says about the data."""

        model_config = ConfigDict(frozen=True, extra="allow")

    def load(self: Any, split: str) -> Any:
        raise UsageError(
            f"The data {name!r} were an object of the program that trained the run; this program has none.",
            hint="Hand them in again: ffprobe.run takes data=...; ffprobe.predict takes the inputs to predict.",
        )

    return type("Missing", (Dataset,), {"name": name, "Params": Recorded, "load": load})


def source_of(thing: object) -> str:
    """The source text of a class or function; empty if there is none."""
    try:
        return inspect.getsource(thing)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return ""


def source_file_of(word: str) -> Path | None:
    """The file of the class behind a word; None if there is none, as in a notebook or for an unknown word."""
    component = _GIVEN.get(word)
    try:
        name = inspect.getsourcefile(component) if component else None
    except (OSError, TypeError):
        return None
    return Path(name) if name and Path(name).is_file() else None
