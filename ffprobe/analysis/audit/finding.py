"""What an audit found: sentences with a status, by topic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ffprobe.analysis.result.joint_claim import joint_notes

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

Status = Literal["ok", "look", "open", "fact"]
MARKS: dict[Status, str] = {"ok": "✓", "look": "!", "open": "?", "fact": "·"}
MEANINGS: dict[Status, str] = {
    "ok": "as it should be",
    "look": "look closer",
    "open": "not recorded",
    "fact": "for the record",
}


@dataclass(frozen=True)
class Finding:
    """One sentence of an audit.

    Attributes:
        status: ``ok``; ``look``: a reviewer should look closer; ``open``: the files do not answer it; ``fact``: for the
            record.
        text: the sentence, complete by itself.
    """

    status: Status
    text: str

    def to_dict(self) -> dict[str, str]:
        """Plain values."""
        return {"status": self.status, "text": self.text}


@dataclass(frozen=True)
class Topic:
    """One topic of an audit.

    Attributes:
        title: a few words.
        findings: in the order of the page.
    """

    title: str
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"title": self.title, "findings": [finding.to_dict() for finding in self.findings]}


def per_run(
    runs: Sequence[RunFile], labels: Sequence[str], examine: Callable[[RunFile], Iterable[Finding]]
) -> list[Finding]:
    """The findings of each run; a sentence that not all runs share begins with the labels of its runs.

    Args:
        runs: open run files.
        labels: a short name for each.
        examine: the findings of one run.
    """
    found = [list(examine(run)) for run in runs]
    status = {finding.text: finding.status for findings in found for finding in findings}
    notes = [(label, [f.text for f in findings]) for label, findings in zip(labels, found, strict=True)]
    texts = joint_notes(notes)
    # joint_notes keeps the order of first appearance, which is that of the dictionary
    return [Finding(status[text], joint) for text, joint in zip(status, texts, strict=True)]
