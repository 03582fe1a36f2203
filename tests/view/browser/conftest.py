"""A server with small runs, and a real Chromium that looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import find_browser
from view_server import Server

HOSTILE = "x<img src=q onerror=alert(1)>&lt;b‮gnp"
"""A file name that is text and nothing else."""
OPTIONS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
OPTIONS += ["--disable-component-update", "--disable-sync"]
WAIT = 20_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; closed with the module, because its event loop must not run beside other tests."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = find_browser()
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two seeds of one run, and one whose name attacks the page."""
    from ffprobe.testing import toy_run

    folder = tmp_path_factory.mktemp("runs")
    settings = {"recording": {"images": 40}}
    for name, seed in (("first", 0), ("second", 1), (HOSTILE, 2)):
        toy_run(out=folder / f"{name}.h5", settings={**settings, "seed": seed})
    return folder


@pytest.fixture(scope="module")
def server(runs: Path) -> Iterator[Server]:
    """The server of these runs."""
    process = Server(runs)
    yield process
    process.stop()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open an address in a tab of a fresh profile; the test fails if the page logs an error or breaks its policy."""
    contexts: list[Any] = []
    errors: list[str] = []
    allowed: list[str] = []

    def opened(url: str, room: str = "", **options: Any) -> Any:
        context = browser.new_context(**options)
        context.set_default_timeout(WAIT)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: errors.append("a dialog opened") or dialog.dismiss())
        page.goto(url)
        page.get_by_role("heading", level=1).wait_for()
        if room:
            page.goto(url.split("?")[0] + room)
        return page

    opened.allowed = allowed  # type: ignore[attr-defined]  # words of errors that the test provokes
    yield opened
    for context in contexts:
        context.close()
    assert [error for error in errors if not any(words in error for words in allowed)] == []
