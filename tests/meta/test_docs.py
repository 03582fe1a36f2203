"""Generated pages are fresh, and links lead to existing files; tests/docs runs the code blocks."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))


def test_generated_pages_are_fresh() -> None:
    import generate

    assert generate.stale() == []


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        *sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob("docs/**/*.md")),
    ],
)
def test_links_lead_to_existing_files(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in [*re.findall(r"\]\(([^)#]+)[^)]*\)", text), *re.findall(r'<img src="([^"]+)"', text)]:
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"
