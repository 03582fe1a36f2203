"""What a paper says about the same question, beside what these runs say."""

from __future__ import annotations

from dataclasses import dataclass

GROWTH_EPOCHS = 20
"""Epochs that it takes to tell growth that ends from growth that does not; what grows early says nothing of bounds."""
WORDS = {True: "agrees", False: "differs", None: "cannot be told"}


@dataclass(frozen=True)
class Claim:
    """One statement of a paper, held against the runs that were asked.

    Attributes:
        source: where the paper says it, such as ``Trifecta, Figure 4``.
        said: what it says, in our words, with the setting that it was seen in.
        here: what these runs show, in one sentence made from the result's own numbers.
        agrees: whether the two go together, decided by a rule on those numbers; None when these runs cannot tell (too
            few layers, another setting, nothing measured).
    """

    source: str
    said: str
    here: str
    agrees: bool | None = None

    def __str__(self) -> str:
        return f"{self.source}: {self.said} Here: {self.here} ({WORDS[self.agrees]})"

    def to_dict(self) -> dict[str, object]:
        """The claim as plain values."""
        return {"source": self.source, "said": self.said, "here": self.here, "agrees": self.agrees}
