"""Named configs that come with ffprobe, and config files of a user's own."""

from __future__ import annotations

import itertools
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from ffprobe.errors import FileError, UsageError, did_you_mean

BASE_PRESET = "vanilla-ff"
"""The preset that every run starts from, so that each plugin is a visible change against a known baseline."""


def preset_names() -> list[str]:
    """The presets that come with ffprobe."""
    return sorted(f.name[:-5] for f in files("ffprobe.config.presets").iterdir() if f.name.endswith(".toml"))


def read_preset(name: str) -> dict[str, Any]:
    """A preset's table.

    Raises:
        UsageError: there is no such preset; the nearest names are given.
    """
    if name not in preset_names():
        raise UsageError(f"There is no preset {name!r}.", hint=did_you_mean(name, preset_names()))
    return tomllib.loads((files("ffprobe.config.presets") / f"{name}.toml").read_text(encoding="utf-8"))


def preset_comment(name: str) -> str:
    """What a preset's file says of it in the comment that it begins with, on one line."""
    text = (files("ffprobe.config.presets") / f"{name}.toml").read_text(encoding="utf-8")
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    return " ".join(line.removeprefix("#").strip() for line in lines)


def read_toml(path: Path, limit: int = 1 << 20) -> dict[str, Any]:
    """A config file's table.

    Raises:
        FileError: missing, unreadable, larger than ``limit`` bytes, or not TOML (with the line).
    """
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except OSError as error:
        raise FileError(f"The config cannot be read: {error.strerror}.", where=str(path)) from error
    if len(raw) > limit:
        raise FileError(f"The config is larger than {limit} bytes.", where=str(path))
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise FileError(f"The config is not TOML: {error}.", where=str(path)) from error
