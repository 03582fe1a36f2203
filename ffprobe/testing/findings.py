"""The results of checking a plugin: one finding per check, and the report of all findings."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ffprobe.errors import CheckFailed


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        component: name of the component.
        kind: kind of the component.
        check: name of the check, in kebab-case.
        status: ``passed``, ``failed`` or ``skipped``.
        requirement: what the contract requires, one sentence.
        why: why it matters, one sentence.
        expected: the expected result, if the check failed.
        got: the actual result, if the check failed.
        reason: why the check could not run, if it was skipped.
    """

    component: str
    kind: str
    check: str
    status: Literal["passed", "failed", "skipped"]
    requirement: str
    why: str
    expected: str = ""
    got: str = ""
    reason: str = ""

    def __str__(self) -> str:
        """One line; four lines for a failed check."""
        line = f"{self.status:7} {self.kind} {self.component}: {self.check}"
        if self.status == "skipped":
            return f"{line}, {self.reason}"
        if self.status == "failed":
            return f"{line}\n    expected  {self.expected}\n    got       {self.got}\n    why       {self.why}"
        return line


@dataclass(frozen=True)
class Report:
    """The results of all checks of one plugin.

    Attributes:
        plugin: name of the plugin.
        where: plugin, distribution and version as text.
        findings: one finding per check, in the order of the checks.
    """

    plugin: str
    where: str
    findings: tuple[Finding, ...]

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings of failed checks."""
        return tuple(finding for finding in self.findings if finding.status == "failed")

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failures

    @property
    def counts(self) -> dict[str, int]:
        """Number of checks that ``passed``, ``failed`` and were ``skipped``."""
        counts = Counter(finding.status for finding in self.findings)
        return {"passed": counts["passed"], "failed": counts["failed"], "skipped": counts["skipped"]}

    def raise_for_failures(self) -> None:
        """Raise an error if a check failed.

        Raises:
            CheckFailed: a check failed; the message has every failure.
        """
        if self.failures:
            lines = "\n".join(map(str, self.failures))
            raise CheckFailed(f"{len(self.failures)} of {len(self.findings)} checks failed:\n{lines}", where=self.where)

    def to_dict(self) -> dict[str, Any]:
        """The report as a JSON object."""
        findings = [asdict(finding) for finding in self.findings]
        head = {"plugin": self.plugin, "where": self.where, "passed": self.passed, "counts": self.counts}
        return {**head, "findings": findings}

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))
