"""Files that somebody else made: one bad file never hides the others, and nothing in it reaches the page as code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import pytest
from asgi import application, ask
from hostile_run import EVIL, EVIL_FILE, evil_run

from ffprobe.view.payload.catalog import Catalog, run_id
from ffprobe.view.payload.layer_facts import update_groups


@pytest.fixture
def app(folder: Path) -> Any:
    """A good run beside a damaged file, a file of another program, an empty one and one with hostile names."""
    (folder / "damaged.h5").write_bytes((folder / "toy.h5").read_bytes()[:5000])
    with h5py.File(folder / "other.h5", "w") as file:
        file["x"] = 1
    (folder / "empty.h5").write_bytes(b"")
    evil_run(folder / f"{EVIL_FILE}.h5")
    return application(folder)


def test_one_bad_file_does_not_hide_the_others(app: Any) -> None:
    rows = {row["label"]: row for row in ask(app, "/api/runs").json["runs"]}
    assert {label: row["state"] for label, row in rows.items() if label.isalpha()} == {
        "toy": "finished", "damaged": "damaged", "other": "unreadable", "empty": "damaged"
    }  # fmt: skip
    assert rows["damaged"]["reason"].endswith(".")
    for label in ("damaged", "other", "empty"):
        for rest in ("", "/curves", "/samples", "/layers/0", "/samples/test/0", "/images/test/0.png"):
            reply = ask(app, f"/api/runs/{rows[label]['id']}{rest}")
            assert reply.status == 422, (label, rest, reply.body)
            assert reply.json["error"]


def test_hostile_names_are_sent_as_plain_text_in_ascii(app: Any) -> None:
    listed = ask(app, "/api/runs")
    key = next(row["id"] for row in listed.json["runs"] if row["label"].startswith("evil"))
    for address in ("/api/runs", f"/api/runs/{key}", f"/api/runs/{key}/curves", f"/api/runs/{key}/samples"):
        reply = ask(app, address)
        assert reply.status == 200, reply.body
        assert reply.headers["content-type"] == "application/json"
        assert reply.body.isascii()
        texts = list(_texts(reply.json))
        assert not any(c in text for text in texts for c in "\x1b\x00\u202e\u2028\x9b"), address
    seen = ask(app, f"/api/runs/{key}").json
    assert seen["labels"][0] == EVIL.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")  # as text, for a text node


def test_a_file_that_declares_more_than_it_stores_is_an_error_and_not_a_crash(folder: Path) -> None:
    from store.hostile import unwritten_rows

    evil_run(folder / "many.h5", finish=False)
    unwritten_rows(folder / "many.h5.partial", "metrics")
    app = application(folder)
    for entry in app.catalog.entries():
        if "many" in str(entry.listed.path):
            assert ask(app, f"/api/runs/{entry.id}/curves").status == 422
    assert ask(app, "/api/runs").status == 200


@pytest.mark.parametrize(
    "recorded", [["1-99999999999"], ["0-2"], ["3-1"], ["a-b"], ["1-2"] * 10_000, 7, "1-2", [""], ["٣-٤"]]
)
def test_update_groups_of_a_hostile_file_are_bounded(recorded: Any) -> None:
    class Run:
        attributes = {"update_groups": recorded}

    groups = update_groups(Run(), 3)  # type: ignore[arg-type]
    assert len(groups) <= 256
    assert all(set(group["trains"]) <= {0, 1, 2} for group in groups)


def test_a_run_keeps_its_id_when_it_gets_its_final_name(tmp_path: Path) -> None:
    partial, final = tmp_path / "a.h5.partial", tmp_path / "a.h5"
    assert run_id(partial) == run_id(final) != run_id(tmp_path / "b.h5")
    evil_run(final, finish=False)
    catalog = Catalog([final])
    (key,) = catalog.refresh()
    assert catalog.entry(key).listed.state == "interrupted"
    partial.rename(final)
    assert list(catalog.refresh()) == [key]
    final.unlink()
    assert catalog.refresh() == {key: None}


def _texts(value: Any) -> Any:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from (key, *_texts(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
