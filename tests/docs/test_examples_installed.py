"""The worked examples installed, and used with the commands of their pages, in an environment of their own."""

from __future__ import annotations

import importlib.util
import json
import shlex
from pathlib import Path

import pytest
from docs.page_blocks import ROOT, blocks
from fresh_environment import call, call_all, fresh_environment

EXAMPLES = sorted(path.parent for path in (ROOT / "docs" / "examples").glob("*/pyproject.toml"))


@pytest.mark.slow
def test_the_examples_install_and_their_commands_run(tmp_path: Path) -> None:
    python = fresh_environment(tmp_path / "venv")
    # what pip builds beside the sources must not stay in docs/
    folders = [str(copy(folder, tmp_path / "examples")) for folder in EXAMPLES]
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    call(python, *install, "--no-build-isolation", *folders, cwd=tmp_path)
    listed = {
        row["name"]: row for row in json.loads(call(python, "-m", "ffprobe", "plugins", "list", "--json", cwd=ROOT))
    }
    every: list[list[str]] = []
    for folder in EXAMPLES:
        assert listed[folder.name]["distribution"] == f"ffprobe-{folder.name}"
        if folder.name == "tensorboard-log" and importlib.util.find_spec("tensorboard") is None:
            continue
        (block,) = (b for b in blocks(folder / "README.md") if b.what == "tests/docs/test_examples_installed.py")
        lines = [line for line in block.text.replace("\\\n", "").splitlines() if "ffprobe " in line]
        commands = [shlex.split(line.partition("ffprobe ")[2]) for line in lines if not line.startswith("pip")]
        assert commands[0][:1] == ["run"]
        commands[0] += ["--epochs", "1", "--set", "training.max_images=64", "--set", "network=tiny", "--overwrite"]
        every += commands
    call_all(python, every, cwd=tmp_path)
    assert (tmp_path / "angles.png").is_file()


def copy(folder: Path, to: Path) -> Path:
    """The sources of an example, without what a build left there."""
    target = to / folder.name
    target.mkdir(parents=True)
    for file in (*folder.glob("*.py"), folder / "pyproject.toml", folder / "README.md"):
        (target / file.name).write_bytes(file.read_bytes())
    return target
