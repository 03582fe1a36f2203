"""Lines over layers: distinguishable without colour, labelled if legible."""

from __future__ import annotations

import matplotlib
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from ffprobe.analysis.plots.figure import line_by_layer, line_look, new_figure, paper_style


def figure_of(lines: dict[str, list[float]]) -> Figure:
    series = [{"label": label, "x": range(1, len(y) + 1), "y": y} for label, y in lines.items()]
    return new_figure(lambda figure: line_by_layer(figure.subplots(), series))  # type: ignore[arg-type]


def labels(figure: Figure) -> list[str]:
    """The texts at the ends of lines."""
    return [text.get_text() for text in figure.axes[0].texts]


def legend(figure: Figure) -> list[str]:
    found = figure.axes[0].get_legend()
    return [text.get_text() for text in found.get_texts()] if found else []


def test_few_lines_are_labelled_at_their_ends_without_overlap() -> None:
    lines = {f"run {i}": [50, 60 + 0.2 * i] for i in range(3)} | {"low": [50, 51]}
    figure = figure_of(lines)
    assert labels(figure) == list(lines)
    assert not legend(figure)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)


@pytest.mark.parametrize(
    "lines",
    [
        {f"run {i}": [50.0, 60 + 10 * i] for i in range(7)},  # too many
        {f"run {i}": [50.0, 60] for i in range(6)},  # all at one point
        {"short": [50.0, 60], "long": [40.0, 50, 60]},  # ends inside the axes
        {"a": [50.0, 60], "a label much too long for a column": [40.0, 50]},
    ],
)
def test_otherwise_there_is_a_legend_and_the_axes_keep_their_height(lines: dict[str, list[float]]) -> None:
    figure = figure_of(lines)
    assert legend(figure) == list(lines)
    assert not labels(figure)
    figure.draw_without_rendering()
    assert figure.axes[0].get_position().height * figure.get_figheight() > 1.5


def test_one_line_needs_no_label() -> None:
    figure = figure_of({"only": [1, 2]})
    assert not labels(figure)
    assert not legend(figure)


def test_lines_differ_in_colour_and_in_marker_or_dash() -> None:
    with paper_style():
        looks = [line_look(i) for i in range(20)]
    assert len({look["color"] for look in looks[:10]}) == 10
    assert len({look["marker"] for look in looks[:10]}) == 10
    assert len({(look["color"], look["marker"]) for look in looks}) == 20
    petroff = {to_hex(colour) for colour in matplotlib.color_sequences["petroff10"]}
    assert {to_hex(f"#{look['color'].lstrip('#')}") for look in looks} == petroff
