"""Heat maps: a matrix as colours and numbers, in the paper's style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

SEQUENTIAL, DIVERGING = "cividis", "RdBu_r"
"""Colour maps whose order is visible to colour-blind readers; that of the first also in greyscale."""
MAX_FONT, MIN_FONT = 7.0, 4.5
"""Font sizes of the numbers in cells, in points; if the smallest does not fit, cells have no numbers."""
GAP = 8.0
"""Space that a tick label needs, in points; if cells are smaller, only some of them are labelled."""


def heat_map(
    axes: Axes,
    values: Any,
    rows: Sequence[str],
    columns: Sequence[str],
    label: str,
    *,
    centre: float | None = None,
    limits: tuple[float, float] | None = None,
    numbers: str | None = ".2f",
    bar: bool = True,
    square: bool = False,
    xlabel: str = "",
    ylabel: str = "",
) -> AxesImage:
    """Draw a matrix, row 0 at the top.

    Call it inside ``Result.draw`` after all axes of the figure are created and its size is set: the size of the axes at
    that time determines whether numbers fit. NaN cells are grey and hatched, without a number.

    Args:
        axes: axes to draw on.
        values: float ``[rows, columns]``; NaN for values that were not measured.
        rows: label of each row.
        columns: label of each column.
        label: label of the colour bar, with the unit.
        centre: a neutral value from which the colours diverge, with the same range on both sides.
        limits: values of the first and the last colour; the minimum and maximum of ``values`` by default. With a
            centre, they are widened to be symmetric around it.
        numbers: format of the number in each cell; None for no numbers. Omitted if cells are too small.
        bar: whether to add a colour bar to the axes; False if several axes share one.
        square: whether cells are squares, for a matrix whose rows and columns are the same things.
        xlabel: label of the horizontal axis.
        ylabel: label of the vertical axis.

    Returns:
        The image, for a colour bar that several axes share.

    Raises:
        ValueError: the shape does not match the labels.
    """
    from matplotlib import colormaps

    matrix = np.asarray(values, float)
    if matrix.shape != (len(rows), len(columns)):
        raise ValueError(f"A heat map of {len(rows)} rows and {len(columns)} columns got the shape {matrix.shape}.")
    least, most = _limits(matrix, centre, limits)
    image = axes.imshow(
        np.ma.masked_invalid(matrix),
        cmap=colormaps[SEQUENTIAL if centre is None else DIVERGING].with_extremes(bad=(0, 0, 0, 0)),
        vmin=least,
        vmax=most,
        aspect="equal" if square else "auto",
        interpolation="nearest",
    )
    axes.patch.set(facecolor="0.93", edgecolor="0.6", hatch="////", linewidth=0)  # visible through NaN cells
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    if square:  # so that a colour bar is as high as the matrix, not as the available space
        axes.figure.set_layout_engine("compressed")  # type: ignore[union-attr]
    if bar:
        axes.figure.colorbar(image, ax=axes, label=label).outline.set_visible(False)
    wide, high = _cell(axes)
    if sum(len(name) * 4.2 + 4 for name in columns) > wide * len(columns):
        axes.tick_params(axis="x", labelrotation=90)
        _thin(axes, "x", columns, wide)
    _thin(axes, "y", rows, high)
    if numbers is not None:
        _write(axes, image, matrix, numbers, *_cell(axes))
    return image


def _limits(matrix: np.ndarray, centre: float | None, limits: tuple[float, float] | None) -> tuple[float, float]:
    finite = matrix[np.isfinite(matrix)]
    low, high = limits or ((float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0))
    if centre is not None:
        distance = max(abs(low - centre), abs(high - centre)) or 1.0
        return centre - distance, centre + distance
    return low, high


def _cell(axes: Axes) -> tuple[float, float]:
    """Width and height of a cell in points, in the current layout of the figure."""
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    (left, bottom), (right, top) = axes.transData.transform([(0, 1), (1, 0)])
    point = axes.figure.dpi / 72
    return float(right - left) / point, float(top - bottom) / point


def _thin(axes: Axes, axis: str, labels: Sequence[str], space: float) -> None:
    """Label every n-th cell so that the labels do not overlap."""
    step = math.ceil(GAP / max(space, 1e-6))
    if step > 1:
        getattr(axes, f"set_{axis}ticks")(range(0, len(labels), step), labels[::step])


def _write(axes: Axes, image: AxesImage, matrix: np.ndarray, numbers: str, wide: float, high: float) -> None:
    """Write the numbers in black or white, whichever has more contrast; none if the longest does not fit."""
    texts = {(i, j): format(v, numbers) for (i, j), v in np.ndenumerate(matrix) if np.isfinite(v)}
    longest = max(map(len, texts.values()), default=1)
    size = min(MAX_FONT, 0.9 * wide / (0.6 * longest), 0.8 * high)  # a digit is 0.6 of the font size wide
    if size < MIN_FONT:
        return
    colours = image.to_rgba(np.ma.masked_invalid(matrix))
    for (i, j), text in texts.items():
        luminance = float(colours[i, j, :3] ** 2.2 @ (0.2126, 0.7152, 0.0722))
        axes.text(j, i, text, ha="center", va="center", fontsize=size, color="black" if luminance > 0.18 else "white")
