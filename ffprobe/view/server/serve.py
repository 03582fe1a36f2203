"""Starts the server on a free port of this machine, and ends it."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from ffprobe.errors import FfprobeError, Interrupted
from ffprobe.view.payload.catalog import Catalog
from ffprobe.view.server.access import new_token
from ffprobe.view.server.app import build_app
from ffprobe.view.server.events import Events
from ffprobe.view.worker.jobs import Jobs

HOST = "127.0.0.1"
"""The loopback interface: no other machine can connect."""
PAGE = Path(__file__).parents[1] / "page"
END = 1
"""Seconds that open requests get when the server ends."""


@dataclass(frozen=True)
class Address:
    """Where the page is.

    Attributes:
        port: port of the server.
        token: what a browser must know.
    """

    port: int
    token: str

    @property
    def url(self) -> str:
        """The whole address with the token."""
        return f"http://{HOST}:{self.port}/?token={self.token}"


def serve(
    paths: Sequence[Path], *, title: str, port: int = 0, ready: Callable[[Address], None], page: Path = PAGE
) -> None:
    """Serve the page until a signal ends it.

    Args:
        paths: run files and directories.
        title: title of the page.
        port: port; 0 for a free one.
        ready: called with the address when the server accepts connections.
        page: directory of the built front end.

    Raises:
        FfprobeError: the port is in use.
        Interrupted: a signal ended the server.
    """
    catalog = Catalog(paths)
    with _bound(port) as listening:
        address = Address(listening.getsockname()[1], new_token())
        events = Events(catalog)
        jobs = Jobs(events.announce_job)
        app = build_app(catalog, events, jobs, title=title, token=address.token, port=address.port, page=page)
        config = uvicorn.Config(
            app, log_level="error", access_log=False, lifespan="off", ws="none", http="h11", loop="asyncio",
            server_header=False, date_header=False, proxy_headers=False, timeout_graceful_shutdown=END, log_config=None,
        )  # fmt: skip
        server = _Server(config, events, lambda: ready(address))
        before = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            server.run(sockets=[listening])  # raises the signal again after everything is closed
        finally:
            jobs.close()
            for number, handler in before.items():
                signal.signal(number, handler)


class _Server(uvicorn.Server):
    """Ends the event streams first, as they would never end by themselves."""

    def __init__(self, config: uvicorn.Config, events: Events, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._events, self._ready = events, ready
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._events.close)


def _interrupt(number: int, frame: Any) -> None:
    raise Interrupted("The view was stopped.", signal_number=number)


def _bound(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise FfprobeError(
            f"The port {port} cannot be used: {reason}.", hint="Choose another with --port, or none for a free one."
        ) from error
    return listening
