"""A result as a LaTeX table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ffprobe.analysis.result.cells import MISSING, shown_columns
from ffprobe.display import plain_text
from ffprobe.errors import FileError

if TYPE_CHECKING:
    from ffprobe.analysis.result.result import Result

_SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"±": r"$\pm$", "×": r"$\times$", "τ": r"$\tau$", "α": r"$\alpha$", "…": r"\dots{}", "–": "--", "−": "$-$"},
}


def latex(result: Result) -> str:
    """Return a ``tabular`` with booktabs rules; the question and the notes are comments.

    A spread follows its value after ±, an interval in brackets; columns without any measured value are omitted.
    """
    shown = [c for c in shown_columns(result.columns, result.rows) if set(c.cells) - {MISSING}]
    heads = [_escaped(_heading(column.column.name, column.column.unit)) for column in shown]
    align = "".join("l" if column.text else "r" for column in shown)
    lines = [f"% {plain_text(result.question, one_line=True)}", rf"\begin{{tabular}}{{{align}}}", r"\toprule"]
    lines += [" & ".join(heads) + r" \\", r"\midrule"]
    for texts in zip(*(column.cells for column in shown), strict=True):
        lines.append(" & ".join(map(_escaped, texts)) + r" \\")
    return "\n".join(
        [
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            *(f"% {plain_text(note, one_line=True)}" for note in result.notes),
            "",
        ]
    )


def write_latex(result: Result, path: Path) -> Path:
    """Write ``latex(result)`` to a file.

    Raises:
        FileError: the file cannot be written.
    """
    try:
        path.write_text(latex(result), encoding="utf-8")
    except OSError as error:
        raise FileError(f"The table cannot be written: {error.strerror}.", where=str(path)) from error
    return path


def _heading(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit not in ("", "1", name) else name


def _escaped(text: str) -> str:
    return re.sub("|".join(map(re.escape, _SPECIAL)), lambda match: _SPECIAL[match[0]], text)
