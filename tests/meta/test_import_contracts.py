"""Who may import whom, as pyproject.toml says, holds, and says it of every room."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"


@pytest.mark.slow
def test_the_contracts_hold() -> None:
    done = subprocess.run([sys.executable, "-c", LINT], cwd=ROOT, capture_output=True, text=True)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert done.returncode == 0, done.stdout
    assert f"Contracts: {len(contracts)} kept, 0 broken." in done.stdout


def test_every_inner_room_is_forbidden_to_plugins() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (public,) = (c for c in contracts if c["name"] == "plugins use public names only")
    rooms = {f"ffprobe.{path.stem}" for path in (ROOT / "ffprobe").iterdir() if _is_module(path)}
    assert rooms - set(public["forbidden_modules"]) == set()


def _is_module(path: Path) -> bool:
    package = path.is_dir() and (path / "__init__.py").is_file()
    return package or (path.suffix == ".py" and not path.stem.startswith("__"))
