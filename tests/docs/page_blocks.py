"""The code blocks of a page, and what becomes of each when the page is run from top to bottom.

A page runs in a folder of its own: ``bash`` blocks in a shell, ``python`` blocks in one namespace, ``toml`` and
``json`` blocks are parsed, ``text`` blocks are left alone. A comment right above a block says what is special about it:

    <!-- file: NAME -->      the block is a file; where docs have that file (``steps/x.py``), word for word
    <!-- part of: PATH -->   the block stands in that file, word for word; the page goes on with the whole file
    <!-- run by: PATH -->    another test runs it
    <!-- not run: WHY -->    it cannot be run here
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LANGUAGES = ("bash", "console", "json", "python", "text", "toml")
FENCE = re.compile(r"(?:<!-- (file|part of|run by|not run): ([^\n]+?) -->\n)?^```(\w*)\n(.*?)^```", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """One code block.

    Attributes:
        page: its file.
        line: of its first line, from 1.
        language: after the fence.
        text: between the fences.
        special: ``file``, ``part of``, ``run by``, ``not run``, or empty.
        what: the name, path or reason given there.
    """

    page: Path
    line: int
    language: str
    text: str
    special: str = ""
    what: str = ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The code blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        special, what, language, body = match.groups()
        line = text.count("\n", 0, match.start(4)) + 1
        found.append(Block(page, line, language, body, special or "", what or ""))
    assert len(found) * 2 == len(re.findall(r"^```", text, re.M)), f"{page}: a fence is not closed"
    return found


def run_page(page: Path, folder: Path) -> None:
    """Run every block of a page in ``folder``, top to bottom."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{block}: name one of the languages {', '.join(LANGUAGES)}"
        if block.special in ("not run", "run by"):
            assert block.special == "not run" or (ROOT / block.what).is_file(), f"{block}: there is no {block.what}"
        elif block.special == "part of":
            whole = (page.parent / block.what).read_text(encoding="utf-8")
            assert block.text in whole, f"{block}: not in {block.what}"
            (folder / Path(block.what).name).write_text(whole, encoding="utf-8")
        elif block.special == "file":
            _file(block, folder)
        else:
            _run(block, folder, namespace)


def _file(block: Block, folder: Path) -> None:
    kept = block.page.parent / block.what
    if kept.is_file():
        assert block.text == kept.read_text(encoding="utf-8"), f"{block}: the page and {block.what} differ"
    if block.language == "python":
        compile(block.text, str(block), "exec")
    (folder / Path(block.what).name).write_text(block.text, encoding="utf-8")


def _run(block: Block, folder: Path, namespace: dict[str, Any]) -> None:
    assert block.language != "console", f"{block}: use bash, or say <!-- not run: why --> above it"
    if block.language == "bash":
        said = shell(block.text, folder, str(block))
        assert "was switched off" not in said, f"{block}: {said}"
    elif block.language == "python":
        before = Path.cwd()
        os.chdir(folder)
        try:
            exec(compile(block.text, str(block), "exec"), namespace)
        finally:
            os.chdir(before)
    elif block.language == "toml":
        tomllib.loads(block.text)
    elif block.language == "json":
        json.loads(block.text)


def shell(script: str, cwd: Path, where: str = "", programs: Path | None = None) -> str:
    """What a script printed; it must succeed.

    Args:
        script: for bash.
        cwd: where it runs.
        where: it comes from, for the message.
        programs: the folder whose programs are found first; this environment's unless given.
    """
    path = f"{programs or Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=cwd,
        env={**os.environ, "PATH": path, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{where}\n{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr
