"""Claims and notes of several runs combined, where each run may have a different verdict."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ffprobe.analysis.result.claim import Claim
from ffprobe.analysis.runs.labels import run_components

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

RunVerdict = tuple[str, bool | None, str]
"""The verdict of one run: its label, whether it agrees (None: inconclusive), and its numbers in words."""


def joint_claim(source: str, said: str, verdicts: Sequence[RunVerdict]) -> Claim | None:
    """Combine the verdicts of several runs into one claim.

    Args:
        source: location in the paper.
        said: the paper's claim, with its setting.
        verdicts: for each run that has the setting, (label, verdict, text without a full stop); the label is empty if
            there is only one run.

    Returns:
        The claim. It agrees or differs if all conclusive runs have the same verdict, and is inconclusive if they
        disagree or no run is conclusive. None without runs.
    """
    if not verdicts:
        return None
    texts = [f"{label}: {text}" if label else text for label, _, text in verdicts]
    conclusive = [bool(agrees) for _, agrees, _ in verdicts if agrees is not None]
    unanimous = len(set(conclusive)) == 1
    if conclusive and not unanimous:
        texts[-1] += f" (agrees in {sum(conclusive)} of {len(verdicts)})"
    return Claim(source, said, "; ".join(texts) + ".", conclusive[0] if unanimous else None)


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
