"""Help with options in sections."""

from __future__ import annotations

from typing import Annotated

import typer
from typer.testing import CliRunner

from ffprobe.cli.option_groups import grouped

SECTIONS = {"Method": ("preset",), "Data": ("data_dir", "no_such_option"), "Empty": ()}


def command(
    name: Annotated[str, typer.Argument(help="A name.")],
    data_dir: Annotated[str, typer.Option(help="A directory.")] = "",
    preset: Annotated[str, typer.Option(help="A preset.")] = "",
    hidden: Annotated[bool, typer.Option("--hidden", hidden=True)] = False,
    other: Annotated[bool, typer.Option("--other", help="Another.")] = False,
) -> None:
    """A command."""


def test_sections_come_in_their_order_and_the_rest_last() -> None:
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command(cls=grouped(SECTIONS))(command)
    lines = [line.split()[0] for line in CliRunner().invoke(app, ["--help"]).stdout.splitlines() if line]
    start = lines.index("Arguments:")
    options = ["--preset", "--data-dir", "--other", "--help"]
    assert lines[start:] == ["Arguments:", "name", "Method:", options[0], "Data:", options[1], "Options:", *options[2:]]
