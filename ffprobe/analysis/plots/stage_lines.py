"""Lines by layer of what was measured before and after the normalizer, and before training; and their key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ffprobe.analysis.plots.figure import Series, line_by_layer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

Rows = Sequence[tuple[Any, ...]]


def stage_lines(
    axes: Axes,
    runs: Sequence[tuple[str, Rows]],
    value: int,
    untrained: int,
    ylabel: str,
    *,
    error: int | None = None,
) -> None:
    """Draw one measure of recorded layers: a colour per run, filled before and hollow after the normalizer.

    The dotted line is the untrained network's, before the normalizer. Rows of the input (depth 0) are not drawn.

    Args:
        axes: empty.
        runs: label and rows of each run; a row begins with depth, layer and stage (``pre`` or ``post``). An empty label
            draws no label.
        value: index of the measure in a row.
        untrained: index of the measure of the untrained network.
        ylabel: name and unit of the measure.
        error: index of the error bar of ``value``; None for none.
    """
    series: list[Series] = []
    for i, (label, rows) in enumerate(runs):
        for stage, look in (("pre", "line"), ("post", "second")):
            layers = [row for row in rows if row[0] and row[2] == stage]
            x, y, floor = ([row[k] for row in layers] for k in (0, value, untrained))
            line = Series(label=label if stage == "pre" else "", x=x, y=y, colour=i, look=look)
            if error is not None:
                line["error"] = [row[error] for row in layers]
            series.append(line)
            if stage == "pre":
                series.append(Series(label="", x=x, y=floor, colour=i, look="floor"))
    line_by_layer(axes, series, ylabel=ylabel)


def stage_key() -> dict[str, Line2D]:
    """The legend entries of ``stage_lines``, in grey, by their text."""
    from matplotlib.lines import Line2D

    grey: dict[str, Any] = {"color": "0.35", "linewidth": 1, "markersize": 3.6}
    hollow: dict[str, Any] = {"markerfacecolor": "white", "linestyle": (0, (3, 1.5))}
    return {
        "before the normalizer": Line2D([], [], marker="o", **grey),
        "after the normalizer": Line2D([], [], marker="o", **hollow, **grey),
        "before, untrained": Line2D([], [], linestyle=(0, (1, 1.5)), **grey),
    }
