"""Output of the command line: results on stdout, everything else on stderr."""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from ffprobe.display import control_characters, plain_text

if TYPE_CHECKING:
    from ffprobe.errors import FfprobeError

INDENT = 2
"""Columns by which details of an error are indented."""

# options of all commands
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


TrustRun = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Import the plugins that the run file names as ./file.py or module:attr, and read the directory of the "
        "data set that it names.",
    ),
]


class State:
    """The global options of this process.

    Attributes:
        verbose: whether to show tracebacks and debug messages.
        json: whether to print JSON.
        results: the stream for JSON documents while ``sys.stdout`` is redirected to stderr, so that what a plugin
            prints does not spoil them; None: ``sys.stdout``.
    """

    verbose = False
    json = False
    results: TextIO | None = None


def _verbose(value: bool) -> bool:
    State.verbose = State.verbose or value
    return value


Verbose = Annotated[
    bool, typer.Option("--verbose", help="Show tracebacks and debug messages.", callback=_verbose, is_eager=True)
]


class PlainConsole(Console):
    """A console that prints text as it is: no markup, no emoji codes, and control characters as visible escapes.

    Names and messages come from run files, data sets and plugins. A layer named ``[/foo]`` must not be a markup error,
    and an escape sequence in a name must not reach the terminal. Styles are given by ``style=`` and ``Text``.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Convert a string to text; rich calls it for every string that is printed, also in cells of tables."""
        return super().render_str(plain_text(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render anything; control characters that remain in ``Text`` become visible, rich's own codes stay."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text == "\n":
                yield segment
            else:
                yield Segment(plain_text(segment.text), segment.style)


def stdout() -> Console:
    """The console for results; created at each call, so that it uses the current stream."""
    return PlainConsole()


def stderr() -> Console:
    """The console for everything else."""
    return PlainConsole(stderr=True)


class PlainFormatter(logging.Formatter):
    """Formats log records, such as a plugin's warnings, without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record."""
        return plain_text(super().format(record))


def print_error(error: FfprobeError) -> None:
    """Print an error on stderr: what happened, and indented below it the location and the hint.

    On a terminal, long lines are wrapped between words with a hanging indent. In a log, each part is one line, so that
    it can be searched and commands can be copied.
    """
    from rich.padding import Padding

    console = stderr()
    what = plain_text(error.what)
    process = f" in process {os.environ['RANK']}" if "RANK" in os.environ else ""  # torchrun's
    head, parts = (
        Text(f"error{process}: ", style="bold red"),
        [plain_text(part) for part in (error.where, error.hint) if part],
    )
    if not console.is_terminal:
        console.print(Text.assemble(head, what), soft_wrap=True)
        for part in parts:
            console.print(Text(" " * INDENT + part), soft_wrap=True)
        return
    lines = Text(what).wrap(console, max(console.width - len(head), 1))
    console.print(Text.assemble(head, lines[0]))
    for line in lines[1:]:
        console.print(Padding(line, (0, 0, 0, len(head))))
    for part in parts:
        console.print(Padding(Text(part), (0, 0, 0, INDENT)))


def print_json(document: Any) -> None:
    """Print one JSON document on stdout, without colors or wrapping.

    Raises:
        FfprobeError: standard output is closed, or its disk is full.
    """
    from ffprobe.errors import FfprobeError

    stream: TextIO | None = State.results or sys.stdout
    try:
        if stream is None:
            raise OSError(errno.EBADF, "it is closed")
        stream.write(json_text(document, indent=2) + "\n")
        stream.flush()
    except OSError as error:
        raise FfprobeError(
            f"The result could not be written to standard output: {error.strerror}.",
            hint="Files that the command wrote are complete.",
        ) from error


def json_text(document: Any, indent: int | None = None) -> str:
    """A JSON document as text; control characters, lone surrogates too, become JSON's own escapes."""
    text = json.dumps(document, indent=indent, allow_nan=False, ensure_ascii=False)
    return control_characters.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def finite(value: Any) -> Any:
    """A copy of a document with None in place of NaN and infinities, which JSON does not have."""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value
