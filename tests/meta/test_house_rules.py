"""Rules of the house that a program can see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ffprobe
from ffprobe.hookspecs import Hooks

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    p for room in ("ffprobe", "plugins", "tests", "docs", "benchmarks") for p in ROOT.glob(f"{room}/**/*.py")
)


def test_no_file_is_longer_than_500_lines() -> None:
    assert [p for p in SOURCES if len(p.read_text().splitlines()) > 500] == []


def test_no_two_test_files_have_the_same_name() -> None:
    names = [path.name for path in SOURCES if path.name.startswith("test_") and ROOT / "tests" in path.parents]
    assert len(set(names)) == len(names)  # folders of tests are no packages, so pytest would import one of the two


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["analyze", "--help"], ["plugins", "list"]])
def test_help_and_lists_load_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys; sys.argv = ['ffprobe', *sys.argv[1:]]\n"
        "from ffprobe.cli.app import build_app\n"
        "try: build_app(sys.argv)()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'h5py', 'matplotlib', 'sklearn', 'numpy', 'ffprobe_plugins'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


@pytest.mark.parametrize("name", ffprobe.__all__)
def test_every_public_name_loads(name: str) -> None:
    assert getattr(ffprobe, name) is not None


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="wonder"):
        ffprobe.wonder  # noqa: B018


@pytest.mark.parametrize("hook", [h for h in vars(Hooks) if h.startswith("ffprobe_")])
def test_every_hook_says_when_and_for_whom(hook: str) -> None:
    text = getattr(Hooks, hook).__doc__
    for section in ("When:", "Returns:", "Used by:"):
        assert section in text, f"{hook} has no section {section}"


def test_version_is_the_newest_changelog_heading() -> None:
    headings = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]
    assert ffprobe.__version__.removesuffix(".dev0") in headings[0]
    assert f'version = "{ffprobe.__version__}"' in (ROOT / "pyproject.toml").read_text()
