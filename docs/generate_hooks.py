"""The page of the hooks: every hook, and every context with its fields and methods, from their docstrings."""

from __future__ import annotations

import inspect
import sys
from dataclasses import fields
from typing import Any

from ffprobe.hookspecs import CONTEXTS, Hooks

INTRO = """\
The classes below are frozen dataclasses. `record`, `sandbox` and `due` are functions; all other fields are values.
"""


def hooks_page(note: str) -> str:
    """The page."""
    hooks = [_hook(name, function) for name, function in vars(Hooks).items() if name.startswith("ffprobe_")]
    contexts = [_context(context) for context in CONTEXTS]
    about = inspect.getdoc(sys.modules[Hooks.__module__])
    page = f"# Hooks\n\n{note}{about}\n{''.join(hooks)}\n## Contexts\n\n{INTRO}{''.join(contexts)}"
    return page.replace("``", "`")


def sections(doc: str) -> dict[str, str]:
    """The parts of a docstring by their headings; the text before the first heading is under ``""``.

    A heading is a word or two at the start of a line, followed by a colon: ``When:``, ``Args:``, ``Used by:``.
    """
    headings = ("When", "Args", "Returns", "Used by", "Attributes")
    parts: dict[str, list[str]] = {"": []}
    for line in doc.splitlines():
        heading, colon, rest = line.partition(":")
        if colon and heading in headings:
            parts[heading] = [rest.strip()]
        else:
            parts[list(parts)[-1]].append(line)
    return {heading: "\n".join(lines).strip("\n") for heading, lines in parts.items()}


def entries(text: str) -> dict[str, str]:
    """The entries of an ``Args:`` or ``Attributes:`` section: the description by name, each on one line."""
    found: dict[str, list[str]] = {}
    lines = inspect.cleandoc(f"\n{text}").splitlines()
    for line in lines:
        if line.startswith(" "):
            found[list(found)[-1]].append(line.strip())
        elif line.strip():
            name, _, rest = line.partition(": ")
            found[name] = [rest]
    return {name: " ".join(words) for name, words in found.items()}


def _hook(name: str, function: Any) -> str:
    parameters = list(inspect.signature(function).parameters.values())[1:]
    parts = sections(inspect.getdoc(function) or "")
    described = entries(parts.get("Args", ""))
    text = f"\n## `{name}({', '.join(p.name for p in parameters)})`\n\n{parts['']}\n\n"
    if "When" in parts:
        text += f"- **When:** {_line(parts['When'])}\n"
    for parameter in parameters:
        text += f"- **`{parameter.name}`:** {_type(str(parameter.annotation))}. {described[parameter.name]}\n"
    text += f"- **Returns:** {_line(parts['Returns'])}\n- **Used by:** {_line(parts['Used by'])}\n"
    return text


def _context(context: type[Any]) -> str:
    parts = sections(inspect.getdoc(context) or "")
    described = entries(parts["Attributes"])
    names = [field.name for field in fields(context)]
    if list(described) != names:
        raise ValueError(f"{context.__name__} documents {list(described)}, but its fields are {names}")
    text = f"\n### `{context.__name__}`\n\n{parts['']}\n\n| field | type | meaning |\n|---|---|---|\n"
    for field in fields(context):
        text += f"| `{field.name}` | {_type(str(field.type))} | {described[field.name]} |\n"
    for name, method in vars(context).items():
        if inspect.isfunction(method) and not name.startswith("_") and name not in names:  # no default values
            text += _method(name, method)
    return text


def _method(name: str, method: Any) -> str:
    parameters = list(inspect.signature(method).parameters.values())[1:]
    signature = ", ".join(f"{p.name}: {p.annotation}" for p in parameters)
    parts = sections(inspect.getdoc(method) or "")
    lines = [f"- `{argument}`: {what}" for argument, what in entries(parts.get("Args", "")).items()]
    annotation = inspect.signature(method).return_annotation
    return f"\n**`{name}({signature}) -> {annotation}`**\n\n{parts['']}\n\n" + "".join(f"{line}\n" for line in lines)


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text[:1].upper() + text[1:]


def _type(annotation: str) -> str:
    """A type as Markdown: context classes are links, and ``|`` is written as "or", because it ends a table cell."""
    known = {context.__name__: f"[`{context.__name__}`](#{context.__name__.lower()})" for context in CONTEXTS}
    return " or ".join(known.get(part, f"`{part}`") for part in annotation.split(" | "))
