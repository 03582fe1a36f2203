"""Which runs can train their layers in parallel with the numbers of one process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ffprobe.components.base import Component
from ffprobe.errors import UsageError
from ffprobe.network.network import LayeredNetwork
from ffprobe.training.groups import Group

HINT = "Use --set parallel=batch, or one process: ffprobe run without torchrun."
STEP_HOOKS = ("ffprobe_after_update", "ffprobe_after_step")


def refuse_what_needs_all_layers(
    components: Mapping[str, Any],
    network: LayeredNetwork,
    groups: Iterable[Group],
    observers: Iterable[tuple[str, Any]],
    processes: int,
) -> None:
    """Refuse everything that needs layers of another process within a step.

    Args:
        components: the run's components, by slot.
        network: the network.
        groups: every update group that the scheduler requests.
        observers: plugins with hooks, by name.
        processes: number of processes, at least 2.

    Raises:
        UsageError: the rule, the negatives, a loss, the scheduler or an observer does not allow it.
    """
    rule, negatives, scheduler = (components[kind] for kind in ("rule", "negatives", "scheduler"))
    if not rule.independent_groups:
        raise UsageError(
            f"The rule {rule.name!r} needs a signal from layers above, so layers cannot train in parallel.", hint=HINT
        )
    if negatives.needs_goodness and network.form == "pair":
        raise UsageError(
            f"The negatives {negatives.name!r} are chosen by the goodness of the whole network, which no process has "
            "while layers train in parallel.",
            hint=HINT,
        )
    for loss in (components["loss"], *(network.layer(index).spec.loss for index in range(network.depth))):
        if loss is not None and type(loss).state_dict is not Component.state_dict:
            raise UsageError(
                f"The loss {loss.name!r} keeps a state over all layers, so layers cannot train in parallel.", hint=HINT
            )
    ends = {stop for _, stop in groups}
    if len(ends) < processes:
        what = "one layer ends" if len(ends) == 1 else f"{len(ends)} layers end"
        raise UsageError(
            f"With the scheduler {scheduler.name!r}, {what} an update group, which is too few for {processes} "
            "processes.",
            hint="Use smaller groups (--plugin greedy), fewer processes, or --set parallel=batch.",
        )
    for name, observer in observers:
        if hook := next((hook for hook in STEP_HOOKS if hasattr(observer, hook)), None):
            raise UsageError(
                f"The plugin {name!r} observes every step ({hook}), at which no process has all layers while they "
                "train in parallel.",
                hint="Remove it from this run, or use --set parallel=batch.",
            )
