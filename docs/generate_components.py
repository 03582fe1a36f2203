"""The reference of components: a page for each kind, with its base class and every check of its contract."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

import ffprobe
from ffprobe.components.base import Component
from ffprobe.components.kinds import KINDS, base_class
from ffprobe.testing import CONTRACTS
from ffprobe.testing.contracts.component import ComponentContract

WORDS = ("Args:", "Attributes:", "Raises:", "Returns:", "Yields:")
RELATED = {  # the types that the methods of a kind receive or return
    "network": ("LayerSpec", "Shortcut"),
    "loss": ("LossContext",),
    "rule": ("LearnerSetup", "Learner", "Update"),
    "evaluator": ("LabelScan", "Calibration"),
    "probe": ("Variable", "Dimension", "Result", "Column", "Claim"),
    "dataset": ("Samples", "Images"),
    "peer": ("Trajectory", "ReplayPlan", "ReplayRecord", "Tolerance"),
    "executor": ("Job", "JobEvent", "ResourceLimits"),
}


def component_pages(note: str) -> dict[str, str]:
    """Every page by its path."""
    rows = "".join(
        f"| [{kind}](components/{kind}.md) | `{base.__name__}` | {_cell(_first(base))} |\n"
        for kind, base in ((kind, base_class(kind)) for kind in KINDS)
    )
    table = f"| kind | base class | description |\n|---|---|---|\n{rows}"
    common = "".join(_described(Component, 2)) + _checks(list(ComponentContract.checks()), ComponentContract)
    pages = {"components.md": f"# Components\n\n{note}{INTRO}\n{table}\n{common}"}
    for kind, base in ((kind, base_class(kind)) for kind in KINDS):
        related = "".join("".join(_described(getattr(ffprobe, name), 2)) for name in RELATED.get(kind, ()))
        text = f"# {base.__name__}\n\n{note}{''.join(_described(base, 2)).partition(chr(10) * 2)[2]}{related}"
        own = [name for name in CONTRACTS[kind].checks() if name not in ComponentContract.checks()]
        pages[f"components/{kind}.md"] = f"{text}{_checks(own, CONTRACTS[kind])}"
    return pages


INTRO = """\
A component is a class with a `name` that derives from the base class of its kind. A plugin offers it
([how](plugins/README.md)), and the config of a run selects it ([settings](settings.md)). Each page documents the base
class and the checks of `ffprobe plugins check` for its kind. The checks of all components are below.
"""


def _first(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").partition("\n\n")[0].replace("\n", " ")


def _described(thing: type, level: int) -> Iterator[str]:
    """A class with its own public methods."""
    yield f"{'#' * level} {thing.__name__}\n\n{_text(thing)}\n\n"
    if dataclasses.is_dataclass(thing):
        defaults = [f for f in dataclasses.fields(thing) if f.default not in (dataclasses.MISSING, None, "", ())]
        if defaults:
            values = ", ".join(f"`{f.name}` is `{f.default!r}`" for f in defaults if not callable(f.default))
            yield f"Defaults: {values}.\n\n" if values else ""
    for name, member in vars(thing).items():
        function = member.fget if isinstance(member, property) else inspect.unwrap(getattr(member, "__func__", member))
        if not inspect.isfunction(function) or (name.startswith("_") and name != "__call__") or not function.__doc__:
            continue
        must = "*required*\n\n" if getattr(member, "__isabstractmethod__", False) else ""
        signature = "" if isinstance(member, property) else _signature(function)
        yield f"{'#' * (level + 1)} `{name}{signature}`\n\n{must}{_text(function)}\n\n"


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    own = [parameter for name, parameter in signature.parameters.items() if name != "self"]
    return str(signature.replace(parameters=own)).replace("'", "")  # annotations are strings here


def _text(thing: Any) -> str:
    """A docstring as Markdown: section names in bold, entries as a list."""
    lines, inside = [], False
    for line in (inspect.getdoc(thing) or "").splitlines():
        if line in WORDS:
            lines, inside = [*lines, f"**{line.rstrip(':')}.**", ""], True
        elif inside and line.startswith("    ") and not line.startswith("     ") and ": " in line:
            name, _, rest = line.strip().partition(": ")
            lines.append(f"- `{name}`: {rest}" if " " not in name else f"- {line.strip()}")
        elif inside and line:
            lines.append(f"  {line.strip()}")
        else:
            lines, inside = [*lines, line], inside and not line
    return textwrap.dedent("\n".join(lines)).replace("``", "`")


def _checks(names: list[str], contract: Any) -> str:
    rows = ""
    for name in names:
        method = getattr(contract, name.replace("-", "_"))
        rows += f"| {name} | {_cell(_first(method))} | {_cell(method.__why__)} |\n"
    return f"## Checks\n\n| check | requirement | reason |\n|---|---|---|\n{rows}"


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|").replace("*", "\\*")
