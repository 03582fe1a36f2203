"""LaTeX tables: every special character is escaped, spreads follow their values."""

from __future__ import annotations

from pathlib import Path

import pytest

import ffprobe
from ffprobe.analysis.result.latex import latex, write_latex

RESULT = ffprobe.Result(
    "mine",
    "How much?",
    [
        ffprobe.Column("plugins", "", "which", key=True),
        ffprobe.Column("test", "%", "accuracy", ".2f"),
        ffprobe.Column("test_sd", "%", "spread", ".1f", spread_of="test"),
        ffprobe.Column("nothing", "1", "never measured"),
    ],
    [("a_b & 50% of #1 {x} \\ ~ ^ $ τ", 12.345, 0.25, None), ("plain", 1.0, float("nan"), None)],
    notes=["± is a spread"],
)


def test_the_complete_table() -> None:
    assert latex(RESULT) == (
        "% How much?\n"
        "\\begin{tabular}{lr}\n"
        "\\toprule\n"
        "plugins & test (\\%) \\\\\n"
        "\\midrule\n"
        "a\\_b \\& 50\\% of \\#1 \\{x\\} \\textbackslash{} \\textasciitilde{} \\textasciicircum{} \\$ $\\tau$ & "
        "12.35 $\\pm$ 0.2 \\\\\n"
        "plain & 1.00 \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
        "% ± is a spread\n"
    )


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ffprobe.FileError, match="cannot be written"):
        write_latex(RESULT, tmp_path / "no" / "t.tex")
