"""Documents of runs as responses; the latest ones are kept until their run changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from ffprobe.view.payload.catalog import Catalog
from ffprobe.view.payload.plain_values import json_bytes

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

MAX_BYTES = 64 << 20
"""Bytes of documents that are kept."""


class Answers:
    """Makes documents of runs, and keeps them while the revision of the run stays.

    Args:
        catalog: the runs.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._kept: OrderedDict[tuple[str, str], tuple[str, bytes]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def of_run(self, key: str, name: str, make: Callable[[RunFile], Any]) -> Response:
        """The document of one run.

        Args:
            key: id of the run.
            name: name of the document, with everything that it depends on.
            make: makes it from the open run, as plain values.

        Raises:
            FileError: there is no such run, or it cannot be read.
        """
        revision = self._catalog.entry(key).revision
        with self._lock:
            kept = self._kept.get((key, name))
            if kept and kept[0] == revision:
                self._kept.move_to_end((key, name))
                return _response(kept[1])
        with self._catalog.opened(key) as run:
            body = json_bytes(make(run))
        self._keep((key, name), revision, body)
        return _response(body)

    def _keep(self, at: tuple[str, str], revision: str, body: bytes) -> None:
        with self._lock:
            if at in self._kept:
                self._size -= len(self._kept.pop(at)[1])
            self._kept[at] = (revision, body)
            self._size += len(body)
            while self._size > MAX_BYTES:
                self._size -= len(self._kept.popitem(last=False)[1][1])


def _response(body: bytes) -> Response:
    return Response(body, media_type="application/json")
