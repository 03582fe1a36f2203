"""One line per layer, with one legend for all panels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ffprobe
from ffprobe.analysis.plots.depth_lines import spans_wide
from ffprobe.analysis.plots.figure import new_figure


def drawn(depth: int, y: Any = None, **more: Any) -> Any:
    values = np.arange(5)[:, None] + np.arange(depth) if y is None else y

    def draw(figure: Any) -> None:
        panels = [
            {"axes": axes, "x": range(1, 6), "y": values, "ylabel": "y", **more} for axes in figure.subplots(1, 2)
        ]
        ffprobe.lines_by_depth(figure, panels)  # type: ignore[arg-type]

    figure = new_figure(draw, (5.5, 2.2))
    figure.draw_without_rendering()
    return figure


def test_up_to_six_layers_have_looks_and_a_legend() -> None:
    figure = drawn(6)
    left, right = figure.axes
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["layer 1", "2", "3", "4", "5", "6"]
    assert len({(line.get_color(), line.get_marker()) for line in right.lines}) == 6
    assert [line.get_color() for line in left.lines[:6]] == [line.get_color() for line in right.lines]


def test_more_layers_are_coloured_by_depth_beside_a_bar() -> None:
    from matplotlib.colors import to_rgb

    figure = drawn(12)
    _, right, bar = figure.axes
    assert not figure.legends
    assert bar.get_ylabel() == "layer"
    assert all(tick == round(tick) for tick in bar.get_yticks())
    shades = [np.dot(to_rgb(line.get_color()), (0.2126, 0.7152, 0.0722)) for line in right.lines]
    assert shades == sorted(shades)
    assert {line.get_linestyle() for line in right.lines} == {"-"}


def test_gaps_are_bridged_and_a_single_point_is_visible() -> None:
    y = np.full((5, 7), np.nan)
    y[2, 0], y[[0, 4], 1] = 1.0, (2.0, 3.0)
    lines = drawn(7, y).axes[0].lines
    assert (list(lines[0].get_xdata()), lines[0].get_marker()) == ([3], "o")
    assert list(lines[1].get_xdata()) == [1, 5]


def test_a_single_epoch_has_no_fractional_ticks() -> None:
    def draw(figure: Any) -> None:
        ffprobe.lines_by_depth(figure, [{"axes": figure.subplots(), "x": [1], "y": np.ones((1, 2)), "ylabel": "y"}])

    assert all(tick == round(tick) for tick in new_figure(draw).axes[0].get_xticks())


@pytest.mark.parametrize(
    ("values", "wide"), [([1, 31], True), ([1, 29], False), ([0, 100], False), ([-1, 100], False), ([np.nan], False)]
)
def test_wide_is_positive_and_more_than_thirtyfold(values: list[float], wide: bool) -> None:
    assert spans_wide(values) is wide


def test_an_axis_is_logarithmic_on_request_or_for_a_wide_range() -> None:
    y = np.geomspace(1, 1000, 5)[:, None] * np.ones(2)
    assert [drawn(2, y, scale=s).axes[0].get_yscale() for s in ("linear", "log", "auto")] == ["linear", "log", "log"]
    assert drawn(2, y + 1e5, scale="auto").axes[0].get_yscale() == "linear"
    assert drawn(2, y).axes[0].get_yscale() == "linear"
