"""A command whose help shows its options in sections, in plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer.core


def grouped(sections: Mapping[str, Sequence[str]]) -> type[typer.core.TyperCommand]:
    """The class of a command whose help shows its options in these sections, for ``app.command(cls=...)``.

    Typer itself groups options only in boxes. The help of this program is plain text, which can be piped and searched.

    Args:
        sections: the parameters of each section by its title. Arguments come first, all other options last, under
            "Options".
    """

    class GroupedCommand(typer.core.TyperCommand):
        def format_options(self, ctx: Any, formatter: Any) -> None:
            titles = {name: title for title, names in sections.items() for name in names}
            shown: dict[str, list[tuple[str, str]]] = {
                "Arguments": [],
                **{title: [] for title in sections},
                "Options": [],
            }
            for parameter in self.get_params(ctx):
                record = parameter.get_help_record(ctx)
                if record is not None:  # not hidden
                    default = "Arguments" if parameter.param_type_name == "argument" else "Options"
                    shown[titles.get(str(parameter.name), default)].append(record)
            for title, records in shown.items():
                if records:
                    with formatter.section(title):
                        formatter.write_dl(records)

    return GroupedCommand
