"""Finds mistakes in the hooks of a plugin when it is loaded, each with a message of its own.

pluggy ignores most of them: a function without a marker or with the marker of another project is never called, and an
argument with a default value never receives anything.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ffprobe.errors import did_you_mean
from ffprobe.hookspecs import HOOK_VERSION, PROJECT, Hooks

HOOKS: dict[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(function).parameters)[1:]
    for name, function in vars(Hooks).items()
    if name.startswith(f"{PROJECT}_")
}
"""All hooks with the names of their arguments."""

_MARK = f"{PROJECT}_impl"
MISSPELT = 0.9
"""Similarity (``difflib``, from 0 to 1) at which a function counts as a misspelt hook: about two wrong letters."""


@dataclass(frozen=True)
class Mistake:
    """A mistake in the hooks of a plugin.

    Attributes:
        what: the predicate of a sentence that starts with "The plugin 'x'".
        hint: what to do about it.
    """

    what: str
    hint: str


def hook_mistake(owner: Any) -> Mistake | None:
    """The first mistake in the hooks of a module, an object or a class; None if there is none."""
    return next(_mistakes(owner), None)


def version_mistake(declared: Any) -> Mistake | None:
    """The mistake in the ``hook_version`` that a plugin declares; None if it matches or is not declared."""
    if declared is None or (declared == HOOK_VERSION and type(declared) is int):
        return None
    if type(declared) is not int:
        return Mistake(
            f"declares hook_version = {declared!r}, which is not an integer",
            f"Write hook_version = {HOOK_VERSION}, or remove it.",
        )
    what = f"needs version {declared} of the hooks, but this ffprobe has version {HOOK_VERSION}"
    if declared > HOOK_VERSION:
        return Mistake(what, "Run `pip install --upgrade ffprobe-nn`, or install an older release of the plugin.")
    return Mistake(what, "Install a newer release of the plugin, or update it as CHANGELOG.md describes.")


def _mistakes(owner: Any) -> Iterator[Mistake]:
    for name in dir(owner):
        static = inspect.getattr_static(owner, name, None)
        function = static.__func__ if isinstance(static, staticmethod | classmethod) else static
        if not inspect.isroutine(function):
            continue
        marks = _marks(function)
        if _MARK in marks:
            yield from _marked(owner, name, function, static, marks[_MARK])
        elif name in HOOKS or (marks and name.startswith(f"{PROJECT}_")):
            yield _unmarked(name, marks)
        elif _looks_like_a_hook(owner, name, function):
            yield Mistake(
                f"has a function {name}, which looks like a misspelt hook and is not marked as one",
                f"{did_you_mean(name, HOOKS)} Mark hooks with @ffprobe.hookimpl, or rename the function.",
            )


def _marks(function: Any) -> dict[str, dict[str, Any]]:
    # pluggy stores the options of a marker in an attribute that is named after the project
    attributes = getattr(function, "__dict__", {})
    return {k: v for k, v in attributes.items() if k.endswith("_impl") and isinstance(v, dict) and "tryfirst" in v}


def _looks_like_a_hook(owner: Any, name: str, function: Any) -> bool:
    own = getattr(function, "__module__", None) == getattr(owner, "__name__", None)
    return own and name.startswith(f"{PROJECT}_") and bool(difflib.get_close_matches(name, HOOKS, 1, MISSPELT))


def _unmarked(name: str, marks: dict[str, Any]) -> Mistake:
    if marks:
        project = next(iter(marks)).removesuffix("_impl")
        return Mistake(
            f"marks {name} for the project {project!r}, so it is never called",
            f"Mark it with @ffprobe.hookimpl instead of pluggy.HookimplMarker({project!r}).",
        )
    return Mistake(f"does not mark {name} as a hook, so it is never called", "Write @ffprobe.hookimpl above it.")


def _marked(owner: Any, name: str, function: Any, static: Any, options: dict[str, Any]) -> Iterator[Mistake]:
    hook = options.get("specname") or name
    if hook not in HOOKS:
        if not options.get("optionalhook"):
            yield Mistake(
                f"implements the hook {hook}, which does not exist",
                f"{did_you_mean(hook, HOOKS)} If it is a newer hook, `pip install --upgrade ffprobe-nn`.",
            )
        return
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        yield Mistake(f"defines {hook} as an async function, which is never awaited", "Define a plain function.")
    wanted = HOOKS[hook]
    right = f"def {hook}({', '.join((*(['self'] if _is_method(owner, static) else []), *wanted))})"
    parameters = list(inspect.signature(function).parameters.values())
    if _is_method(owner, static) or isinstance(static, classmethod):
        parameters = parameters[1:]
    taken = [p.name for p in parameters if p.name in wanted and p.default is p.empty]
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            if not taken and wanted:
                sign = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
                what = f"defines {hook} with {sign}{parameter.name}, which never receives an argument"
                yield Mistake(what, f"Write {right}.")
        elif parameter.default is not parameter.empty:
            if parameter.name in wanted or (wanted and not taken):
                what = f"gives the argument {parameter.name!r} of {hook} a default value, so it never receives another"
                yield Mistake(what, f"Write {right}.")
        elif parameter.name not in wanted:
            arguments = f"the argument {' and '.join(map(repr, wanted))}" if wanted else "no argument"
            what = f"defines {hook} with the argument {parameter.name!r}, but the hook has {arguments}"
            yield Mistake(what, f"Write {right}.")


def _is_method(owner: Any, static: Any) -> bool:
    """Whether the first argument of the function is an instance."""
    return not inspect.ismodule(owner) and not isinstance(static, staticmethod | classmethod)
