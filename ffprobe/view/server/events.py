"""``/events``: notifies every open page of the runs that changed, as server-sent events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.concurrency import run_in_threadpool

from ffprobe.view.payload.catalog import Catalog
from ffprobe.view.payload.plain_values import json_bytes

log = logging.getLogger("ffprobe")
LOOK = 0.5
"""Seconds between two looks at the files, so that a commit reaches the page within a second."""
HEARTBEAT = 15.0
"""Seconds after which a page gets a comment although nothing happened, so that it notices a server that is gone."""
MAX_CLIENTS = 32
"""Open pages that are notified at the same time."""
MAX_WAITING = 100
"""Events that wait for a page that does not read them; then its connection is closed, and it connects again."""


class Events:
    """Looks at the files while a page is open, and sends what changed to all pages.

    Args:
        catalog: the runs.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._queues: set[asyncio.Queue[bytes | None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether no further page can be notified."""
        return len(self._queues) >= MAX_CLIENTS

    async def stream(self) -> AsyncIterator[bytes]:
        """The events for one page, until it leaves or the server ends."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_WAITING)
        self._queues.add(queue)
        self._loop = asyncio.get_running_loop()
        try:
            if self._closed:
                return
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._look())
            yield b"retry: 1000\n: connected\n\n"
            while True:
                try:
                    message = await asyncio.wait_for(queue.get(), HEARTBEAT)
                except TimeoutError:
                    message = b": heartbeat\n\n"
                if message is None:
                    return
                yield message
        finally:
            self._queues.discard(queue)

    def announce_job(self, key: str) -> None:
        """Tell all pages that a job has an answer; call it in any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the server has ended
                self._loop.call_soon_threadsafe(self.send, "job", {"job": key})

    def send(self, event: str, document: object) -> None:
        """Send an event to all pages; call it in the event loop."""
        message = b"event: %s\ndata: %s\n\n" % (event.encode(), json_bytes(document))
        for queue in list(self._queues):
            if queue.full():  # it reads too slowly; None ends its stream
                self._queues.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)
            else:
                queue.put_nowait(message)

    def close(self) -> None:
        """End all streams; call it in the event loop."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)

    async def _look(self) -> None:
        while self._queues:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(LOOK)
            if self._closed:
                return
            try:
                changed = await run_in_threadpool(self._catalog.refresh)
            except Exception:  # the next look may succeed
                log.debug("looking at the runs failed", exc_info=True)
                continue
            if changed:
                self.send("runs", changed)
