"""The committed page is built from the committed sources."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

VIEW = Path(__file__).parents[3] / "ffprobe" / "view"
SETTINGS = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts")


def test_the_page_is_built_from_these_sources() -> None:
    frontend = VIEW / "frontend"
    files = [path for path in (frontend / "src").rglob("*") if path.is_file()] + [frontend / name for name in SETTINGS]
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(frontend).as_posix(), path) for path in files):
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    recorded = (VIEW / "page" / "source.sha256").read_text().strip()
    assert recorded == digest.hexdigest(), "run `npm ci && npm run build` in ffprobe/view/frontend and commit the page"


def test_the_lock_file_names_no_host() -> None:
    lock = (VIEW / "frontend" / "package-lock.json").read_text()
    assert "resolved" not in json.dumps([list(entry) for entry in json.loads(lock)["packages"].values()])
    assert "registry" not in lock


def test_every_bundled_library_has_its_licence() -> None:
    notices = (VIEW / "page" / "licenses.txt").read_text()
    dependencies = json.loads((VIEW / "frontend" / "package.json").read_text())["dependencies"]
    assert [name for name in dependencies if f"\n{name} " not in notices] == []


def test_the_page_has_no_inline_script_and_needs_no_other_host() -> None:
    page = VIEW / "page"
    html = (page / "index.html").read_text()
    assert html.count("<script") == html.count('src="./app.js"') == 1
    assert "<style" not in html
    assert "http" not in html
    assert {path.name for path in page.iterdir()} == {
        "index.html", "app.js", "app.css", "licenses.txt", "source.sha256",
    }  # fmt: skip
