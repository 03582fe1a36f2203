"""Single changes to a preset that may explain why it parts from a recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ffprobe.components.base import Component
from ffprobe.components.scheduler import UpdateScheduler
from ffprobe.plugin.registry import Registry
from ffprobe.replay.replaying import choice

Entry = str | Mapping[str, Any] | type[Component]
Turns = Callable[[int, int], int]
UNITS = (("scheduler",), ("encoder",), ("normalizer",), ("goodness", "loss"), ("rule",))
"""Slots that are exchanged together: a goodness and a loss have one form."""


@dataclass(frozen=True)
class Change:
    """One change to the components of a preset.

    Attributes:
        meaning: what it would mean for the recording if this change explains it.
        components: the components after the change, by slot.
        exchange: whether a component of the recording is put in as a whole, which explains less.
    """

    meaning: Callable[[list[tuple[int, int]]], str]
    components: dict[str, Entry]
    exchange: bool = False


def possible_changes(
    preset: Mapping[str, Entry], recording: Mapping[str, Entry], registry: Registry
) -> Iterator[Change]:
    """Changes to try, the most specific first.

    Args:
        preset: components of the preset, by slot.
        recording: components that repeat the recording, by slot.
        registry: registry of components.
    """
    inner = preset["scheduler"]
    turns: list[tuple[str, Turns]] = [
        ("turns change by the epoch, not by the step", lambda step, epoch: epoch),
        ("turns change by the epoch, not by the step, and the other turn comes first", lambda step, epoch: epoch + 1),
        ("the other turn comes first", lambda step, epoch: step + 1),
    ]
    for words, turn in turns:
        yield Change(_always(words), {**preset, "scheduler": _turned(inner, turn, registry)})
    yield Change(_no_overlap, {**preset, "scheduler": _only_own_layer(inner, registry)})
    yield Change(_always("every layer learns alone, in every step"), {**preset, "scheduler": _alone()})
    yield Change(_always("one loss, on the last layer, trains all layers"), {**preset, "scheduler": _together()})
    for unit in UNITS:
        if any(slot in recording and recording[slot] != preset.get(slot) for slot in unit):
            swapped = {slot: recording[slot] for slot in unit if slot in recording}
            named = " and ".join(f"{slot} {_named(entry, registry, slot)}" for slot, entry in swapped.items())
            yield Change(_always(f"another component: {named}"), {**preset, **swapped}, exchange=True)


def _named(entry: Entry, registry: Registry, slot: str) -> str:
    found = choice(slot, entry, registry)
    default = found.component.Params()
    settings = {k: v for k, v in found.params.model_dump().items() if v != getattr(default, k, None)}
    return f"{found.component.name!r}" + "".join(f", {name} {value}" for name, value in settings.items())


def _always(words: str) -> Callable[[list[tuple[int, int]]], str]:
    return lambda groups: words


def _no_overlap(groups: list[tuple[int, int]]) -> str:
    shared = [(first, stop) for first, stop in groups if stop - first > 1]
    moved = [f"layer {i + 1}'s weights do not move under loss {b}" for a, b in shared for i in range(a, b - 1)]
    return f"{'; '.join(moved[:2]) or 'a loss moves its own layer only'}: updates do not overlap"


def _turned(inner: Entry, turn: Turns, registry: Registry) -> type[Component]:
    return _scheduler(inner, registry, lambda built, step, epoch, depth: built.groups(turn(step, epoch), epoch, depth))


def _only_own_layer(inner: Entry, registry: Registry) -> type[Component]:
    def groups(built: UpdateScheduler, step: int, epoch: int, depth: int) -> list[slice]:
        stops = {group.indices(depth)[1] for group in built.groups(step, epoch, depth)}
        return [slice(stop - 1, stop) for stop in sorted(stops)]

    return _scheduler(inner, registry, groups)


def _scheduler(
    inner: Entry, registry: Registry, function: Callable[[UpdateScheduler, int, int, int], list[slice]]
) -> type[Component]:
    chosen = choice("scheduler", inner, registry)

    class Changed(UpdateScheduler):
        name = f"changed-{chosen.component.name}"

        def prepare(self, depth: int, epochs: int, steps_per_epoch: int, generator: Any) -> None:
            self.built: UpdateScheduler = chosen.build()
            self.built.prepare(depth, epochs, steps_per_epoch, generator)

        def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
            return function(self.built, step, epoch, depth)

    return Changed


def _alone() -> type[Component]:
    class Alone(UpdateScheduler):
        name = "every-layer-alone"

        def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
            return [slice(i, i + 1) for i in range(depth)]

    return Alone


def _together() -> type[Component]:
    class Together(UpdateScheduler):
        name = "all-layers-together"

        def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
            return [slice(0, depth)]

    return Together
