"""The tutorial's last chapter as it stands: make a package, test it, build a wheel, install it elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from docs.page_blocks import ROOT, blocks, shell
from fresh_environment import fresh_environment

STEPS = ROOT / "docs" / "plugins" / "steps"


@pytest.mark.slow
@pytest.mark.stress  # builds and installs a distribution twice
def test_the_chapter_on_publishing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = blocks(ROOT / "docs" / "plugins" / "tutorial.md")
    build, use = (block.text for block in page if block.what == "tests/docs/test_publishing.py")
    # pip takes from this environment what it would fetch: torch, setuptools
    for name, value in {"NO_INDEX": "1", "NO_BUILD_ISOLATION": "0", "NO_DEPS": "1", "QUIET": "2"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    own = programs(Path(fresh_environment(tmp_path / "own")))
    shutil.copy(STEPS / "normalizer_4.py", tmp_path)
    shell(build, tmp_path, programs=own)
    package = tmp_path / "ffprobe-soft-length"
    assert [wheel.name for wheel in package.glob("dist/*")] == ["ffprobe_soft_length-0.1.0-py3-none-any.whl"]

    line = "python -m venv clean\n"
    assert use.startswith(line)  # what this does, but with the packages of this environment in sight
    fresh_environment(package / "clean")
    shell(use.removeprefix(line), package)
    assert (package / "run.h5").is_file()


def programs(python: Path) -> Path:
    """The folder of an environment with ``pip``, ``pytest`` and ``ffprobe``, whose packages partly lie elsewhere."""
    for name in ("pip", "pytest", "ffprobe"):
        program = python.parent / name
        program.write_text(f'#!/bin/sh\nexec "{python}" -m {name} "$@"\n')
        program.chmod(0o755)
    return python.parent
