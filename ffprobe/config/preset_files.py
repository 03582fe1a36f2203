"""Reads the presets that are installed with ffprobe, and config files of the user."""

from __future__ import annotations

import itertools
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from ffprobe.errors import FileError, UsageError, did_you_mean

BASE_PRESET = "vanilla-ff"
"""The preset that every run starts from, so that every plugin is a visible change to a known baseline."""


def preset_names() -> list[str]:
    """Names of the presets that are installed with ffprobe."""
    return sorted(f.name[:-5] for f in files("ffprobe.config.presets").iterdir() if f.name.endswith(".toml"))


def read_preset(name: str) -> dict[str, Any]:
    """The settings of a preset as a table.

    Raises:
        UsageError: there is no such preset; the message suggests the closest names.
    """
    if name not in preset_names():
        raise UsageError(f"There is no preset {name!r}.", hint=did_you_mean(name, preset_names()))
    return tomllib.loads((files("ffprobe.config.presets") / f"{name}.toml").read_text(encoding="utf-8"))


def preset_comment(name: str) -> str:
    """The comment at the top of a preset's file, on one line."""
    text = (files("ffprobe.config.presets") / f"{name}.toml").read_text(encoding="utf-8")
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    return " ".join(line.removeprefix("#").strip() for line in lines)


def read_toml(path: Path, limit: int = 1 << 20) -> dict[str, Any]:
    """The settings of a config file as a table.

    Raises:
        FileError: the file is missing, unreadable, larger than ``limit`` bytes, or not valid TOML (the message gives
            the line).
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
