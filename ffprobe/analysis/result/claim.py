"""A claim of a paper, compared with the result of these runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ffprobe.analysis.measures.statistics import holm

GROWTH_EPOCHS = 20
"""Minimum number of epochs to distinguish bounded from continued growth; early growth alone implies neither."""
SIGNIFICANCE = 0.05
"""Largest p value, after the Holm-Bonferroni correction, at which a test decides a claim."""
VERDICTS = {True: "agrees", False: "differs", None: "inconclusive"}
MARKS = {True: "✓", False: "✗", None: "?"}
NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Claim:
    """One claim of a paper, compared with the analyzed runs.

    Attributes:
        source: location in the paper, such as ``Trifecta, Figure 4``.
        said: the paper's claim, paraphrased, with the experimental setting that it was observed in.
        here: what these runs show, in one sentence made from the result's own numbers.
        agrees: whether the runs agree with the claim, decided by a rule on those numbers; None if these runs are
            inconclusive (not significant, too few layers, a collapsed network, nothing measured) or not comparable.
        p: p value of the test behind ``agrees``; NaN if the rule is not a test. ``Result`` replaces it by the
            Holm-Bonferroni corrected value over all claims of the analysis.
        not_comparable: how all of these runs differ from the claim's setting; empty if one is comparable.
    """

    source: str
    said: str
    here: str
    agrees: bool | None = None
    p: float = math.nan
    not_comparable: str = ""

    @property
    def verdict(self) -> str:
        """The verdict in words: agrees, differs, inconclusive or not comparable."""
        return NOT_COMPARABLE if self.not_comparable else VERDICTS[self.agrees]

    @property
    def mark(self) -> str:
        """A character for the verdict: ``✓`` agrees, ``✗`` differs, ``?`` inconclusive, ``–`` not comparable."""
        return "–" if self.not_comparable else MARKS[self.agrees]

    @property
    def text(self) -> str:
        """The claim and what these runs show, without the verdict."""
        return f"{self.source}: {self.said} Here: {self.here}"

    def __str__(self) -> str:
        return f"{self.text} ({self.verdict})"

    def to_dict(self) -> dict[str, object]:
        """Return the claim as a dict of plain values."""
        words = {"source": self.source, "said": self.said, "here": self.here}
        return {
            **words,
            "agrees": self.agrees,
            "verdict": self.verdict,
            "p": self.p,
            "not_comparable": self.not_comparable,
        }


def correct_claims(claims: Sequence[Claim]) -> list[Claim]:
    """Apply the Holm-Bonferroni correction over the tests of one analysis.

    Args:
        claims: with uncorrected p values.

    Returns:
        The claims in the same order with corrected p values. A claim whose corrected p value is ``SIGNIFICANCE`` or
        more is inconclusive. Claims without a test keep their verdict and do not count.
    """
    corrected = []
    for claim, p in zip(claims, holm([claim.p for claim in claims]), strict=True):
        if claim.agrees is not None and p >= SIGNIFICANCE:
            claim = replace(claim, agrees=None, here=f"{claim.here} Not significant: p = {p:.2g} (Holm-Bonferroni).")
        corrected.append(replace(claim, p=p))
    return corrected
