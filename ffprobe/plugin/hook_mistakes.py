"""Mistakes in how a plugin writes its hooks, found when it is loaded and told in a sentence each.

pluggy leaves most of them silent: an unmarked function, another project's marker or an argument with a default value
is simply never called with anything.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ffprobe.errors import did_you_mean, nearest
from ffprobe.hookspecs import HOOK_VERSION, PROJECT, Hooks

HOOKS: dict[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(function).parameters)[1:]
    for name, function in vars(Hooks).items()
    if name.startswith(f"{PROJECT}_")
}
"""Every hook and the names of its arguments."""

_MARK = f"{PROJECT}_impl"


@dataclass(frozen=True)
class Mistake:
    """A mistake in words.

    Attributes:
        what: goes on after "The plugin 'x' of some-dist 1.0".
        do: what to do about it.
    """

    what: str
    hint: str


def hook_mistake(owner: Any) -> Mistake | None:
    """The first mistake in the hooks of a module, an object or a class; None when there is none."""
    return next(_mistakes(owner), None)


def version_mistake(declared: Any) -> Mistake | None:
    """What is wrong with the ``hook_version`` that a plugin declares; None when it fits or is not declared."""
    if declared is None or (declared == HOOK_VERSION and type(declared) is int):
        return None
    if type(declared) is not int:
        return Mistake(
            f"declares hook_version = {declared!r}, which is not a whole number",
            f"Write hook_version = {HOOK_VERSION}, or leave it out.",
        )
    made = f"was made for version {declared} of the hooks, and this ffprobe has version {HOOK_VERSION}"
    if declared > HOOK_VERSION:
        return Mistake(made, "`pip install --upgrade ffprobe-nn` gets a newer ffprobe; or use an older release of it.")
    return Mistake(made, "Get a newer release of the plugin, or change it as CHANGELOG.md says under its hook version.")


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
                f"has a function {name}, which is no hook and not marked as one",
                f"{did_you_mean(name, HOOKS)} Mark hooks with @ffprobe.hookimpl; or give the function another name.",
            )


def _marks(function: Any) -> dict[str, dict[str, Any]]:
    # pluggy keeps what a marker said as an attribute named after the project
    found = getattr(function, "__dict__", {})
    return {k: v for k, v in found.items() if k.endswith("_impl") and isinstance(v, dict) and "tryfirst" in v}


def _looks_like_a_hook(owner: Any, name: str, function: Any) -> bool:
    own = getattr(function, "__module__", None) == getattr(owner, "__name__", None)
    close = bool(nearest(name, HOOKS, 1)) and _distance(name, nearest(name, HOOKS, 1)[0]) <= 2
    return own and name.startswith(f"{PROJECT}_") and close


def _distance(one: str, two: str) -> int:
    """Letters that stand in one and not in the other, at least."""
    rest = list(two)
    for letter in one:
        if letter in rest:
            rest.remove(letter)
    return len(rest) + max(0, len(one) - len(two) + len(rest))


def _unmarked(name: str, marks: dict[str, Any]) -> Mistake:
    if marks:
        project = next(iter(marks)).removesuffix("_impl")
        return Mistake(
            f"marks {name} for the project {project!r}, so that it is never called",
            f"Mark it with @ffprobe.hookimpl instead of a pluggy.HookimplMarker({project!r}).",
        )
    return Mistake(f"does not mark {name} as a hook, so that it is never called", "Write @ffprobe.hookimpl above it.")


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
        yield Mistake(f"writes {hook} as an async function, which nobody would await", "Write a plain function.")
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
                told = f"writes {hook} with {sign}{parameter.name}, through which a hook is given nothing"
                yield Mistake(told, f"Write {right}.")
        elif parameter.default is not parameter.empty:
            if parameter.name in wanted or (wanted and not taken):
                told = f"gives the argument {parameter.name!r} of {hook} a default value, which it would always keep"
                yield Mistake(told, f"Write {right}.")
        elif parameter.name not in wanted:
            given = f"is given {' and '.join(map(repr, wanted))}" if wanted else "is given nothing"
            told = f"writes {hook} with the argument {parameter.name!r}, but the hook {given}"
            yield Mistake(told, f"Write {right}.")


def _is_method(owner: Any, static: Any) -> bool:
    """Whether the function is given an instance first."""
    return not inspect.ismodule(owner) and not isinstance(static, staticmethod | classmethod)
