"""The numbers of a drawn figure, so that a page can show an interactive chart of the very same figure.

They are read from the artists of a matplotlib figure and not from the analysis: the chart of a plugin's analysis needs
no code of its own, and cannot differ from the figure that is saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ffprobe.analysis.plots.figure_marks import marks_of, numbers, plain_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

MAX_NUMBERS = 100_000
"""Numbers in a figure; a figure with more, such as an image of a large weight matrix, is shown as a picture only."""


def figure_numbers(figure: Figure) -> dict[str, Any] | None:
    """The axes of a figure with everything drawn in them, as plain values; None if there are too many numbers.

    Args:
        figure: a drawn figure, such as that of ``Result.figure``.

    Returns:
        ``size`` (width and height in inches), ``axes`` and ``legend``. Each of the axes has ``title``, ``position``
        (left, bottom, width and height as fractions of the figure), ``xlabel``, ``ylabel``, ``xscale``, ``yscale``,
        ``xlim``, ``ylim``, ``xticks``, ``yticks`` (``at`` and ``label`` of each, None where the ticks follow from the
        limits) and ``marks``, in the order of drawing. The ``kind`` of a mark is ``line``, ``points``, ``bars``,
        ``heat``, ``band`` (a polygon), ``segments``, ``rule`` (a line across the axes) or ``text``; ``figure_marks``
        documents what each has. NaN becomes None. A colour bar is no axes but an entry of ``bars``.
    """
    figure.draw_without_rendering()  # ticks and layout exist only after drawing
    drawn = [axes for axes in figure.axes if axes.get_visible() and not _is_bar(axes) and axes.axison]
    legend = _legend(figure)
    bars = [_bar(axes) for axes in figure.axes if _is_bar(axes)]
    names = {(one["colour"], one["dash"], one["marker"]): one["label"] for one in legend}
    shades = {shade: label for bar in bars for shade, label in bar.pop("labels").items()}
    documents = [_axes(axes, names, shades) for axes in drawn]
    if sum(_count(mark) for axes in documents for mark in axes["marks"]) > MAX_NUMBERS:
        return None
    return {"size": numbers(figure.get_size_inches()), "axes": documents, "legend": legend, "bars": bars}


def _axes(axes: Axes, names: dict[tuple[str, str, str], str], shades: dict[str, str]) -> dict[str, Any]:
    marks = marks_of(axes)
    for mark in marks:
        if mark["kind"] in ("line", "points") and not mark["label"]:
            look = (mark["colour"], mark["dash"], mark["marker"])
            mark["label"] = _end_label(mark, marks) or names.get(look, "") or shades.get(mark["colour"], "")
    titles = [axes.get_title(place) for place in ("left", "center", "right")]
    return {
        "title": plain_label(" ".join(filter(None, titles))),
        "position": numbers(axes.get_position().bounds),
        "xlabel": plain_label(axes.get_xlabel()),
        "ylabel": plain_label(axes.get_ylabel()),
        "xscale": axes.get_xscale(),
        "yscale": axes.get_yscale(),
        "xlim": numbers(axes.get_xlim()),
        "ylim": numbers(axes.get_ylim()),
        "xticks": _ticks(axes.xaxis),
        "yticks": _ticks(axes.yaxis),
        "marks": marks,
    }


def _ticks(axis: Axis) -> list[dict[str, Any]] | None:
    """The ticks that the analysis chose, with their labels; None where matplotlib chose them from the limits."""
    from matplotlib.ticker import FixedLocator

    if not isinstance(axis.get_major_locator(), FixedLocator):
        return None
    places, labels = axis.get_majorticklocs(), [label.get_text() for label in axis.get_majorticklabels()]
    labels += [""] * (len(places) - len(labels))
    return [{"at": float(at), "label": plain_label(label)} for at, label in zip(places, labels, strict=False)]


def _end_label(mark: dict[str, Any], marks: Sequence[dict[str, Any]]) -> str:
    """The text that is written at the last point of a line."""
    points = [(x, y) for x, y in zip(mark["x"], mark["y"], strict=True) if x is not None and y is not None]
    texts = [other for other in marks if other["kind"] == "text" and points]
    return next((str(text["text"]) for text in texts if (text["x"], text["y"]) == points[-1]), "")


def _legend(figure: Figure) -> list[dict[str, str]]:
    """The entries of all legends, each once."""
    from matplotlib.lines import Line2D

    from ffprobe.analysis.plots.figure_marks import line_style

    entries: list[dict[str, str]] = []
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    for legend in filter(None, legends):
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=False):
            label = plain_label(text.get_text())
            style = line_style(handle) if isinstance(handle, Line2D) else {"colour": _face(handle)}
            entry = {"label": label, "colour": "", "dash": "", "marker": "", **style}
            entry = {name: entry[name] for name in ("label", "colour", "dash", "marker")}
            if entry not in entries:
                entries.append(entry)
    return entries


def _face(handle: Any) -> str:
    from matplotlib.colors import to_hex

    for name in ("get_facecolor", "get_edgecolor", "get_color"):
        colours: Any = getattr(handle, name, list)()
        if len(colours):
            first = colours if isinstance(colours, str) or not np.ndim(colours) > 1 else colours[0]
            return to_hex(first)
    return ""


def _is_bar(axes: Axes) -> bool:
    return getattr(axes, "_colorbar", None) is not None  # matplotlib has no public way to ask


def _bar(axes: Any) -> dict[str, Any]:
    """A colour bar: its label, its range, some of its colours, and the label of each colour if it has steps."""
    from matplotlib.colors import BoundaryNorm

    from ffprobe.analysis.plots.figure_marks import colour_steps

    bar = axes._colorbar
    labels: dict[str, str] = {}
    text = plain_label(axes.get_ylabel() or axes.get_xlabel())
    if isinstance(bar.norm, BoundaryNorm):
        edges = bar.norm.boundaries
        shades = colour_steps(bar.cmap, len(edges) - 1)
        labels = {shade: f"{text} {(a + b) / 2:g}" for shade, a, b in zip(shades, edges, edges[1:], strict=False)}
    low, high = numbers([bar.norm.vmin, bar.norm.vmax])
    return {"label": text, "low": low, "high": high, "colours": colour_steps(bar.cmap), "labels": labels}


def _count(mark: dict[str, Any]) -> int:
    return sum(int(np.size(np.array(value, dtype=object))) for value in mark.values() if isinstance(value, list))
