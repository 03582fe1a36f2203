"""The table of kinds in docs/plugins/README.md, from the base classes themselves."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ffprobe.components.base import Form
from ffprobe.components.kinds import KINDS, SINGLE_SLOTS, base_class

PAGE = "plugins/README.md"
BEGIN, END = "<!-- kinds: made by docs/generate.py -->\n", "<!-- end of kinds -->\n"


def with_kinds(path: Path) -> str:
    """The page with a fresh table between its two marks.

    Raises:
        ValueError: a mark is missing.
    """
    text = path.read_text("utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{path} lacks the marks of the table of kinds")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}{kinds_table()}{END}{rest.partition(END)[2]}"


def kinds_table() -> str:
    """One row for each kind: how many a run has, the base class, what to write, and what it may choose."""
    rows = ["| kind | a run has | base class | you write | class attributes to choose |", "|---|---|---|---|---|"]
    for kind in KINDS:
        base = base_class(kind)
        several = "any number" if kind in ("probe", "observer") else "none: used by other commands"
        count = "one" if kind in SINGLE_SLOTS else several
        methods = "<br>".join(f"`{signature}`" for signature in _abstract_methods(base))
        choices = "<br>".join(f"`{name}`: {values}" for name, values in _choices(base))
        link = f"[{kind}](../components/{kind}.md)"
        rows.append(f"| {link} | {count} | `{base.__name__}` | {methods} | {choices} |")
    return "\n".join(rows) + "\n"


def _abstract_methods(base: type) -> list[str]:
    """The signatures of what a subclass must supply, without ``self`` and without the types of arguments."""
    found = []
    for name, member in vars(base).items():
        if getattr(member, "__isabstractmethod__", False):
            signature = inspect.signature(member)
            arguments = ", ".join(list(signature.parameters)[1:])
            result = str(signature.return_annotation).strip("'")
            found.append(f"{name}({arguments}) -> {result}".replace(" | ", " or "))
    return found


def _choices(base: type) -> list[tuple[str, str]]:
    """The class attributes that have a fixed set of values or are switches, each with its values, default first."""
    found = []
    for name, hint in _class_attributes(base).items():
        default = getattr(base, name, None)
        if get_origin(hint) is Literal:
            values = sorted(get_args(hint), key=lambda value: value != default)
            found.append((name, ", ".join(f"`{value}`" for value in values)))
        elif hint is bool:
            found.append((name, f"`{default}`, `{not default}`"))
    return found


def _class_attributes(base: type) -> dict[str, Any]:
    # The hints of a component's file name classes that it imports for type checkers alone, so only those of class
    # attributes are evaluated, one by one.
    tree = ast.parse(inspect.getsource(base))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found: dict[str, Any] = {}
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            text = ast.unparse(node.annotation).removeprefix("ClassVar[")
            text = text if text == ast.unparse(node.annotation) else text.removesuffix("]")
            if text == "bool" or text == "Form" or text.startswith("Literal["):
                holder = type("Holder", (), {"__annotations__": {"hint": text}})
                found[node.target.id] = get_type_hints(holder, {"Form": Form, "Literal": Literal})["hint"]
    return found
