"""A figure as an SVG image of bounded size in a ``data:`` URL, for an HTML page that loads no other file."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

MAX_MARKS = 2000
"""An artist with more points, cells or paths is rasterized inside the SVG."""
RASTER_DPI = 150
"""Resolution of rasterized artists; everything else is vector graphics."""


def svg_data_url(figure: Figure) -> str:
    """Encode a figure as ``data:image/svg+xml;base64,...``; the same figure gives the same text.

    Text stays text, set in a font of the reader's system. Artists with more than ``MAX_MARKS`` marks are rasterized,
    which bounds the size of the page. The background is white, as an ``<img>`` does not inherit the page's colours.

    Args:
        figure: from ``new_figure``.
    """
    from ffprobe.analysis.plots.figure import paper_style

    for artist in figure.findobj():
        if _marks(artist) > MAX_MARKS:
            artist.set_rasterized(True)
    svg = io.BytesIO()
    with paper_style():
        figure.savefig(svg, format="svg", dpi=RASTER_DPI, metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.getvalue()).decode('ascii')}"


def _marks(artist: Artist) -> int:
    """Number of marks that the artist would add to an SVG."""
    import numpy as np
    from matplotlib.collections import Collection, QuadMesh
    from matplotlib.lines import Line2D

    if isinstance(artist, QuadMesh):
        cells = artist.get_array()
        return 0 if cells is None else int(cells.size)
    if isinstance(artist, Collection):
        return max(len(artist.get_paths()), np.size(artist.get_offsets()) // 2)
    if isinstance(artist, Line2D):
        points, marked = np.size(artist.get_xdata()), artist.get_marker() not in ("", " ", "None", None)
        return points if marked else points // 10
    return 0
