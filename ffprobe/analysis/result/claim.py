"""A claim of a paper, compared with the result of these runs."""

from __future__ import annotations

from dataclasses import dataclass

GROWTH_EPOCHS = 20
"""Minimum number of epochs to distinguish bounded from continued growth; early growth alone implies neither."""
WORDS = {True: "agrees", False: "differs", None: "inconclusive"}


@dataclass(frozen=True)
class Claim:
    """One claim of a paper, compared with the analyzed runs.

    Attributes:
        source: location in the paper, such as ``Trifecta, Figure 4``.
        said: the paper's claim, paraphrased, with the experimental setting that it was observed in.
        here: what these runs show, in one sentence made from the result's own numbers.
        agrees: whether the runs agree with the claim, decided by a rule on those numbers; None if these runs are
            inconclusive (too few layers, another setting, nothing measured).
    """

    source: str
    said: str
    here: str
    agrees: bool | None = None

    def __str__(self) -> str:
        return f"{self.source}: {self.said} Here: {self.here} ({WORDS[self.agrees]})"

    def to_dict(self) -> dict[str, object]:
        """Return the claim as a dict of plain values."""
        return {"source": self.source, "said": self.said, "here": self.here, "agrees": self.agrees}
