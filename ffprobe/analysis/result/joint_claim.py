"""What several runs say together: claims and notes of which each may tell something else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ffprobe.analysis.result.claim import Claim
from ffprobe.analysis.runs.labels import run_components

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

Told = tuple[str, bool | None, str]
"""What one run tells: its label, whether it agrees (None: it cannot tell), and its numbers in words."""


def joint_claim(source: str, said: str, told: Sequence[Told]) -> Claim | None:
    """A claim with what each run tells.

    Args:
        source: where the paper says it.
        said: what it says, with its setting.
        told: of each run that has the setting, (label, verdict, words without a full stop); the label is empty where
            only one run was asked.

    Returns:
        The claim, agreeing or not where all runs that can tell say the same, undecided where they differ or none can;
        None without runs.
    """
    if not told:
        return None
    texts = [f"{label}: {text}" if label else text for label, _, text in told]
    verdicts = [bool(agrees) for _, agrees, _ in told if agrees is not None]
    same = len(set(verdicts)) == 1
    if verdicts and not same:
        texts[-1] += f" (agrees in {sum(verdicts)} of {len(told)})"
    return Claim(source, said, "; ".join(texts) + ".", verdicts[0] if same else None)


def joint_notes(notes: Sequence[tuple[str, Iterable[str]]]) -> list[str]:
    """Notes of several runs, each sentence once.

    Args:
        notes: of each run, (label, its sentences).

    Returns:
        The sentences in order of first appearance, headed by the labels of the runs that they are about unless that is
        every run.
    """
    about: dict[str, list[str]] = {}
    for label, sentences in notes:
        for sentence in sentences:
            about.setdefault(sentence, []).append(label)
    return [s if len(who) == len(notes) else f"{', '.join(who)}: {s}" for s, who in about.items()]


def in_setting(run: RunFile, setting: Mapping[str, Collection[str]]) -> bool:
    """Whether a run has one of the named components in each of these slots.

    Args:
        run: an open run file.
        setting: names by slot, ``{"loss": {"symba"}}``; slots that are not there do not matter.
    """
    components = run_components(run)
    return all(components.get(slot) in names for slot, names in setting.items())
