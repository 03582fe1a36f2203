"""The exception classes of ffprobe, each with its exit code.

FfprobeError                 exit 1  a run or an analysis failed
├── UsageError               exit 2  invalid arguments or settings; nothing ran
├── PluginError              exit 3  a plugin is missing, could not be loaded or failed
├── FileError                exit 4  a file is unreadable, incomplete or of a newer format
├── CheckFailed              exit 5  a check failed
└── Interrupted              exit 130 or 143, after the run file was closed cleanly
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FfprobeError(Exception):
    """Base class of all errors that are shown to the user as sentences, without a traceback.

    Args:
        what: What happened, one sentence.
        where: The plugin, layer, step or file concerned; empty if there is none.
        hint: What to do about it, one sentence; empty if nothing is known to help.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.hint = what, where, hint

    def __str__(self) -> str:
        """The whole message: what happened, where, and the hint."""
        return " ".join(part for part in (self.what, self.where and f"({self.where})", self.hint) if part)

    def to_dict(self) -> dict[str, object]:
        """The error as a JSON object: ``error``, ``what``, ``where``, ``hint``, ``exit_code``."""
        return {
            "error": type(self).__name__,
            "what": self.what,
            "where": self.where,
            "hint": self.hint,
            "exit_code": self.exit_code,
        }


class UsageError(FfprobeError):
    """Invalid arguments; nothing ran."""

    exit_code = 2


class PluginError(FfprobeError):
    """A plugin is missing, could not be loaded, or broke its contract; the message names it."""

    exit_code = 3


class FileError(FfprobeError):
    """A file is missing, unreadable, incomplete, or written by a newer ffprobe."""

    exit_code = 4


class CheckFailed(FfprobeError):
    """A check that the user asked for failed."""

    exit_code = 5


class Interrupted(FfprobeError):
    """A signal stopped the run; all committed epochs are in the file."""

    def __init__(self, what: str, *, signal_number: int, where: str = "", hint: str = "") -> None:
        super().__init__(what, where=where, hint=hint)
        self.exit_code = 128 + signal_number


def describe(error: BaseException) -> str:
    """Type and message of an exception; also if its ``__str__`` raises, as that of a plugin's exception may."""
    name = type(error).__name__
    try:
        text = str(error)
    except (Exception, SystemExit) as second:
        return f"{name} (its message cannot be read: __str__ raised {type(second).__name__})"
    return f"{name}: {text}" if text else name


_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "cublas_status_alloc_failed")
"""What torch writes, in any case, into a RuntimeError when an allocation fails on the CPU or a GPU."""


def out_of_memory(error: BaseException, doing: str = "", where: str = "") -> FfprobeError | None:
    """The error to raise if ``error`` says that memory ran out, on the CPU or a GPU; None if it says something else.

    Args:
        error: any exception.
        doing: what was being done, as a participle phrase: "training".
        where: the plugin that allocated, if it is known.
    """
    message = describe(error)
    said_by_torch = isinstance(error, RuntimeError) and any(sign in message.lower() for sign in _NO_MEMORY)
    if not (isinstance(error, MemoryError) or said_by_torch):
        return None
    message = " ".join(message.splitlines()[0].split()).removesuffix(".")[:300]
    return FfprobeError(
        f"Out of memory{f' while {doing}' if doing else ''}: {message}.",
        where=where,
        hint="Use a smaller --batch-size, --set training.evaluation_batch=N or --set network.width=N, or free memory.",
    )


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known names closest to ``name``, best match first.

    A name is close if ``difflib`` rates the two at least 0.5 alike, or if one contains the other.

    Args:
        name: The name that was typed.
        known: All valid names.
        count: Maximum number of names to return.
    """
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=count, cutoff=0.5)
    close += [other for other in names if other not in close and (name in other or other in name)]
    return close[:count]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that suggests the closest known names, or lists all of them if none is close."""
    names = sorted(set(known))
    close = nearest(name, names)
    if close:
        return f"Did you mean {' or '.join(repr(c) for c in close)}?"
    return f"Known: {', '.join(names)}." if names else "None is installed."
