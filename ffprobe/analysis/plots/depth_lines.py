"""One line per layer over epochs or steps, in one panel or several panels with a shared legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import numpy as np

from ffprobe.analysis.plots.figure import DIRECT, line_look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DEPTHS = "viridis"
"""Colour map of many layers, first to last; its order is visible to colour-blind readers and in greyscale."""
MARKED = 6
"""Approximate number of points of a line that get a marker."""
WIDE = 30.0
"""Positive values that span more than this factor get a logarithmic axis if the scale of a panel is ``auto``."""


class Panel(TypedDict):
    """One panel of ``lines_by_depth``, a plain dict.

    Attributes:
        axes: axes to draw on.
        x: positions, ``[points]``.
        y: values, ``[points, layers]``; the line skips NaN values.
        ylabel: label of the vertical axis, with its unit.
        xlabel: label of the horizontal axis; ``epoch`` by default.
        scale: ``linear`` (default), ``log``, or ``auto``: logarithmic if all values are positive and span more than a
            factor of ``WIDE``.
    """

    axes: Axes
    x: Any
    y: Any
    ylabel: str
    xlabel: NotRequired[str]
    scale: NotRequired[str]


def lines_by_depth(figure: Figure, panels: Sequence[Panel]) -> None:
    """Draw one line per layer in each panel, as in the paper's Figures 3 and 5, and one legend for all panels.

    Up to six layers differ in colour, marker and dash pattern, with a legend; more layers are coloured by depth, with a
    colour bar beside the panels. Layers are numbered from 1.

    Args:
        figure: the figure that contains the panels.
        panels: the panels, with the same layers in each.
    """
    from matplotlib.ticker import MaxNLocator

    depth = max(np.shape(panel["y"])[1] for panel in panels)
    looks = depth_looks(depth)
    for panel in panels:
        axes, x, y = panel["axes"], np.asarray(panel["x"], float), np.asarray(panel["y"], float)
        for layer, look in enumerate(looks[: y.shape[1]]):
            known = np.isfinite(y[:, layer])
            count = int(known.sum())
            points = {"marker": "o"} if count == 1 else {}  # a line of one point consists of its marker only
            axes.plot(x[known], y[known, layer], **{**look, **points}, markevery=max(1, -(-count // MARKED)))
        axes.set(xlabel=panel.get("xlabel", "epoch"), ylabel=panel["ylabel"])
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.margins(x=0.03)
        if np.ptp(x) == 0:  # one epoch: no ticks between whole numbers
            axes.set_xlim(x[0] - 1, x[0] + 1)
        if panel.get("scale", "linear") == "log" or (panel.get("scale") == "auto" and spans_wide(y)):
            axes.set_yscale("log")
    if depth <= DIRECT:
        handles = [panels[0]["axes"].plot([], [], **look)[0] for look in looks]
        names = [f"layer {i}" if i == 1 else str(i) for i in range(1, depth + 1)]
        narrow: dict[str, Any] = {"handlelength": 2.2, "columnspacing": 1.0, "handletextpad": 0.4}
        figure.legend(handles, names, loc="outside lower center", ncols=depth, **narrow)
        return
    _bar(figure, [panel["axes"] for panel in panels], depth)


def depth_looks(depth: int) -> list[dict[str, Any]]:
    """Return matplotlib's keywords for the line of each layer, first to last, for custom legends."""
    from matplotlib import colormaps

    if depth <= DIRECT:
        return [line_look(i) for i in range(depth)]
    shades = [0.93 * i / (depth - 1) for i in range(depth)]  # the lightest colours of the map are invisible on white
    plain = {"linestyle": "-", "marker": "", "markersize": 2, "linewidth": 1.0}
    return [{"color": colormaps[DEPTHS](shade), **plain} for shade in shades]


def spans_wide(values: Any) -> bool:
    """Return whether all finite values are positive and the largest is more than ``WIDE`` times the smallest."""
    finite = np.asarray(values, float)
    finite = finite[np.isfinite(finite)]
    return bool(finite.size and finite.min() > 0 and finite.max() > WIDE * finite.min())


def _bar(figure: Figure, axes: Sequence[Axes], depth: int) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.ticker import MaxNLocator

    colours = ListedColormap([look["color"] for look in depth_looks(depth)])
    norm = BoundaryNorm(np.arange(depth + 1) + 0.5, depth)
    ticks = [int(t) for t in MaxNLocator(6, integer=True).tick_values(1, depth) if 1 <= t <= depth]
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=list(axes), label="layer", ticks=ticks, aspect=30, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.minorticks_off()
