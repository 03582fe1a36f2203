"""The page of an audit, as Markdown and as plain values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ffprobe.analysis.audit.cost import cost_topic
from ffprobe.analysis.audit.finding import MARKS, MEANINGS, Topic
from ffprobe.analysis.audit.floors import floors_topic
from ffprobe.analysis.audit.provenance import provenance_topic
from ffprobe.analysis.audit.seeds import seeds_topic
from ffprobe.analysis.audit.tested_once import choosing_topic
from ffprobe.analysis.audit.trust import trust_topic
from ffprobe.analysis.runs.labels import run_labels
from ffprobe.display import plain_text

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile


@dataclass(frozen=True)
class AuditPage:
    """What a reviewer can attach to a paper.

    Attributes:
        title: of the page.
        topics: in the order of the page.
        command: the command that made it.
        version: of ffprobe.
    """

    title: str
    topics: tuple[Topic, ...]
    command: str = ""
    version: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """Number of findings by status."""
        found = Counter(finding.status for topic in self.topics for finding in topic.findings)
        return {status: found[status] for status in MARKS}

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        topics = [topic.to_dict() for topic in self.topics]
        made = {"command": self.command, "ffprobe_version": self.version}
        return {"title": self.title, "counts": self.counts, "topics": topics, **made}

    def legend(self) -> str:
        """What the marks mean, and how often each was given."""
        return "; ".join(f"{MARKS[status]} {MEANINGS[status]} ({self.counts[status]})" for status in MARKS)

    def markdown(self) -> str:
        """The page as Markdown."""
        lines = [f"# {_escaped(self.title)}", "", f"{self.legend()}.", ""]
        for topic in self.topics:
            lines += [f"## {topic.title}", "", *(f"- {MARKS[f.status]} {_escaped(f.text)}" for f in topic.findings), ""]
        lines.append(f"Made by `{self.command.replace('`', '')}`, ffprobe {self.version}, from run files alone.")
        return "\n".join(lines) + "\n"


def audit_topics(runs: Sequence[RunFile]) -> list[Topic]:
    """The topics that run files answer by themselves.

    Args:
        runs: open run files, at least one.
    """
    labels = run_labels(runs) if len(runs) > 1 else [""]
    return [
        choosing_topic(runs, labels),
        seeds_topic(runs),
        floors_topic(runs, labels),
        trust_topic(runs, labels),
        cost_topic(runs, labels),
        provenance_topic(runs, labels),
    ]


def _escaped(text: str) -> str:
    """Text of a file as Markdown shows it: no markup, no control characters."""
    return re.sub(r"([\\`*_<>\[\]#|])", r"\\\1", plain_text(text, one_line=True))
