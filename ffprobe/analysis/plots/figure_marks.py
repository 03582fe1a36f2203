"""The artists of one matplotlib axes as marks: plain values with the numbers and the look of each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.lines import Line2D

DIGITS = 7
"""Significant digits of a number, those of float32."""
STEPS = 32
"""Colours of a colour map that a page gets; it interpolates between them."""


def marks_of(axes: Axes) -> list[dict[str, Any]]:
    """Everything that is drawn in the axes, in the order of drawing.

    Each mark has ``kind``, ``label`` (empty without one) and ``colour`` (``#rrggbb`` or ``#rrggbbaa``), and:

    - ``line``: ``x``, ``y``, ``dash`` (``solid``, ``dashed``, ``dotted``), ``marker`` (matplotlib's, or empty),
      ``filled`` (of the markers), ``step`` (``pre``, ``mid``, ``post`` or empty), and ``yerror`` or ``xerror``: pairs
      of the low and the high end of each error bar;
    - ``points``: the same without a line between them;
    - ``bars``: ``x``, ``y`` (lower left corner), ``width`` and ``height`` of each bar;
    - ``heat``: ``z`` (rows of a matrix, first row at the top of ``extent``), ``zmin``, ``zmax``, ``colours``,
      ``extent`` (left, right, bottom, top);
    - ``band``: ``x`` and ``y`` of the corners of an area;
    - ``segments``: ``x0``, ``y0``, ``x1``, ``y1`` of each;
    - ``rule``: ``axis`` (``x``: vertical, ``y``: horizontal), ``at``, ``dash``;
    - ``text``: ``text``, ``x``, ``y``, ``frame`` (``data``; ``axes`` for fractions of the axes; ``axes-x`` and
      ``axes-y`` for a fraction in one direction and data in the other).
    """
    from matplotlib.collections import Collection
    from matplotlib.container import BarContainer, ErrorbarContainer
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.text import Text

    parts: set[int] = set()  # artists that belong to a container
    marks: list[tuple[float, dict[str, Any]]] = []
    mark: dict[str, Any] | None
    container: Any
    for container in axes.containers:
        if isinstance(container, ErrorbarContainer):
            line, caps, ends = container
            parts |= {id(artist) for artist in (line, *caps, *ends) if artist is not None}
            mark = _line(line, _shown(container.get_label())) if line is not None else None
            if mark is not None:
                marks.append((line.get_zorder(), mark | _errors(container)))
        elif isinstance(container, BarContainer):
            parts |= {id(patch) for patch in container.patches}
            marks.append((1.0, _bars(container)))
    for artist in axes.get_children():
        if id(artist) in parts or artist is axes.patch or not artist.get_visible():
            continue
        mark = None
        if isinstance(artist, Line2D):
            mark = _rule(axes, artist) or _line(artist)
        elif isinstance(artist, AxesImage):
            mark = _heat(artist)
        elif isinstance(artist, Collection):
            mark = _collection(artist)
        elif isinstance(artist, Text):
            mark = _text(axes, artist)
        elif isinstance(artist, Patch) and artist not in axes.spines.values():
            mark = _patch(axes, artist)
        if mark is not None:
            marks.append((artist.get_zorder(), mark))
    return [mark for _, mark in sorted(marks, key=lambda pair: pair[0])]


def numbers(values: Iterable[Any]) -> list[Any]:
    """Numbers as floats, with None for NaN and infinities; nested lists for a matrix."""
    array: np.ndarray = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)
    if array.ndim > 1:
        return [numbers(row) for row in array]
    return [float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None for value in array]


def plain_label(text: str) -> str:
    r"""A label as it is read: ``new_figure`` writes a dollar sign as ``\$``."""
    return text.replace(r"\$", "$")


def colour_steps(colours: Colormap, count: int = STEPS) -> list[str]:
    """Evenly spaced colours of a map, first to last."""
    from matplotlib.colors import to_hex

    return [to_hex(colours(step)) for step in np.linspace(0, 1, count)]


def line_style(line: Line2D) -> dict[str, Any]:
    """Colour, dash and marker of a line."""
    from matplotlib.colors import to_hex

    style = line.get_linestyle()
    dash = {"-": "solid", "--": "dashed", ":": "dotted", "-.": "dashed"}.get(str(style), "")
    pattern = getattr(line, "_unscaled_dash_pattern", (0, None))[1]  # get_linestyle returns "--" for every pattern
    if dash == "dashed" and pattern:
        dash = "dotted" if pattern[0] <= 1.2 else "dashed"
    marker = line.get_marker()
    marker = "" if marker in (None, "", " ", "None", "none") else str(marker)
    face = line.get_markerfacecolor()
    filled = not (isinstance(face, str) and face in ("none", "white", "w"))
    return {"colour": to_hex(line.get_color(), keep_alpha=False), "dash": dash, "marker": marker, "filled": filled}


def _shown(label: object) -> str:
    """A label that a reader sees; matplotlib begins others with an underscore."""
    text = str(label)
    return "" if text.startswith("_") or text == "None" else plain_label(text)


def _line(line: Line2D, label: str = "") -> dict[str, Any] | None:
    data: Any = line.get_data(orig=False)
    x, y = numbers(data[0]), numbers(data[1])
    style = line_style(line)
    if not len(x) or not (style["dash"] or style["marker"]):
        return None  # a handle of a legend
    step = {"steps": "pre", "steps-pre": "pre", "steps-mid": "mid", "steps-post": "post"}.get(line.get_drawstyle(), "")
    kind = "line" if style["dash"] else "points"
    label = label or _shown(line.get_label())
    return {"kind": kind, "label": label, **style, "step": step, "x": x, "y": y}


def _errors(container: Any) -> dict[str, Any]:
    """The ends of error bars, by axis."""
    ends: dict[str, Any] = {}
    for lines in container[2]:
        for segment in lines.get_segments()[:1]:
            axis = 1 if len(segment) == 2 and segment[0][0] == segment[1][0] else 0
            pairs = [numbers([s[0][axis], s[1][axis]]) if len(s) == 2 else [None, None] for s in lines.get_segments()]
            ends["yerror" if axis else "xerror"] = pairs
    return ends


def _rule(axes: Axes, line: Line2D) -> dict[str, Any] | None:
    """A line across the axes, as ``axhline`` and ``axvline`` draw it."""
    for axis, transform in (("y", axes.get_yaxis_transform()), ("x", axes.get_xaxis_transform())):
        if line.get_transform() == transform:
            data: Any = line.get_ydata() if axis == "y" else line.get_xdata()
            at = numbers(data)[0]
            return {"kind": "rule", "label": _shown(line.get_label()), **line_style(line), "axis": axis, "at": at}
    return None


def _bars(container: Any) -> dict[str, Any]:
    from matplotlib.colors import to_hex

    boxes = [patch.get_bbox() for patch in container.patches]
    colours = [to_hex(patch.get_facecolor()) for patch in container.patches]
    corners = {"x": [b.x0 for b in boxes], "y": [b.y0 for b in boxes]}
    sizes = {"width": [b.width for b in boxes], "height": [b.height for b in boxes]}
    mark: dict[str, Any] = {"kind": "bars", "label": _shown(container.get_label())}
    mark |= {"colour": colours[0] if colours else "", "colours": colours}
    return mark | {name: numbers(values) for name, values in (corners | sizes).items()}


def _heat(image: Any) -> dict[str, Any] | None:
    data = image.get_array()
    if data is None or np.ndim(data) != 2:
        return None
    left, right, bottom, top = image.get_extent()
    if image.origin == "lower":
        bottom, top = top, bottom
    low, high = image.get_clim()
    mark = {"kind": "heat", "label": "", "colour": "", "z": numbers(data), "colours": colour_steps(image.get_cmap())}
    return mark | {"zmin": float(low), "zmax": float(high), "extent": numbers([left, right, bottom, top])}


def _collection(artist: Any) -> dict[str, Any] | None:
    from matplotlib.collections import LineCollection, PathCollection
    from matplotlib.colors import to_hex, to_rgba_array

    label = _shown(artist.get_label())
    if isinstance(artist, PathCollection):
        points: np.ndarray = np.ma.filled(np.ma.asarray(artist.get_offsets(), dtype=float), np.nan).reshape(-1, 2)
        colours: Any = [to_hex(tuple(colour)) for colour in np.atleast_2d(to_rgba_array(artist.get_facecolor()))]
        look = {"colour": colours[0] if colours else "", "dash": "", "marker": "o", "filled": True, "step": ""}
        more = {"colours": colours} if len(colours) == len(points) and len(set(colours)) > 1 else {}
        x, y = numbers(points[:, 0]), numbers(points[:, 1])
        return {"kind": "points", "label": label, **look, "x": x, "y": y, **more}
    if isinstance(artist, LineCollection):
        # a line of several points, such as a branch of a tree, is a segment between each two of them
        segments = [pair for line in artist.get_segments() for pair in pairwise(line)]
        ends = np.array(segments, float).reshape(-1, 4)
        colours = np.atleast_2d(to_rgba_array(artist.get_color()))
        mark = {"kind": "segments", "label": label, "colour": to_hex(tuple(colours[0])) if len(colours) else ""}
        return mark | {name: numbers(ends[:, i]) for i, name in enumerate(("x0", "y0", "x1", "y1"))}
    paths, faces = artist.get_paths(), artist.get_facecolor()
    if not paths or not len(faces):
        return None
    corners = np.concatenate([np.vstack([path.vertices, [np.nan, np.nan]]) for path in paths])
    colour = to_hex(faces[0], keep_alpha=True)
    return {"kind": "band", "label": label, "colour": colour, "x": numbers(corners[:, 0]), "y": numbers(corners[:, 1])}


def _text(axes: Axes, text: Any) -> dict[str, Any] | None:
    from matplotlib.colors import to_hex
    from matplotlib.text import Annotation

    if not text.get_text() or text in (axes.title, axes._left_title, axes._right_title):  # type: ignore[attr-defined]
        return None
    frames = {"axes": axes.transAxes, "axes-x": axes.get_yaxis_transform(), "axes-y": axes.get_xaxis_transform()}
    frame = next((name for name, transform in frames.items() if text.get_transform() == transform), "data")
    x, y = text.get_position()
    if isinstance(text, Annotation):
        (x, y), words = text.xy, text.xycoords if isinstance(text.xycoords, tuple) else (text.xycoords, text.xycoords)
        fractions = {(True, True): "axes", (True, False): "axes-x", (False, True): "axes-y"}
        frame = fractions.get((words[0] == "axes fraction", words[1] == "axes fraction"), "data")
        frame = next((name for name, transform in frames.items() if text.xycoords == transform), frame)
    at = numbers([x, y])
    mark = {"kind": "text", "label": "", "colour": to_hex(text.get_color()), "text": plain_label(text.get_text())}
    return mark | {"x": at[0], "y": at[1], "frame": frame}


def _patch(axes: Axes, patch: Any) -> dict[str, Any] | None:
    from matplotlib.colors import to_hex

    if not (patch.get_fill() or patch.get_linewidth()):
        return None
    corners = (patch.get_transform() - axes.transData).transform_path(patch.get_path()).vertices
    face = patch.get_facecolor()
    colour = to_hex(face if patch.get_fill() else patch.get_edgecolor(), keep_alpha=True)
    mark = {"kind": "band", "label": _shown(patch.get_label()), "colour": colour, "outline": not patch.get_fill()}
    return mark | {"x": numbers(corners[:, 0]), "y": numbers(corners[:, 1])}
