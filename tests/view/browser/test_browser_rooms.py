"""The rooms of the page: what they show, the way down to one image, and that everyone can use them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from view_server import eventually, until

ROOMS = ("overview", "curves", "layers", "samples", "sample/test/0", "questions")
COMPARED = ("overview", "curves", "sweep", "questions")


def run_ids(page: Any) -> dict[str, str]:
    """The id of each run by its label."""
    rows = page.evaluate("fetch('/api/runs').then(answer => answer.json())")["runs"]
    return {row["label"]: row["id"] for row in rows}


def go(page: Any, room: str) -> None:
    """Go to a room and wait until it has what it shows."""
    page.goto(page.url.split("#")[0] + room)
    until(page, "!!document.querySelector('h1') && !document.querySelector('.waiting')")


def violations(page: Any) -> list[str]:
    """What axe-core finds; the script is given by the debugger, because the page's policy refuses it."""
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python is not installed")
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8") + ";undefined")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{one['id']}: {node['html'][:120]} {node['failureSummary'][:300]}" for one in found for node in one["nodes"]
    ]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_room(server: Any, open_page: Callable[..., Any], scheme: str) -> None:
    page = open_page(server.url, color_scheme=scheme, reduced_motion="reduce")
    ids = run_ids(page)
    found = {"runs": violations(page)}
    for room in ROOMS:
        go(page, f"#/run/{ids['first']}/{room}")
        found[room] = violations(page)
    for room in COMPARED:
        go(page, f"#/compare/{room}?runs={ids['first']},{ids['second']}")
        found[f"compare {room}"] = violations(page)
    assert {room: problems for room, problems in found.items() if problems} == {}


@pytest.mark.parametrize("width", [390, 1600])
def test_no_room_is_wider_than_the_screen(server: Any, open_page: Callable[..., Any], width: int) -> None:
    page = open_page(server.url, viewport={"width": width, "height": 844})
    ids = run_ids(page)
    rooms = ["#/runs", *(f"#/run/{ids['first']}/{room}" for room in ROOMS[:-1])]
    rooms += [f"#/compare/{room}?runs={','.join(ids.values())}" for room in COMPARED[:-1]]
    wide = []
    for room in rooms:
        go(page, room)
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wide.append(room)
    assert wide == []


def test_the_way_from_the_list_to_the_heat_map_of_one_image(server: Any, open_page: Callable[..., Any]) -> None:
    page = open_page(server.url)
    page.get_by_role("link", name="first").click()
    page.get_by_role("link", name="Samples", exact=True).click()
    wrong = page.locator(".confusion td:not(.diagonal) button", has_text="1").first
    label = wrong.get_attribute("aria-label")
    wrong.click()
    shown = page.locator(".samples .thumbnails .thumb")
    shown.first.wait_for()
    eventually(lambda: shown.count() == int(label.split()[0]))
    shown.first.click()
    table = page.locator("table.goodness")
    table.wait_for()
    layers, labels = table.locator("tbody tr").count(), table.locator("thead th").count() - 1
    assert table.locator("tbody td").count() == layers * labels
    assert labels == 10
    assert table.locator("td.best").count() == layers
    place = page.evaluate("location.hash").removeprefix("#").replace("/run/", "/runs/").replace("/sample/", "/samples/")
    goodness = page.evaluate(f"fetch('/api{place}').then(answer => answer.json())")
    row = goodness["goodness"][-1]
    cells = table.locator("tbody tr").last.locator("td").all_text_contents()
    assert [float(cell.replace("−", "-")) for cell in cells] == pytest.approx(row, rel=6e-3)


def test_a_hostile_name_is_shown_as_text(server: Any, open_page: Callable[..., Any]) -> None:
    page = open_page(server.url)
    link = page.locator(".run-link a", has_text="onerror")
    assert "<img src=q onerror=alert(1)>&lt;b" in link.inner_text()
    assert "‮" not in link.inner_text()
    assert page.locator("main img").count() == 0
    link.click()
    page.locator("h1", has_text="onerror").wait_for()
    eventually(lambda: "<img src=q onerror=alert(1)>" in page.title())
    page.get_by_role("link", name="Curves", exact=True).click()
    page.locator(".chart canvas").first.wait_for()


def test_runs_are_filtered_sorted_and_selected_to_compare(server: Any, open_page: Callable[..., Any]) -> None:
    page = open_page(server.url)
    rows = page.locator("tbody tr")
    eventually(lambda: rows.count() == 3)
    page.get_by_role("button", name="Seed").click()
    eventually(lambda: "onerror" in rows.first.inner_text())  # largest first: seed 2
    page.get_by_role("button", name="Seed").click()
    eventually(lambda: rows.first.locator("a").inner_text() == "first")
    page.get_by_role("searchbox").fill("seed=1")
    until(page, "document.querySelectorAll('tbody tr').length === 1")
    page.get_by_role("checkbox", name="Select second").check()
    page.get_by_role("searchbox").fill("")
    page.get_by_role("checkbox", name="Select first").check()
    page.get_by_role("link", name="Compare 2 selected").click()
    page.get_by_role("heading", name="2 runs compared").wait_for()
    page.get_by_role("link", name="Sweep", exact=True).click()
    page.locator(".parallel svg").wait_for()
    folded = page.locator("tbody tr")
    eventually(lambda: folded.count() == 1)  # two seeds of one run
    assert "first and 1 more" in folded.first.inner_text()


def test_curves_are_read_with_the_keyboard_and_saved(
    server: Any, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    page = open_page(server.url, accept_downloads=True)
    go(page, f"#/run/{run_ids(page)['first']}/curves")
    chart = page.get_by_role("slider", name="Loss.")
    chart.focus()

    def read() -> bool:
        page.keyboard.press("Home")  # before the chart is drawn there is nothing to read
        return str(chart.get_attribute("aria-valuetext")).startswith("Epoch 1, ")

    eventually(read)
    text = chart.get_attribute("aria-valuetext")
    curves = page.evaluate(f"fetch('/api/runs/{run_ids(page)['first']}/curves').then(answer => answer.json())")
    loss = curves["series"]["loss"]["values"]
    assert text.startswith(f"Epoch 1, Layer {len(loss)}: ")
    assert float(text.split(": ")[1]) == pytest.approx(loss[-1][0], rel=6e-4)
    page.get_by_role("button", name="Download Loss").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0] == "epoch,run,layer,loss"
    assert len(lines) == 1 + sum(len(layer) for layer in loss)
    page.get_by_role("button", name="Download Loss").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="SVG").click()
    svg = Path(download.value.path()).read_text()
    assert svg.count('clip-path="url(#area)"') == len(loss)
    page.get_by_role("button", name="Layer 1").click()
    eventually(lambda: page.get_by_role("button", name="Layer 1").get_attribute("aria-pressed") == "false")


def test_a_run_that_is_gone_says_what_to_do(server: Any, open_page: Callable[..., Any]) -> None:
    open_page.allowed.append("404")  # type: ignore[attr-defined]
    page = open_page(server.url, room="#/run/000000000000")
    page.get_by_role("link", name="See the list of runs").click()
    page.get_by_role("heading", name="Runs").wait_for()


def test_the_page_requests_nothing_from_elsewhere(server: Any, open_page: Callable[..., Any]) -> None:
    page = open_page(server.url)
    hosts: list[str] = []
    page.on("request", lambda request: hosts.append(request.url))
    go(page, f"#/run/{run_ids(page)['first']}/samples")
    own = json.loads(json.dumps(page.url)).split("#")[0]
    assert hosts
    assert [url for url in hosts if not url.startswith((own, "data:", "blob:"))] == []
