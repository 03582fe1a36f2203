"""Claims and notes of several runs combined, where each run may have a different verdict."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ffprobe.analysis.result.claim import Claim
from ffprobe.analysis.result.paper_setting import RunVerdict
from ffprobe.analysis.runs.labels import run_components

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile


def joint_claim(source: str, said: str, verdicts: Sequence[tuple[Any, ...]]) -> Claim | None:
    """Combine the verdicts of several runs into one claim.

    Args:
        source: location in the paper.
        said: the paper's claim, with its setting.
        verdicts: for each run with the claim's components, a ``RunVerdict`` or a tuple of its first fields: (label,
            verdict, text without a full stop); the label is empty if there is only one run.

    Returns:
        The claim. It agrees or differs if all conclusive runs have the same verdict, and is inconclusive if they
        disagree or no run is conclusive. Its p value is the largest of the tests that it rests on (an
        intersection-union test). Runs that are not comparable do not count; if none is comparable, the claim is not
        comparable. None without runs.
    """
    rows = [RunVerdict(*verdict) for verdict in verdicts]
    if not rows:
        return None
    texts = [f"{row.label}: {row.text}" if row.label else row.text for row in rows]
    texts = [
        f"{text} (not comparable: {row.not_comparable})" if row.not_comparable else text
        for text, row in zip(texts, rows, strict=True)
    ]
    comparable = [row for row in rows if not row.not_comparable]
    reason = "" if comparable else "; ".join(dict.fromkeys(row.not_comparable for row in rows))
    conclusive = [row for row in comparable if row.agrees is not None]
    unanimous = len({bool(row.agrees) for row in conclusive}) == 1
    if conclusive and not unanimous:
        texts[-1] += f" (agrees in {sum(bool(row.agrees) for row in conclusive)} of {len(comparable)})"
    tests = [row.p for row in (conclusive if unanimous else comparable) if row.p == row.p]
    agrees = bool(conclusive[0].agrees) if unanimous else None
    return Claim(source, said, "; ".join(texts) + ".", agrees, max(tests, default=math.nan), reason)


def joint_notes(notes: Sequence[tuple[str, Iterable[str]]]) -> list[str]:
    """Merge the notes of several runs, so that each sentence appears once.

    Args:
        notes: for each run, (label, its sentences).

    Returns:
        The sentences in order of first appearance, each preceded by the labels of its runs unless it applies to every
        run.
    """
    labels_of: dict[str, list[str]] = {}
    for label, sentences in notes:
        for sentence in sentences:
            labels_of.setdefault(sentence, []).append(label)
    return [s if len(labels) == len(notes) else f"{', '.join(labels)}: {s}" for s, labels in labels_of.items()]


def in_setting(run: RunFile, setting: Mapping[str, Collection[str]]) -> bool:
    """Whether a run has one of the named components in each of these slots.

    Args:
        run: an open run file.
        setting: allowed names by slot, ``{"loss": {"symba"}}``; other slots are not checked.
    """
    components = run_components(run)
    return all(components.get(slot) in names for slot, names in setting.items())
