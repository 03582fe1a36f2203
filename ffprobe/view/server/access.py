"""Who may read the page: a browser on this machine that knows the token. Headers keep everything else out.

The page shows files of this user, so other users of the machine, and other pages in the same browser, must not read it:

- the token, in the address that the command prints, becomes a cookie that no script and no other site can use;
- the ``Host`` header must name this machine, so that a name that an attacker points to 127.0.0.1 (DNS rebinding) fails;
- requests that pages of other origins start are refused, as the browser marks them (``Sec-Fetch-Site``);
- the content security policy allows the page's own files only, and nothing but reading is allowed at all.
"""

from __future__ import annotations

import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self';"
    " form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
"""Headers of every response."""


def new_token() -> str:
    """A random token of 256 bits, as text for an address."""
    return secrets.token_urlsafe(32)


class Access:
    """ASGI middleware that lets through only what may read the page.

    Args:
        app: the application.
        token: the token.
        port: port of the server, which is part of the ``Host`` header.
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app, self._token, self._port = app, token.encode(), port
        self._hosts = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost")}

    @property
    def cookie(self) -> str:
        """Name of the cookie; cookies do not depend on the port, so that two servers need two names."""
        return f"ffprobe_view_{self._port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on with the headers of every response."""
        if scope["type"] != "http":  # no web socket; the server starts without lifespan events
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(name, value) for name, value in message["headers"] if name.decode() not in HEADERS]
                message["headers"] = kept + [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            await send(message)

        await (self._refusal(scope) or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        if len(hosts := headers.get(b"host", [])) != 1 or hosts[0].lower() not in self._hosts:
            return refusal(421, "This server has another name.", "Use the address that `ffprobe view` printed.")
        if scope["method"] not in ("GET", "HEAD"):
            return refusal(405, "The page only reads.", "Use GET or HEAD.", allow="GET, HEAD")
        typed = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=100).get("token", [])
        if any(self._right(token) for token in typed):
            return self._welcome(scope)
        if not any(self._right(token) for token in self._cookies(headers.get(b"cookie", []))):
            what = "The address has no token, or that of another server."
            return refusal(403, what, "Use the whole address that `ffprobe view` printed.")
        site = headers.get(b"sec-fetch-site", [b"none"])[0]
        if scope["path"] != "/" and site not in (b"none", b"same-origin"):
            return refusal(403, "Another page made this request.", "Open the page itself.")
        return None

    def _welcome(self, scope: Scope) -> Response | None:
        """The answer to a request with the token in its address: the page without it, and the cookie."""
        if scope["path"] != "/":
            return None
        response = RedirectResponse("/", status_code=303)
        response.set_cookie(self.cookie, self._token.decode(), httponly=True, samesite="strict", path="/")
        return response

    def _right(self, token: str) -> bool:
        return hmac.compare_digest(token.encode("utf-8", "replace"), self._token)

    def _cookies(self, lines: list[bytes]) -> list[str]:
        tokens = []
        for line in lines:
            try:
                cookies = SimpleCookie(line.decode("latin-1"))
            except CookieError:
                continue
            if self.cookie in cookies:
                tokens.append(cookies[self.cookie].value)
        return tokens


def refusal(status: int, what: str, hint: str, **headers: str) -> JSONResponse:
    """An error as JSON.

    Args:
        status: HTTP status.
        what: what is wrong, a sentence.
        hint: what helps, a sentence.
        headers: more headers.
    """
    return JSONResponse({"error": what, "hint": hint}, status, headers=headers)
