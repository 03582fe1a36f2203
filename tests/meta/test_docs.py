"""What README and docs say is run, and generated pages are fresh."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli.program import ffprobe
from toy import WORDS

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of one language in a page, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)


def shell(script: str, cwd: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=cwd,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_readme_runs_as_it_stands(tmp_path: Path) -> None:
    for script in blocks("README.md", "bash"):
        shell(script, tmp_path)
    assert (tmp_path / "layers.png").exists()
    use, plugin = blocks("README.md", "python")
    assert len(use.splitlines()) <= 10
    (tmp_path / "use.py").write_text(use)
    shell("python use.py", tmp_path)
    (tmp_path / "powernorm.py").write_text(plugin)
    done = ffprobe("run", "--plugin", "./powernorm.py:exponent=0.7", *WORDS, cwd=tmp_path)
    assert done.code == 0, done.err


def test_the_plugins_of_the_docs_run(tmp_path: Path) -> None:
    doubler, norms = blocks("docs/plugins.md", "python")
    (tmp_path / "doubler.py").write_text(doubler)
    (tmp_path / "weight_norms.py").write_text(norms)
    words = ["--plugin", "./doubler.py", "--plugin", "./weight_norms.py"]
    done = ffprobe("run", *words, *WORDS, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "switched off" not in done.err
    answer = ffprobe("analyze", "./weight_norms.py", "run.h5", "--json", cwd=tmp_path)
    assert len(answer.json["rows"]) == 3


def test_generated_pages_are_fresh() -> None:
    import generate

    assert generate.stale() == []


@pytest.mark.parametrize(
    "page", ["README.md", *sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob("docs/**/*.md"))]
)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text(encoding="utf-8")):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"
