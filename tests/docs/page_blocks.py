"""The code blocks of a page, and how to run a page from top to bottom.

A page runs in a folder of its own: ``bash`` blocks in a shell, ``python`` blocks in one namespace, ``toml`` and
``json`` blocks are parsed, ``text`` blocks are ignored. A comment directly above a block marks a special one:

    <!-- file: NAME -->      the block is a file; if docs/ has that file (``steps/x.py``), both are equal
    <!-- part of: PATH -->   the block is a part of that file; later blocks use the whole file
    <!-- run by: PATH -->    another test runs the block
    <!-- not run: WHY -->    the block cannot run here
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

from warm import start

ROOT = Path(__file__).parents[2]
LANGUAGES = ("bash", "console", "json", "python", "text", "toml")
FENCE = re.compile(r"(?:<!-- (file|part of|run by|not run): ([^\n]+?) -->\n)?^```(\w*)\n(.*?)^```", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """One code block.

    Attributes:
        page: file of the page.
        line: number of the first line, from 1.
        language: word after the opening fence.
        text: text between the fences.
        special: ``file``, ``part of``, ``run by``, ``not run``, or empty.
        what: the name, path or reason in the comment.
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
    result = []
    for match in FENCE.finditer(text):
        special, what, language, body = match.groups()
        line = text.count("\n", 0, match.start(4)) + 1
        result.append(Block(page, line, language, body, special or "", what or ""))
    assert len(result) * 2 == len(re.findall(r"^```", text, re.M)), f"{page}: a fence is not closed"
    return result


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
        output = shell(block.text, folder, str(block))
        assert "was switched off" not in output, f"{block}: {output}"
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
    """Run a script, which must succeed, and return what it printed.

    Args:
        script: text for bash.
        cwd: working directory.
        where: page and line of the script, for the message of a failure.
        programs: folder whose programs are found first; default: a warm ``ffprobe`` (``warm/server.py``), then the
            programs of this environment.
    """
    folders = [programs] if programs else [start.programs(), Path(sys.executable).parent]
    path = os.pathsep.join(map(str, [*folders, os.environ["PATH"]]))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=cwd,
        env={**os.environ, "PATH": path, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{where}\n{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr
