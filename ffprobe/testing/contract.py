"""A contract: small checks with names, each of which says what was expected, what came, and why it matters."""

from __future__ import annotations

import shutil
import tempfile
import traceback
import weakref
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from ffprobe.errors import FfprobeError
from ffprobe.testing.findings import Finding
from ffprobe.testing.randomness import undisturbed
from ffprobe.testing.subject import Subject

_Check = TypeVar("_Check", bound=Callable[..., None])


class Broken(AssertionError):
    """A check does not hold."""

    def __init__(self, expected: str, came: str) -> None:
        super().__init__(f"expected {expected}; came {came}")
        self.expected, self.came = expected, came


class Skip(Exception):
    """A check that cannot be made here; the message is the reason."""


def expect(holds: object, expected: str, came: str) -> None:
    """Go on if ``holds`` is true.

    Args:
        holds: what the contract says.
        expected: in words, with shapes and numbers.
        came: in words, what came instead.

    Raises:
        Broken: it is not true.
    """
    if not holds:
        raise Broken(expected, came)


def check(why: str) -> Callable[[_Check], _Check]:
    """Mark a method of a contract as one of its checks.

    The check's name is the method's with hyphens; the first line of its docstring is what the contract says.

    Args:
        why: why it matters, one sentence.
    """

    def mark(method: _Check) -> _Check:
        method.__why__ = why  # type: ignore[attr-defined]
        return method

    return mark


class Contract:
    """The checks of one kind of component.

    Args:
        subject: whose contract it is.
    """

    kind: ClassVar[str] = ""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    @classmethod
    def checks(cls) -> tuple[str, ...]:
        """The names of all checks, those of the parents first, else as they are written."""
        found: dict[str, None] = {}
        for base in reversed(cls.__mro__):
            found |= {name.replace("_", "-"): None for name, value in vars(base).items() if hasattr(value, "__why__")}
        return tuple(found)

    def run(self, name: str) -> Finding:
        """Make one check; what it draws at random is the same every time and moves no generator of the caller.

        Raises:
            ValueError: the contract has no check of this name.
        """
        if name not in self.checks():
            raise ValueError(f"no check {name!r}; there are {', '.join(self.checks())}")
        method = getattr(self, name.replace("-", "_"))
        says = " ".join((method.__doc__ or "").split("\n\n")[0].split())
        common: dict[str, Any] = {
            "component": self.subject.component.name,
            "kind": self.kind,
            "check": name,
            "says": says,
            "why": method.__why__,
        }
        with undisturbed():
            try:
                method()
            except Skip as skip:
                return Finding(status="skipped", reason=str(skip), **common)
            except Broken as broken:
                return Finding(status="failed", expected=broken.expected, came=broken.came, **common)
            except Exception as error:
                expected = f"that {says[0].lower()}{says[1:].rstrip('.')}" if says else "no error"
                return Finding(status="failed", expected=expected, came=self.told(error), **common)
        return Finding(status="passed", **common)

    @cached_property
    def scratch(self) -> Path:
        """A folder for this contract's files, removed with the contract."""
        folder = tempfile.mkdtemp(prefix="ffprobe-check-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    def told(self, error: BaseException) -> str:
        """An error in one line, with the line of the plugin's file that it came through last."""
        place = ""
        source = self.subject.plugin.source_path
        for frame in traceback.extract_tb(error.__traceback__):
            if source and Path(frame.filename) == source:
                place = f" ({source.name}, line {frame.lineno})"
        text = " ".join(str(error).split())
        if isinstance(error, FfprobeError):
            return f"{type(error).__name__}: {text}{place}"
        return f"{type(error).__name__}: {text[:300]}{place}"
