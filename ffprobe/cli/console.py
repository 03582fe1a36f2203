"""Where words go: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

# what every command understands
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


class State:
    """What the options of this process said; set once by the command line."""

    verbose = False
    json = False


def _verbose(value: bool) -> bool:
    State.verbose = State.verbose or value
    return value


Verbose = Annotated[
    bool, typer.Option("--verbose", help="Show tracebacks and debugging messages.", callback=_verbose, is_eager=True)
]


def stdout() -> Console:
    """The console for results. Made when used, so that it sees the stream as it is then."""
    return Console(highlight=False)


def stderr() -> Console:
    """The console for everything else."""
    return Console(stderr=True, highlight=False)


def print_json(document: Any) -> None:
    """One JSON document on stdout, plain, whatever the terminal."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def finite(value: Any) -> Any:
    """A document in which NaN and infinities are null, since JSON has neither."""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value
