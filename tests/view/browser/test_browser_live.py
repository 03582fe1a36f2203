"""The page while things happen: a run trains, two tabs look, the server stops."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from toy import WORDS
from view_server import Server, eventually, until
from warm.start import program

EPOCHS = 400
"""More than are trained during the test."""
LAST_EPOCH = "Number(document.querySelector('[aria-label^=Loss]').getAttribute('aria-valuemax'))"
"""The last epoch of the chart."""


@pytest.fixture
def training(runs: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run that trains beside the others."""
    words = [*program(), "run", "-d", "digits", *WORDS, "--epochs", str(EPOCHS), "--out", str(runs / "live.h5")]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield process
    process.terminate()
    process.wait(30)


def test_a_run_appears_and_its_curves_grow_while_it_trains(
    server: Server, open_page: Callable[..., Any], training: subprocess.Popen[bytes]
) -> None:
    page = open_page(server.url)
    page.locator(".state.running").wait_for()
    page.get_by_role("link", name="live").click()
    page.get_by_role("link", name="Curves", exact=True).click()
    page.get_by_role("slider", name="Loss.").wait_for()
    before = page.evaluate(LAST_EPOCH)
    until(page, f"{LAST_EPOCH} > {before + 1}")
    other = page.context.new_page()  # a second tab of the same browser, which the first does not disturb
    other.goto(server.url)
    other.locator(".state.running").wait_for()
    first, second = page.evaluate(LAST_EPOCH), other.locator(".state.running").inner_text()
    until(page, f"{LAST_EPOCH} > {first}")
    until(other, f"document.querySelector('.state.running').innerText !== {second!r}")
    training.terminate()
    page.locator(".state.interrupted").wait_for()
    other.locator(".state.interrupted").wait_for()


def test_a_page_whose_server_stopped_says_so_and_keeps_what_it_has(runs: Path, open_page: Callable[..., Any]) -> None:
    open_page.allowed.append("net::ERR_")  # type: ignore[attr-defined]
    server = Server(runs)
    page = open_page(server.url)
    server.stop()
    page.get_by_role("alert").wait_for()
    eventually(lambda: "ffprobe view" in page.get_by_role("alert").inner_text())
    eventually(lambda: page.locator("tbody tr").count() >= 3)
    page.get_by_role("link", name="first").click()
    page.get_by_text("The server has stopped.").first.wait_for()
