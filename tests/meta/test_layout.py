"""The layout of docs/decisions/0008: few loose modules, one circle, package lists that name every package."""

from __future__ import annotations

import tomllib
from pathlib import Path

from layout import circles, loose

ROOT = Path(__file__).parents[2]
SELF_DISPLAYING_RUN_FILE = {
    f"ffprobe.store.{name}" for name in ("array_view", "labelled", "lazy_variable", "overview", "reader", "recorded")
}


def test_the_only_circle_is_the_run_file_that_displays_itself() -> None:
    assert [set(group) for group in circles(ROOT)] == [SELF_DISPLAYING_RUN_FILE]


def test_no_module_lies_loose_that_belongs_into_a_room() -> None:
    allowed = ["__init__", "__main__", "api", "display", "errors", "hookspecs"]
    assert loose(ROOT) == [f"{name}.py" for name in allowed]


def test_the_package_list_names_every_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        ".".join((name, *path.parent.relative_to(ROOT / folder).parts))
        for name, folder in (("ffprobe", "ffprobe"), ("ffprobe_plugins", "plugins"))
        for path in (ROOT / folder).rglob("__init__.py")
        if "template" not in path.parts
    }
    assert set(listed) == found
