"""A figure as SVG that can stand inside a page: named for screen readers, with ids of its own, of bounded size."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
MOST_MARKS = 2000
"""An artist of more points, cells or paths is drawn as a picture inside the SVG."""
PICTURE_DPI = 150
"""Of pictures inside the SVG; the rest has no resolution."""
_FOREIGN = re.compile(r"\{(?!http://www\.w3\.org/(2000/svg|1999/xlink)\})")


def inline_svg(figure: Figure, prefix: str, title: str, description: str) -> str:
    """The figure as an ``<svg>`` element for an HTML page; the same figure gives the same text.

    Text stays text. Artists of more than ``MOST_MARKS`` marks are rasterized, which bounds the page's size.

    Args:
        figure: from ``new_figure``.
        prefix: put before every id, so that figures of one page do not take each other's clip paths.
        title: in words; becomes the accessible name.
        description: longer; read to those who cannot see the figure.
    """
    from ffprobe.analysis.plots.figure import paper_style

    for artist in figure.findobj():
        if _marks(artist) > MOST_MARKS:
            artist.set_rasterized(True)
    written = io.BytesIO()
    with paper_style():
        figure.savefig(written, format="svg", dpi=PICTURE_DPI, metadata={"Date": None})
    root = ET.fromstring(written.getvalue())
    _strip(root)
    _rename(root, prefix)
    for name, text in (("desc", description), ("title", title)):
        element = ET.Element(f"{{{SVG}}}{name}", {"id": f"{prefix}-{name}"})
        element.text = text
        root.insert(0, element)
    root.attrib |= {"role": "img", "aria-label": title, "aria-describedby": f"{prefix}-desc"}
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    return ET.tostring(root, encoding="unicode")


def _marks(artist: Artist) -> int:
    """How many marks the artist would leave in an SVG."""
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


def _strip(root: ET.Element) -> None:
    """Leave out what belongs to a file, not to a page: metadata, and a style sheet that would rule the whole page."""
    for parent in list(root.iter()):
        for child in list(parent):
            foreign = not isinstance(child.tag, str) or _FOREIGN.match(child.tag)
            if foreign or child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    for name in ("version", "width", "height"):  # the page says how large it is; viewBox keeps its proportions
        root.attrib.pop(name, None)


def _rename(root: ET.Element, prefix: str) -> None:
    """Put the prefix before every id and every reference to one."""
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, f"{prefix}-{value}")
            elif name in ("href", f"{{{XLINK}}}href") and value.startswith("#"):
                element.set(name, f"#{prefix}-{value[1:]}")
            elif "url(#" in value:
                element.set(name, value.replace("url(#", f"url(#{prefix}-"))
