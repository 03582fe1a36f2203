"""What looks broken in a run, with the likely cause and a command to try; from the run file alone."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffprobe.display import short_path

if TYPE_CHECKING:
    import numpy as np

    from ffprobe.store.reader import RunFile

FAR = 0.2
"""Accuracy by which an earlier layer must be above the last one for a finding."""
FLAT = 0.01
"""Relative change of the loss between the first and the last epoch that counts as none."""
COLLAPSED = 1e-3
"""Relative difference between positive and negative goodness that counts as none."""
DEAD = 0.95
"""Fraction of units that are 0 for every recorded image, from which a layer counts as dead."""


@dataclass(frozen=True)
class Finding:
    """Something that looks broken.

    Attributes:
        what: the symptom with its numbers, one sentence.
        why: the likely cause, one sentence.
        command: what to try next.
    """

    what: str
    why: str
    command: str

    def __str__(self) -> str:
        return f"{self.what} {self.why} Try: {self.command}"

    def to_dict(self) -> dict[str, str]:
        """Plain values."""
        return asdict(self)


def diagnose(run: RunFile) -> list[Finding]:
    """Look for what newcomers meet first, the gravest first; at most one finding of each kind.

    A run that has not been evaluated, or whose rule has no goodness, gets fewer checks. A missing number is no finding.

    Args:
        run: a run file, finished or not.
    """
    seen = _Seen(run)
    checks: tuple[Callable[[_Seen], Iterator[Finding]], ...] = (_dead, _chance, _later_layers, _collapsed, _flat)
    return [finding for check in checks for finding in check(seen)]


class _Seen:
    """The numbers of a run that the checks read."""

    def __init__(self, run: RunFile) -> None:
        import numpy as np

        self.run = run
        self.loss, self.positive, self.negative, accuracy = (
            np.asarray(run.read(f"metrics/{name}"), float) if run.has(f"metrics/{name}") else np.empty((0, 0))
            for name in ("loss", "goodness_positive", "goodness_negative", "validation_accuracy")
        )
        known = accuracy[~np.isnan(accuracy).all(axis=1)] if accuracy.size else accuracy
        self.accuracy = known[-1] if len(known) else np.array([])
        truth = run.read("evaluation/true_label") if run.has("evaluation/true_label") else np.array([], int)
        self.images = len(truth)
        # unlike bincount, unique takes no memory for a label of 2^31 in somebody else's file
        counts = np.unique(truth, return_counts=True)[1] if len(truth) and truth.min() >= 0 else np.array([])
        self.chance = counts.max() / len(truth) if len(counts) else math.nan
        self.file = shlex.quote(short_path(Path(run.path)))
        training: Any = run.config.get("training") or {}
        rate = training.get("learning_rate") if isinstance(training, dict) else None
        self.rate = float(rate) if isinstance(rate, int | float) else math.nan

    @property
    def error(self) -> float:
        """Standard error of the accuracy of a guess."""
        return math.sqrt(self.chance * (1 - self.chance) / self.images) if self.images else math.nan

    def name(self, kind: str) -> str:
        """Name of the component of a kind; empty if the config has none."""
        table: Any = self.run.config.get(kind)
        return str(table.get("name", "")) if isinstance(table, dict) else ""

    def with_rate(self, factor: float) -> str:
        """A command that repeats the run with another learning rate."""
        lr = f"{factor * self.rate:.1g}" if self.rate == self.rate else "0.001"
        return f"ffprobe run --from {self.file} --lr {lr} --out auto"


def _later_layers(seen: _Seen) -> Iterator[Finding]:
    accuracy = seen.accuracy
    if len(accuracy) < 2 or accuracy[-1] != accuracy[-1]:
        return
    best = int(_argmax(accuracy))
    if accuracy[best] - accuracy[-1] <= FAR:
        return
    what = (
        f"Layer {best + 1} alone classifies {_percent(accuracy[best])} of the validation images correctly, the last"
        f" layer {_percent(accuracy[-1])} (chance: {_percent(seen.chance)})."
    )
    if seen.name("loss") == "fixed-threshold":
        why = "With the fixed-threshold loss, later layers lose what the earlier ones learned, as published."
        other = seen.name("dataset")
        command = f"ffprobe run --preset trifecta{'' if other in ('', 'digits') else ' --dataset ' + other} --out auto"
    else:
        why = "The later layers do not keep what the earlier ones learned."
        command = f"ffprobe analyze layers {seen.file}"
    yield Finding(what, why, command)


def _chance(seen: _Seen) -> Iterator[Finding]:
    known = seen.accuracy[seen.accuracy == seen.accuracy]
    if len(known) and seen.chance == seen.chance and known.max() <= seen.chance + 2 * seen.error:
        what = f"No layer is better than chance ({_percent(seen.chance)}); the best reaches {_percent(known.max())}."
        growing = bool(len(seen.loss) > 1 and (seen.loss[-1] > seen.loss[0]).any())
        why = (
            "The loss grew: the learning rate is probably too high."
            if growing
            else "The network may need more epochs or a higher learning rate."
        )
        yield Finding(what, why, seen.with_rate(0.3 if growing else 3))


def _collapsed(seen: _Seen) -> Iterator[Finding]:
    import numpy as np

    if not len(seen.positive) or seen.positive.shape != seen.negative.shape:
        return
    positive, negative = seen.positive[-1], seen.negative[-1]
    scale = np.maximum(np.abs(positive), np.abs(negative))
    same = np.abs(positive - negative) <= COLLAPSED * scale
    if layers := [str(i + 1) for i in np.flatnonzero(same)]:
        yield Finding(
            f"Positives and negatives have the same goodness in layer {', '.join(layers)}.",
            "These layers do not tell the labels apart; what reaches them may no longer contain the label.",
            f"ffprobe analyze goodness {seen.file}",
        )


def _flat(seen: _Seen) -> Iterator[Finding]:
    import numpy as np

    if len(seen.loss) < 2:
        return
    first, last = seen.loss[0], seen.loss[-1]
    still = np.abs(last - first) <= FLAT * np.abs(first)
    low = (
        seen.accuracy <= seen.chance + 2 * seen.error
        if len(seen.accuracy) == len(first)
        else np.zeros(len(first), bool)
    )
    if layers := list(np.flatnonzero(still & low)):
        values = ", ".join(f"{first[i]:.3f} to {last[i]:.3f}" for i in layers[:3])
        names = ", ".join(str(i + 1) for i in layers)
        yield Finding(
            f"The loss of layer {names} did not move ({values}), and it predicts at chance.",
            "Its updates are too small, or no signal reaches it.",
            seen.with_rate(3),
        )


def _dead(seen: _Seen) -> Iterator[Finding]:
    dead = {}
    for name in seen.run.read("metrics/layer") if seen.run.has("metrics/layer") else []:
        path = f"activations/{name}/pre/unreduced_dead"
        values: Sequence[float] = seen.run.read(path).tolist() if seen.run.has(path) else ()
        if len(values) and values[-1] >= DEAD:
            dead[str(int(name) + 1) if str(name).isdigit() else str(name)] = float(values[-1])
    if dead:
        share = _percent(min(dead.values()))
        yield Finding(
            f"Layer {', '.join(dead)} is dead: at least {share} of its units are 0 for every recorded image.",
            "Steps that are too large switch ReLU units off for good.",
            seen.with_rate(0.3),
        )


def _argmax(values: np.ndarray) -> int:
    import numpy as np

    return int(np.nanargmax(values))


def _percent(value: float) -> str:
    return "?" if value != value else f"{100 * value:.0f} %"
