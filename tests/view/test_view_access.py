"""Who may read the page: only a browser of this machine that knows the token, and only by reading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from asgi import TOKEN, application, ask

from ffprobe.view.server.access import HEADERS, POLICY


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    page = tmp_path_factory.mktemp("page")
    (page / "index.html").write_text("<p>the page</p>")
    (page / "app.js").write_text("1")
    (page / "secret.key").write_text("secret")
    (page / "link.txt").symlink_to("/etc/hostname")
    return application(tmp_path_factory.mktemp("empty"), page=page)


def test_the_token_in_the_address_becomes_a_cookie_that_no_script_and_no_other_site_can_use(app: Any) -> None:
    reply = ask(app, f"/?token={TOKEN}", cookie=None)
    assert (reply.status, reply.headers["location"]) == (303, "/")
    cookie = reply.headers["set-cookie"].lower()
    assert TOKEN in cookie
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in reply.headers["location"]


@pytest.mark.parametrize("cookie", [None, "", "a-toke", "a-token2", "ä", "\x00"])
def test_without_the_token_nothing_is_shown(app: Any, cookie: str | None) -> None:
    for path in ("/", "/app.js", "/api/runs", "/events", "/api/questions/layers"):
        assert ask(app, path, cookie=cookie).status == 403


def test_a_wrong_token_in_the_address_is_refused(app: Any) -> None:
    assert ask(app, "/?token=wrong", cookie=None).status == 403
    assert ask(app, "/api/runs?token=", cookie=None).status == 403


@pytest.mark.parametrize("host", ["evil.example:4242", "127.0.0.1", "127.0.0.1:80", "127.0.0.1:4242.evil.example", ""])
def test_another_host_is_refused_even_with_the_token(app: Any, host: str) -> None:
    assert ask(app, "/api/runs", host=host).status == 421
    assert ask(app, f"/?token={TOKEN}", host=host).status == 421


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_only_reading_is_allowed(app: Any, method: str) -> None:
    reply = ask(app, "/api/runs", method=method)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_requests_that_other_pages_make_are_refused(app: Any, site: str) -> None:
    assert ask(app, "/api/runs", sec_fetch_site=site).status == 403
    assert ask(app, "/api/runs", sec_fetch_site="same-origin").status == 200


@pytest.mark.parametrize("address", ["/", "/app.js", "/api/runs", "/api/runs/nothing", "/nothing.js", "/a/b/c"])
def test_every_answer_has_the_headers_that_protect_it(app: Any, address: str) -> None:
    for cookie in (TOKEN, None):
        reply = ask(app, address, cookie=cookie)
        assert {name: reply.headers.get(name) for name in HEADERS} == HEADERS
    assert "'unsafe" not in POLICY
    assert "default-src 'none'" in POLICY


@pytest.mark.parametrize(
    "address",
    ["/../pyproject.toml", "/%2e%2e/x", "/..%2f..%2fetc%2fpasswd", "/%00", "/secret.key", "/link.txt", "//etc/passwd",
     "/app.js/", "/.", "/api/runs/..%2f..%2fetc", "/api/runs/x/images/test/..%2f1.png"],
)  # fmt: skip
def test_no_address_leads_out_of_the_page(app: Any, address: str) -> None:
    reply = ask(app, address)
    assert reply.status in (404, 307)
    assert b"secret" not in reply.body
    assert b"root:" not in reply.body


def test_files_of_the_page_have_their_type(app: Any, tmp_path: Path) -> None:
    assert ask(app, "/").body == b"<p>the page</p>"
    assert ask(app, "/app.js").headers["content-type"].startswith("text/javascript")
