"""The application of the page, and a request to it without a server."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ffprobe.view.payload.catalog import Catalog
from ffprobe.view.server.app import build_app
from ffprobe.view.server.events import Events
from ffprobe.view.server.serve import PAGE
from ffprobe.view.worker.jobs import Jobs

PORT = 4242
TOKEN = "a-token"


@dataclass(frozen=True)
class Reply:
    """What the application answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as a document."""
        return json.loads(self.body)


def ask(app: Any, address: str, *, method: str = "GET", cookie: str | None = TOKEN, **headers: str) -> Reply:
    """Send a request, by default one that has the right cookie and host.

    Args:
        app: the application.
        address: path and query, as in an address.
        method: HTTP method.
        cookie: the token in the cookie; None for no cookie.
        headers: more headers, with ``_`` for ``-``; they replace the usual ones.
    """
    path, _, query = address.partition("?")
    usual = {"host": f"127.0.0.1:{PORT}"}
    if cookie is not None:
        usual["cookie"] = f"other=1; ffprobe_view_{PORT}={cookie}"
    sent = usual | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "server": ("127.0.0.1", PORT), "client": ("127.0.0.1", 1),
    }  # fmt: skip
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    asyncio.run(app(scope, receive, send))
    names = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
    return Reply(messages[0]["status"], names, b"".join(message.get("body", b"") for message in messages[1:]))


def application(*paths: Path, page: Path = PAGE) -> Any:
    """The application for some paths, with its catalog as ``app.catalog``; no server and no worker runs."""
    catalog = Catalog(paths)
    catalog.refresh()
    app: Any = build_app(catalog, Events(catalog), Jobs(), title="runs", token=TOKEN, port=PORT, page=page)
    app.catalog = catalog
    return app
