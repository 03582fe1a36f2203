"""The files of the built front end."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import Response

from ffprobe.view.server.access import refusal

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
"""Media types by ending; no other file is served."""


def page_response(page: Path, name: str) -> Response:
    """A file of the page; 404 for anything that is not directly in its directory.

    Args:
        page: the directory.
        name: name of the file. It is only compared with the names in the directory and never becomes part of a path.
    """
    for file in page.iterdir():
        if file.name == name and file.suffix in TYPES and file.is_file() and not file.is_symlink():
            return Response(file.read_bytes(), media_type=TYPES[file.suffix])
    return refusal(404, "There is no such page.", "Begin at the list of runs.")
