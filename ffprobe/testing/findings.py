"""What came of checking a plugin: one finding for each check, and the report of all."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ffprobe.errors import CheckFailed


@dataclass(frozen=True)
class Finding:
    """What came of one check.

    Attributes:
        component: the component's name.
        kind: the component's kind.
        check: the check's name, kebab-case.
        status: ``passed``, ``failed`` or ``skipped``.
        says: what the contract says, one sentence.
        why: why it matters, one sentence.
        expected: what the contract expects, when it failed.
        came: what came instead, when it failed.
        reason: why the check could not be made, when it was skipped.
    """

    component: str
    kind: str
    check: str
    status: Literal["passed", "failed", "skipped"]
    says: str
    why: str
    expected: str = ""
    came: str = ""
    reason: str = ""

    def __str__(self) -> str:
        """One line; a failure has three more."""
        line = f"{self.status:7} {self.kind} {self.component}: {self.check}"
        if self.status == "skipped":
            return f"{line}, {self.reason}"
        if self.status == "failed":
            return f"{line}\n    expected  {self.expected}\n    came      {self.came}\n    why       {self.why}"
        return line


@dataclass(frozen=True)
class Report:
    """What came of all checks of one plugin.

    Attributes:
        plugin: its name.
        where: plugin, distribution and version in words.
        findings: in the order in which the checks were made.
    """

    plugin: str
    where: str
    findings: tuple[Finding, ...]

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings that failed."""
        return tuple(finding for finding in self.findings if finding.status == "failed")

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failures

    @property
    def counts(self) -> dict[str, int]:
        """How many ``passed``, ``failed`` and ``skipped``."""
        counted = Counter(finding.status for finding in self.findings)
        return {"passed": counted["passed"], "failed": counted["failed"], "skipped": counted["skipped"]}

    def raise_for_failures(self) -> None:
        """Do nothing when no check failed.

        Raises:
            CheckFailed: with every failure in its message.
        """
        if self.failures:
            told = "\n".join(map(str, self.failures))
            raise CheckFailed(f"{len(self.failures)} of {len(self.findings)} checks failed:\n{told}", where=self.where)

    def to_dict(self) -> dict[str, Any]:
        """The report as a JSON object."""
        findings = [asdict(finding) for finding in self.findings]
        head = {"plugin": self.plugin, "where": self.where, "passed": self.passed, "counts": self.counts}
        return {**head, "findings": findings}

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))
