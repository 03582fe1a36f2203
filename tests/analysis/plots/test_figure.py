"""Texts of figures are shown as they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ffprobe.analysis.plots.figure import new_figure, write_figure


def drawn(path: Path, draw: Any) -> str:
    """The figure as SVG, in which text stays text, without its comments."""
    write_figure(new_figure(draw), path, {})
    return re.sub("<!--.*?-->", "", path.read_text())


@pytest.mark.parametrize("name", ["cost $5$", r"$\foo$", "a$b", r"$$"])
def test_names_with_dollar_signs(tmp_path: Path, name: str) -> None:
    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.plot([1, 2], [1, 2], label=name)
        axes.set(title=name, xlabel=name)
        axes.set_xticks([1, 2], [name, "other"])
        axes.legend()

    assert drawn(tmp_path / "a.svg", draw).count(f">{name}</text>") == 4


def test_ticks_of_a_logarithmic_axis(tmp_path: Path) -> None:
    def draw(figure: Any) -> None:
        figure.subplots().semilogy([1, 2], [1, 1e6])

    assert "mathdefault" not in drawn(tmp_path / "a.svg", draw)
