"""The contract of an update scheduler."""

from __future__ import annotations

import random
from typing import Any

from ffprobe.errors import UsageError
from ffprobe.testing.contract import check, expect
from ffprobe.testing.contracts.component import ComponentContract
from ffprobe.testing.materials import generator
from ffprobe.testing.randomness import global_states, moved, undisturbed

DEPTHS = range(1, 13)
STEPS = 6
"""Optimizer steps per epoch."""
LONGEST = 1000
"""Epochs of the run in which every layer must be updated, for every depth."""


class SchedulerContract(ComponentContract):
    """The checks of a scheduler, for networks of one to twelve layers."""

    kind = "scheduler"

    def prepared(self, depth: int, seed: int = 0) -> Any:
        """A new scheduler, prepared for a run of a thousand epochs."""
        made = self.subject.build()
        made.prepare(depth, LONGEST, STEPS, generator(seed))
        return made

    @check("An unsupported run must be refused with a message before it starts.")
    def prepares_or_raises_usage_error(self) -> None:
        """It supports runs of one epoch and networks of one layer, or raises UsageError."""
        for depth, epochs in ((1, 1), (1, 20), (12, 1), (3, 2)):
            try:
                made = self.subject.build()
                made.prepare(depth, epochs, STEPS, generator())
                for step in range(epochs * STEPS):
                    made.groups(step, step // STEPS, depth)
            except UsageError as refusal:
                expect(refusal.hint or refusal.what, "a message", repr(refusal))

    @check("A group is slice(a, b); the learner cannot process anything else.")
    def groups_are_slices(self) -> None:
        """groups() returns a list of slices with integer bounds and no stride."""
        for depth, step, epoch in self._times():
            groups = self.prepared(depth).groups(step, epoch, depth)
            expect(isinstance(groups, list | tuple), f"a list of slices at depth {depth}", repr(groups)[:80])
            for group in groups:
                good = isinstance(group, slice) and group.step in (None, 1)
                good = good and all(bound is None or type(bound) is int for bound in (group.start, group.stop))
                expect(good, f"slice(a, b) at depth {depth}", repr(group))

    @check("An empty group, or one outside the network, stops the run at that step, perhaps hours later.")
    def groups_stay_inside(self) -> None:
        """Every group has at least one layer, and all its layers are in the network, for depths 1 to 12."""
        for depth, step, epoch in self._times():
            for group in self.prepared(depth).groups(step, epoch, depth):
                a, b = _bounds(group, depth)
                got = f"{group} at step {step}, epoch {epoch}"
                expect(0 <= a < b <= depth, f"0 <= a < b <= {depth} for a network of {depth} layers", got)

    @check("A layer that is in no group is never trained.")
    def reaches_every_layer(self) -> None:
        """In a long run every layer is in a group, for depths 1 to 12, unless trains_every_layer is False."""
        if not self.subject.build().trains_every_layer:
            return
        for depth in DEPTHS:
            scheduler = self.prepared(depth)
            left = set(range(depth))
            for epoch in range(LONGEST):
                for step in range(epoch * STEPS, (epoch + 1) * STEPS):
                    for group in scheduler.groups(step, epoch, depth):
                        left -= set(range(*_bounds(group, depth)))
                if not left:
                    break
            never = ", ".join(str(index + 1) for index in sorted(left))
            expect(not left, f"every one of {depth} layers within {LONGEST} epochs", f"never layer {never}")

    @check("A resumed run and a sandboxed step call groups() out of order and must get the same groups.")
    def is_a_function_of_step_and_epoch(self) -> None:
        """The same step and epoch give the same groups in any order of calls; no random numbers are drawn."""
        times = self._times()
        in_order, before = {depth: self.prepared(depth) for depth in DEPTHS}, global_states()
        expected = [repr(in_order[depth].groups(step, epoch, depth)) for depth, step, epoch in times]
        drawn = moved(before)
        expect(not drawn, "no random numbers", f"draws from {', '.join(drawn)}")
        shuffled = list(range(len(times)))
        random.Random(0).shuffle(shuffled)
        other = {depth: self.prepared(depth) for depth in DEPTHS}
        for index in shuffled:
            depth, step, epoch = times[index]
            again = repr(other[depth].groups(step, epoch, depth))
            wanted = f"{expected[index]} at step {step}, epoch {epoch}, depth {depth}, as with ordered calls"
            expect(again == expected[index], wanted, again)

    @check("A scheduler has its own random stream; draws from another generator make a run irreproducible.")
    def draws_from_its_generator_only(self) -> None:
        """The same state of the given generator gives the same groups, and prepare() uses no global generator."""
        for seed in (5, 6):
            before = global_states()
            first = self.prepared(12, seed)
            drawn = moved(before)
            expect(not drawn, "draws from the given generator only", f"draws from {', '.join(drawn)}")
            with undisturbed(99):
                second = self.prepared(12, seed)
            for depth, step, epoch in self._times():
                if depth == 12:
                    one, two = (repr(made.groups(step, epoch, depth)) for made in (first, second))
                    expect(one == two, f"{one} again at step {step} from the same state of the generator", two)

    def _times(self) -> list[tuple[int, int, int]]:
        epochs = (0, 1, 2, 7, LONGEST - 1)
        return [(depth, epoch * STEPS + i, epoch) for depth in DEPTHS for epoch in epochs for i in range(STEPS)]


def _bounds(group: slice, depth: int) -> tuple[int, int]:
    return group.start or 0, depth if group.stop is None else group.stop
