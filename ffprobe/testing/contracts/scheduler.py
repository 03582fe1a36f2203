"""What an update scheduler must obey."""

from __future__ import annotations

import random
from typing import Any

from ffprobe.errors import UsageError
from ffprobe.testing.contract import check, expect
from ffprobe.testing.contracts.component import ComponentContract
from ffprobe.testing.randomness import global_states, moved

DEPTHS = range(1, 13)
STEPS = 6
"""Optimizer steps an epoch."""
LONGEST = 1000
"""Epochs of the run over which every layer must be reached, whatever the depth."""


class SchedulerContract(ComponentContract):
    """The checks of a scheduler, for networks of one to twelve layers."""

    kind = "scheduler"

    def prepared(self, depth: int) -> Any:
        """A fresh scheduler that was told of a run of a thousand epochs."""
        made = self.subject.build()
        made.prepare(depth, LONGEST, STEPS)
        return made

    @check("What does not fit must be refused before the run, in words.")
    def refuses_in_words_what_does_not_fit(self) -> None:
        """For runs of one epoch and networks of one layer it prepares, or raises UsageError."""
        for depth, epochs in ((1, 1), (1, 20), (12, 1), (3, 2)):
            try:
                made = self.subject.build()
                made.prepare(depth, epochs, STEPS)
                for step in range(epochs * STEPS):
                    made.groups(step, step // STEPS, depth)
            except UsageError as refusal:
                expect(refusal.hint or refusal.what, "a sentence", repr(refusal))

    @check("A group is slice(a, b); anything else cannot be worked through.")
    def groups_are_slices(self) -> None:
        """groups() gives a list of slices with whole numbers and no stride."""
        for depth, step, epoch in self._times():
            groups = self.prepared(depth).groups(step, epoch, depth)
            expect(isinstance(groups, list | tuple), f"a list of slices at depth {depth}", repr(groups)[:80])
            for group in groups:
                good = isinstance(group, slice) and group.step in (None, 1)
                good = good and all(part is None or type(part) is int for part in (group.start, group.stop))
                expect(good, f"slice(a, b) at depth {depth}", repr(group))

    @check("A group outside the network, or without a layer, stops the run at that step, perhaps hours later.")
    def groups_stay_inside(self) -> None:
        """Every group has at least one layer, and none outside the network, for depths 1 to 12."""
        for depth, step, epoch in self._times():
            for group in self.prepared(depth).groups(step, epoch, depth):
                a, b = _bounds(group, depth)
                came = f"{group} at step {step}, epoch {epoch}"
                expect(0 <= a < b <= depth, f"0 <= a < b <= {depth} for a network of {depth} layers", came)

    @check("A layer that is never reached stays as it was drawn.")
    def reaches_every_layer(self) -> None:
        """Over a long run every layer is in a group, for depths 1 to 12."""
        for depth in DEPTHS:
            scheduler = self.prepared(depth)
            left = set(range(depth))
            for epoch in range(LONGEST):
                for step in range(epoch * STEPS, (epoch + 1) * STEPS):
                    for group in scheduler.groups(step, epoch, depth):
                        left -= set(range(*_bounds(group, depth)))
                if not left:
                    break
            expect(not left, f"every one of {depth} layers within {LONGEST} epochs", f"never {sorted(left)}")

    @check("A resumed run, and every rehearsal of a step, asks out of turn and must get the same answer.")
    def is_a_function_of_step_and_epoch(self) -> None:
        """The same step and epoch give the same groups, whatever was asked before; nothing is drawn."""
        times = self._times()
        in_order, before = {depth: self.prepared(depth) for depth in DEPTHS}, global_states()
        answers = [repr(in_order[depth].groups(step, epoch, depth)) for depth, step, epoch in times]
        drawn = moved(before)
        expect(not drawn, "no random numbers", f"draws from {', '.join(drawn)}")
        shuffled = list(range(len(times)))
        random.Random(0).shuffle(shuffled)
        other = {depth: self.prepared(depth) for depth in DEPTHS}
        for place in shuffled:
            depth, step, epoch = times[place]
            again = repr(other[depth].groups(step, epoch, depth))
            said = f"{answers[place]} at step {step}, epoch {epoch}, depth {depth}, as when asked in order"
            expect(again == answers[place], said, again)

    def _times(self) -> list[tuple[int, int, int]]:
        epochs = (0, 1, 2, 7, LONGEST - 1)
        return [(depth, epoch * STEPS + i, epoch) for depth in DEPTHS for epoch in epochs for i in range(STEPS)]


def _bounds(group: slice, depth: int) -> tuple[int, int]:
    return group.start or 0, depth if group.stop is None else group.stop
