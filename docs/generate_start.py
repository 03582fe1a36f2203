"""The start page of the site: the README with its links turned to the site's pages."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def start_page(note: str) -> str:
    """The README as ``docs/index.md``; a link to a file outside of docs/ becomes its path in code type."""
    text = (ROOT / "README.md").read_text("utf-8")
    title, _, rest = text.partition("\n\n")
    body = LINK.sub(_link, rest).replace('src="docs/', 'src="')
    return f"{title}\n\n{note}{body}"


def _link(match: re.Match[str]) -> str:
    mark, words, target = match.groups()
    if "://" in target or target.startswith("#"):
        return match.group(0)
    if target.startswith("docs/"):
        return f"{mark}[{words}]({target.removeprefix('docs/')})"
    return f"`{target}`" if words == target else f"{words} (`{target}`)"
