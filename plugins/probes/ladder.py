"""How much accuracy does each step from local learning towards backpropagation buy? Group size 1 to L."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ffprobe_plugins.probes.rung_probe import RungProbe

import ffprobe

if TYPE_CHECKING:
    from ffprobe_plugins.probes.rungs import Groups, Ladder, Ladders


class GroupSizeLadder(RungProbe, ffprobe.Probe):
    """Accuracy by the number of layers that learn together, on one network.

    Groups of one layer are greedy local learning, one group of all layers is backpropagation of the last layer's loss.
    The runs of a ladder differ only in the scheduler and the seed; ``ffprobe sweep studies/ladder.toml`` trains one.
    The size of a run is that of its largest update group. Runs whose groups overlap, or that leave layers out, are on
    no ladder. ``gain`` and ``below`` compare runs with the same seed.

    A label encoder that is learned ``auto`` is fixed at group size 1 and learned above it, which is a second
    difference; set ``label-channel:learned=yes`` (or ``no``) for all runs.
    """

    name = "ladder"
    source = "accuracy by group size on twelve convolutions: The Price of Locality (arXiv:2609.33240)"
    question = "How much accuracy does each step from one layer per update group to all layers buy?"
    number = ("size", "layers of the largest update group")
    axis = "layers per update group"

    def number_of(self, groups: Groups, depth: int) -> int | str:
        if sorted(layer for a, b in groups for layer in range(a, b)) != list(range(depth)):
            return "update groups overlap or leave layers out"
        return max(b - a for a, b in groups)

    def claims(self, ladders: Ladders) -> list[ffprobe.Claim]:
        several = len(ladders.ladders) > 1
        verdicts = [
            _verdict(ladder, ladder.label if several else "")
            for ladder in ladders.ladders
            if len(ladder.rungs) > 1 and _learns_by_goodness(ladder)
        ]
        claim = (
            "with goodness, accuracy rises with the group size: 53.0, 58.1, 67.6, 72.2, 76.2 and 78.7 % with groups of"
            " 1, 2, 3, 4, 6 and 12 layers; backpropagation of cross entropy has 85.7 % (12 convolutions, CIFAR-10)."
        )
        joint = ffprobe.joint_claim("The Price of Locality (arXiv:2609.33240)", claim, verdicts)
        return [joint] if joint else []


def _learns_by_goodness(ladder: Ladder) -> bool:
    run = ladder.rungs[0].runs[0]
    return run.attributes.get("goodness_form") == "pair" and ffprobe.in_setting(run, {"rule": {"forward-forward"}})


def _verdict(ladder: Ladder, label: str) -> ffprobe.RunVerdict:
    """Agrees if the mean rises at every step and the largest size is significantly above the smallest."""
    steps = [b.gain_over(a).gain for a, b in zip(ladder.rungs, ladder.rungs[1:], strict=False)]
    whole = ladder.rungs[-1].gain_over(ladder.rungs[0])
    rising, significant = all(step > 0 for step in steps), whole.p < 0.05
    agrees: bool | None = None
    if significant:
        agrees = False if whole.gain < 0 else (True if rising else None)
    numbers = " to ".join(str(rung.number) for rung in (ladder.rungs[0], ladder.rungs[-1]))
    text = f"{whole.gain:+.1f} points from size {numbers}, rising in {sum(s > 0 for s in steps)} of {len(steps)} steps"
    runs = [run for rung in ladder.rungs for run in rung.runs]
    return ffprobe.judge(runs, label, agrees, text, p=whole.p, paper=CNN12)


CNN12 = ffprobe.paper_setting("cnn12", "cifar10")
"""The paper's network of twelve convolutions, which is not a network of this project."""


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [GroupSizeLadder]
