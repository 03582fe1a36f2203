"""A contract: small named checks, each with the expected result, the actual result, and why it matters."""

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
    """A check failed."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected, self.got = expected, got


class Skip(Exception):
    """A check cannot run here; the message is the reason."""


def expect(holds: object, expected: str, got: str) -> None:
    """Do nothing if ``holds`` is true.

    Args:
        holds: the condition that the contract requires.
        expected: description of the expected result, with shapes and numbers.
        got: description of the actual result.

    Raises:
        Broken: ``holds`` is false.
    """
    if not holds:
        raise Broken(expected, got)


def check(why: str) -> Callable[[_Check], _Check]:
    """Mark a method of a contract as a check.

    The check's name is the method's name with hyphens; the first paragraph of its docstring is the requirement.

    Args:
        why: why the requirement matters, one sentence.
    """

    def mark(method: _Check) -> _Check:
        method.__why__ = why  # type: ignore[attr-defined]
        return method

    return mark


class Contract:
    """The checks of one kind of component.

    Args:
        subject: the component under test.
    """

    kind: ClassVar[str] = ""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    @classmethod
    def checks(cls) -> tuple[str, ...]:
        """The names of all checks, in the order of the source, those of base classes first."""
        names: dict[str, None] = {}
        for base in reversed(cls.__mro__):
            names |= {name.replace("_", "-"): None for name, value in vars(base).items() if hasattr(value, "__why__")}
        return tuple(names)

    def run(self, name: str) -> Finding:
        """Run one check; its random draws are the same every time and do not change the caller's generators.

        Raises:
            ValueError: the contract has no check of this name.
        """
        if name not in self.checks():
            raise ValueError(f"no check {name!r}; the checks are {', '.join(self.checks())}")
        method = getattr(self, name.replace("-", "_"))
        requirement = " ".join((method.__doc__ or "").split("\n\n")[0].split())
        common: dict[str, Any] = {
            "component": self.subject.component.name,
            "kind": self.kind,
            "check": name,
            "requirement": requirement,
            "why": method.__why__,
        }
        with undisturbed():
            try:
                method()
            except Skip as skip:
                return Finding(status="skipped", reason=str(skip), **common)
            except Broken as broken:
                return Finding(status="failed", expected=broken.expected, got=broken.got, **common)
            except Exception as error:
                expected = f"no error: {requirement}".rstrip(". ") if requirement else "no error"
                return Finding(status="failed", expected=expected, got=self.describe_error(error), **common)
        return Finding(status="passed", **common)

    @cached_property
    def scratch(self) -> Path:
        """A temporary folder for this contract's files, deleted with the contract."""
        folder = tempfile.mkdtemp(prefix="ffprobe-check-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    def describe_error(self, error: BaseException) -> str:
        """An error in one line, with the last line of the plugin's file in its traceback."""
        location = ""
        source = self.subject.plugin.source_path
        for frame in traceback.extract_tb(error.__traceback__):
            if source and Path(frame.filename) == source:
                location = f" ({source.name}, line {frame.lineno})"
        text = " ".join(str(error).split())
        if isinstance(error, FfprobeError):
            return f"{type(error).__name__}: {text}{location}"
        return f"{type(error).__name__}: {text[:300]}{location}"
