"""The documentation site builds without a warning, and its pages load nothing from another host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from docs.page_blocks import ROOT

sys.path.insert(0, str(ROOT / "docs"))
import generate_reference
import generate_start

LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src"}
"""Tags that make a browser load their address when a page opens."""
RELATIONS = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "modulepreload", "manifest"}
"""Values of ``<link rel>`` that do the same."""


class Loads(HTMLParser):
    """The addresses that a browser loads when it opens a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        relations = set((values.get("rel") or "").split())
        address = values.get("href") if tag == "link" and relations & RELATIONS else values.get(LOADING.get(tag, ""))
        if address:
            self.addresses.append(address)


def loads(html: str) -> list[str]:
    parser = Loads()
    parser.feed(html)
    return parser.addresses


def remote(address: str) -> bool:
    return address.startswith(("http:", "https:", "//"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    pages = sorted(site.glob("**/*.html"))
    assert len(pages) > 60
    for page in pages:
        addresses = loads(page.read_text("utf-8"))
        assert addresses, f"{page.name} loads no style"
        assert [address for address in addresses if remote(address)] == [], page.name
    for style in site.glob("**/*.css"):
        addresses = re.findall(r"(?:url\(|@import\s+)[\"']?([^\"')\s]+)", style.read_text("utf-8"))
        assert [address for address in addresses if remote(address)] == [], style.name


@pytest.mark.slow
def test_every_local_address_of_a_page_exists(site: Path) -> None:
    for page in sorted(site.glob("**/*.html")):
        if page.name == "404.html":  # its addresses are absolute
            continue
        for address in loads(page.read_text("utf-8")):
            if not address.startswith("data:"):
                assert (page.parent / address.partition("?")[0].partition("#")[0]).exists(), f"{page.name}: {address}"


@pytest.mark.slow
@pytest.mark.parametrize("role", generate_reference.ROLES)
def test_the_reference_of_a_role_has_each_of_its_names_with_a_text(role: str, site: Path) -> None:
    html = (site / "reference" / f"{role}.html").read_text("utf-8")
    paths = generate_reference.public_names()
    for name in generate_reference.names_of(role):
        assert f'id="{paths[name]}"' in html, name


@pytest.mark.slow
def test_the_start_page_shows_its_picture(site: Path) -> None:
    pictures = [address for address in loads((site / "index.html").read_text("utf-8")) if address.endswith(".svg")]
    assert "gallery/layers-digits.svg" in pictures


@pytest.mark.parametrize(
    ("html", "addresses"),
    [
        ('<script src="https://a.b/c.js"></script>', ["https://a.b/c.js"]),
        ('<link rel="preload stylesheet" href="//a.b/c.css">', ["//a.b/c.css"]),
        ('<a href="https://a.b/">a link</a><link rel="canonical" href="https://a.b/">', []),
    ],
)
def test_what_a_browser_loads_is_found(html: str, addresses: list[str]) -> None:
    assert loads(html) == addresses
    assert all(remote(address) for address in addresses)


def test_every_public_name_is_on_the_page_of_exactly_one_role() -> None:
    names = [name for role in generate_reference.ROLES for name in generate_reference.names_of(role)]
    assert sorted(names) == sorted(set(names))
    assert set(names) == set(generate_reference.public_names())


def test_the_stub_and_the_package_have_the_same_public_names() -> None:
    import ffprobe

    assert set(generate_reference.public_names()) == set(ffprobe.__all__)


def test_links_of_the_readme_lead_to_pages_of_the_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_start, "ROOT", tmp_path)
    (tmp_path / "README.md").write_text(
        '# A\n\n<img src="docs/a.svg">\n[b](docs/b/c.md) [d](https://e.f/) [g](#h) [LICENSE](LICENSE) [law](LICENSE)\n'
    )
    assert generate_start.start_page("note\n\n") == (
        '# A\n\nnote\n\n<img src="a.svg">\n[b](b/c.md) [d](https://e.f/) [g](#h) `LICENSE` law (`LICENSE`)\n'
    )
