"""The page of the command line: every command with its arguments, options and defaults, from the program itself."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args, get_type_hints

import typer

from ffprobe.cli.app import build_app
from ffprobe.errors import CheckFailed

INTRO = """\
`ffprobe`, `ff-probe` and `python -m ffprobe` are the same program. Results are printed to stdout, everything else to
stderr; `NO_COLOR` is respected. Every command ends with one of these exit codes:

| code | when |
|---|---|
| 0 | Success. |
| 1 | The run or the analysis failed. |
| 2 | Invalid arguments; nothing ran. |
| 3 | A plugin is missing, could not be loaded, or broke its contract. |
| 4 | A file is missing, unreadable, incomplete, or of a newer format. |
| 5 | A check failed; only commands that state it below. |
| 130, 143 | Interrupted by Ctrl-C or SIGTERM, after the run file was closed cleanly. |

[Errors](errors.md) lists every message with its hint.

`ffprobe --install-completion` sets up the Tab key of bash, zsh, fish or PowerShell. It completes commands and options,
and the values of options: presets, plugins, data sets, evaluators, keys for `--set`, analyses and run files.
"""


def command_page(note: str) -> str:
    """The page, without the commands that installed plugins add."""
    app: Any = typer.main.get_command(build_app())
    commands = "".join(_section(f"ffprobe {words}", command) for words, command in _commands(app))
    return f"# Command line\n\n{note}{INTRO}\n{commands.rstrip()}\n"


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")
        elif command.callback.__module__.startswith("ffprobe.") and not command.hidden:
            yield before + name, command


def _section(words: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    hints = get_type_hints(command.callback)
    usage = " ".join([words, *map(_argument, arguments), *(["[OPTIONS]"] if options else [])])
    rows = [(f"`{_argument(p).strip('[]')}`", "", p.help) for p in arguments]
    rows += [(f"`{_cell(_option(p, hints[p.name]))}`", _default(p), p.help) for p in options]
    table = "".join(f"| {name} | {default} | {_cell(text)} |\n" for name, default, text in rows)
    check = CheckFailed.__name__ in inspect.getsource(sys.modules[command.callback.__module__])
    more = f"\nExit code {CheckFailed.exit_code}: a check failed.\n" if check else ""
    heads = "| argument or option | default | description |\n|---|---|---|\n"
    return f"## {words}\n\n`{usage}`\n\n{inspect.cleandoc(command.help or '')}\n\n{heads}{table}{more}\n"


def _argument(parameter: Any) -> str:
    name = parameter.name.upper() + ("..." if parameter.multiple or parameter.nargs != 1 else "")
    return name if parameter.required else f"[{name}]"


def _option(parameter: Any, hint: Any) -> str:
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    return names if parameter.is_flag else f"{names} {parameter.metavar or _value(hint)}"


def _value(hint: Any) -> str:
    """The placeholder for an option's value, from its annotation."""
    kinds = [kind for kind in (*get_args(hint), hint) if isinstance(kind, type) and kind is not type(None)]
    kind = kinds[0] if kinds else str
    if issubclass(kind, Enum):
        return "{" + ",".join(str(member.value) for member in kind) + "}"
    return {"int": "N", "float": "X", "Path": "PATH"}.get(kind.__name__, "TEXT")


def _default(parameter: Any) -> str:
    value = parameter.default.value if isinstance(parameter.default, Enum) else parameter.default
    return "" if value in (None, "", False, (), []) or callable(value) else f"`{value}`"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")
