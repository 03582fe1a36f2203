"""Reads the presets that are installed with ffprobe, what is known of each, and config files of the user."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from ffprobe.config.parsing import merge
from ffprobe.errors import FileError, UsageError, did_you_mean

BASE_PRESET = "vanilla-ff"
"""The preset that every run starts from, so that every plugin is a visible change to a known baseline."""
PRESETS = "ffprobe.config.presets"
"""The package of the presets, and of what is known of them: measured.json and published.json."""


def preset_names() -> list[str]:
    """Names of the presets that are installed with ffprobe."""
    return sorted(f.name[:-5] for f in files(PRESETS).iterdir() if f.name.endswith(".toml"))


def read_preset(name: str) -> dict[str, Any]:
    """The settings of a preset as a table.

    Raises:
        UsageError: there is no such preset; the message suggests the closest names.
    """
    if name not in preset_names():
        raise UsageError(f"There is no preset {name!r}.", hint=did_you_mean(name, preset_names()))
    return tomllib.loads((files(PRESETS) / f"{name}.toml").read_text(encoding="utf-8"))


def preset_comment(name: str) -> str:
    """The comment at the top of a preset's file, on one line."""
    text = (files(PRESETS) / f"{name}.toml").read_text(encoding="utf-8")
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    return " ".join(line.removeprefix("#").strip() for line in lines)


def preset_summary(name: str) -> str:
    """The first sentence of the comment at the top of a preset's file."""
    comment = preset_comment(name)
    for end in re.finditer(r"[.](?= [A-Z`]|$)", comment):
        sentence = comment[: end.end()]
        if sentence.count("(") == sentence.count(")"):  # "(arXiv:2311.18130, App. F)" does not end in the middle
            return sentence
    return comment


def preset_digest(name: str) -> str:
    """The first digits of the SHA-256 of what a preset sets; probes are left out, since they change no number."""
    table = merge(read_preset(BASE_PRESET), read_preset(name))
    table.pop("probes", None)
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()[:12]


def preset_measurement(name: str) -> dict[str, Any] | None:
    """What a run of a preset at its defaults reached and took, as ``studies/presets.py`` measured it.

    Returns:
        None without a measurement, or if the preset was changed since. Otherwise ``validation_accuracy`` and
        ``test_accuracy`` (in [0, 1], by the run's evaluator), ``seconds`` (wall time of the whole process),
        ``processor_seconds``, ``dataset``, ``seed``, ``epochs``, and where it was measured: ``processor``, ``device``,
        ``threads``, ``precision``, ``torch``, ``ffprobe`` and ``date``.
    """
    measured: dict[str, Any] | None = _numbers("measured").get(name)
    return measured if measured and measured["settings"] == preset_digest(name) else None


def preset_publication(name: str) -> dict[str, Any] | None:
    """What the paper of a preset reports, with its own settings.

    Returns:
        None if no number was published. Otherwise ``test_accuracy`` (percent as printed, by data set), ``setting`` (of
        those numbers) and ``source``.
    """
    published: dict[str, Any] | None = _numbers("published").get(name)
    return published


def _numbers(file: str) -> dict[str, Any]:
    numbers: dict[str, Any] = json.loads((files(PRESETS) / f"{file}.json").read_text(encoding="utf-8"))
    return numbers


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
