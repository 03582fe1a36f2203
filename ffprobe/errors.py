"""The tree of errors: what happened, where, and what to do.

FfprobeError                 exit 1  a run or an analysis failed
├── UsageError               exit 2  the words typed do not fit together
├── PluginError              exit 3  a plugin is missing, would not load or misbehaved
├── FileError                exit 4  a file is unreadable, incomplete or of a newer format
├── CheckFailed              exit 5  a check did not hold
└── Interrupted              exit 130 or 143, after the file was closed cleanly
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FfprobeError(Exception):
    """An error that is told to the user in sentences, without a traceback.

    Args:
        what: one sentence, what happened.
        where: plugin, layer, step or file; empty when there is none.
        do: one sentence, what to do about it; empty when nothing is known to help.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.hint = what, where, hint

    def __str__(self) -> str:
        """All the sentences, in the order what, where, what to do."""
        return " ".join(part for part in (self.what, self.where and f"({self.where})", self.hint) if part)

    def to_dict(self) -> dict[str, object]:
        """The error as a JSON object: ``error``, ``what``, ``where``, ``hint``, ``exit_code``."""
        return {
            "error": type(self).__name__,
            "what": self.what,
            "where": self.where,
            "do": self.hint,
            "exit_code": self.exit_code,
        }


class UsageError(FfprobeError):
    """The command line or the settings do not fit together; nothing was computed."""

    exit_code = 2


class PluginError(FfprobeError):
    """A plugin is missing, would not load, or broke its contract; the sentence names it."""

    exit_code = 3


class FileError(FfprobeError):
    """A file is missing, unreadable, incomplete, or written by a newer ffprobe."""

    exit_code = 4


class CheckFailed(FfprobeError):
    """A check that the user asked for did not hold."""

    exit_code = 5


class Interrupted(FfprobeError):
    """The run was asked to stop; what had been committed is in the file."""

    def __init__(self, what: str, *, signal_number: int, where: str = "", hint: str = "") -> None:
        super().__init__(what, where=where, hint=hint)
        self.exit_code = 128 + signal_number


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known names that look most like the one typed, best first."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=count, cutoff=0.5)
    close += [other for other in names if other not in close and (name in other or other in name)]
    return close[:count]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that offers the nearest known names, or lists them all when none is near."""
    names = sorted(set(known))
    close = nearest(name, names)
    if close:
        return f"Did you mean {' or '.join(repr(c) for c in close)}?"
    return f"Known: {', '.join(names)}." if names else "None is installed."
