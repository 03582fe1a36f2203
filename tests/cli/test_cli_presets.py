"""``ffprobe presets``, and presets in ``ffprobe plugins list`` and ``info``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli.program import ffprobe
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from ffprobe.cli import presets
from ffprobe.cli.app import build_app
from ffprobe.cli.console import PlainConsole
from ffprobe.config import preset_files
from ffprobe.config.preset_files import preset_names, preset_summary

MEASURED = {
    "settings": preset_files.preset_digest("trifecta"),
    "validation_accuracy": 0.9578,
    "test_accuracy": 0.94321,
    "seconds": 400.0,
    "processor_seconds": 170.0,
    "dataset": "digits",
    "seed": 0,
    "epochs": 20,
    "processor": "Some CPU",
    "device": "cpu (x86_64)",
    "threads": 2,
    "precision": "bf16",
    "torch": "2.14",
    "ffprobe": "0.2.0",
    "date": "2026-11-29",
}


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """One preset is measured, and its paper has a number."""
    numbers: dict[str, Any] = {
        "measured": {"trifecta": dict(MEASURED)},
        "published": {"trifecta": {"test_accuracy": {"CIFAR-10": "80.01 ± 0.60"}, "setting": "long", "source": "T"}},
    }
    monkeypatch.setattr(preset_files, "_numbers", numbers.__getitem__)
    return numbers


def call(*words: str) -> Result:
    done = CliRunner().invoke(build_app(), list(words), prog_name="ffprobe")
    assert done.exit_code == 0, done.output
    return done


def on_terminal(monkeypatch: pytest.MonkeyPatch, module: Any, width: int) -> None:
    """Have a module of commands print as on a terminal of this width."""

    def stdout() -> PlainConsole:
        console = PlainConsole()
        console._force_terminal, console._width, console._color_system = True, width, None
        return console

    monkeypatch.setattr(module, "stdout", stdout)


def test_a_measured_preset_has_accuracy_and_time_and_others_a_dash(known: dict[str, Any]) -> None:
    lines = call("presets").stdout.splitlines()
    cells = {line.split()[0]: line.split()[1:] for line in lines if line and line[0] != " "}
    assert cells["trifecta"] == ["94.3", "%", "85", "s", "80.01", "CIFAR-10"]
    assert cells["bp"] == ["–", "–", "–"]
    assert f"  {preset_summary('trifecta')}" in lines
    assert "Measured on Some CPU, 2 threads, bf16, 2026-11-29." in call("presets").stdout


def test_a_measurement_of_other_settings_does_not_count(known: dict[str, Any]) -> None:
    known["measured"]["trifecta"]["settings"] = "0" * 12
    rows = {row["name"]: row for row in json.loads(call("presets", "--json").stdout)}
    assert rows["trifecta"]["measured"] is None
    assert rows["trifecta"]["paper"]["test_accuracy"] == {"CIFAR-10": "80.01 ± 0.60"}
    assert list(rows) == preset_names()


@pytest.mark.parametrize("width", [50, 80])
def test_a_narrow_terminal_wraps_and_loses_nothing(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = call("presets").stdout.split()
    on_terminal(monkeypatch, presets, width)
    text = call("presets").stdout
    assert max(map(cell_len, text.splitlines())) <= width
    assert sorted(text.split()) == sorted(wide)


@pytest.mark.parametrize("width", [50, 80])
def test_plugins_list_has_one_line_for_each_name_on_a_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from ffprobe.cli import plugins

    rows = json.loads(call("plugins", "list", "--json").stdout)
    on_terminal(monkeypatch, plugins, width)
    lines = call("plugins", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == [row["name"] for row in rows]
    assert max(map(cell_len, lines)) <= width
    full = {row["name"]: row["summary"] for row in rows if row["kind"] == "preset"}
    (line,) = (line for line in lines if line.split()[0] == "trifecta")
    text = line.strip().removeprefix("trifecta").strip()
    assert text.endswith("…")
    assert full["trifecta"].split()[: len(text.split())][-1].startswith(text.split()[-1].rstrip("…")), "a whole word"


def test_a_log_has_descriptions_in_full(tmp_path: Path) -> None:
    done = ffprobe("plugins", "list", cwd=tmp_path, env={"COLUMNS": "40"})
    assert f"  {preset_summary('trifecta').rstrip('.')}" in done.out
    assert "\npreset (" in done.out


def test_info_finds_a_preset_and_names_both_if_both_exist(tmp_path: Path) -> None:
    one = ffprobe("plugins", "info", "trifecta", "--json", cwd=tmp_path).json
    assert (one["kind"], one["components"]["scheduler"]["name"]) == ("preset", "olu")
    both = ffprobe("plugins", "info", "scff", "--json", cwd=tmp_path).json
    assert [document["kind"] for document in both] == ["network", "preset"]
    assert ffprobe("plugins", "info", "scff", "--preset", "--json", cwd=tmp_path).json["kind"] == "preset"
    text = ffprobe("plugins", "info", "scff", cwd=tmp_path).out
    assert "scff  network" in text and "scff  preset" in text
    assert "Its paper: 80.75 ± 0.12 % on CIFAR-10" in text


def test_a_near_miss_suggests_presets_and_plugins(tmp_path: Path) -> None:
    done = ffprobe("plugins", "info", "trifekta", cwd=tmp_path)
    assert (done.code, done.out) == (3, "")
    assert "There is no plugin or preset 'trifekta'" in done.err
    assert "Did you mean 'trifecta'" in done.err
    assert "'symba'" in ffprobe("plugins", "info", "simba", cwd=tmp_path).err
    assert "module" in ffprobe("plugins", "info", "no_such_module:attr", cwd=tmp_path).err


@pytest.mark.parametrize(("seconds", "text"), [(85.0, "42 s"), (1500.0, "12 min"), (20000.0, "2.8 h")])
def test_the_expected_time_is_processor_time_over_threads(seconds: float, text: str) -> None:
    assert presets.expected_time({"processor_seconds": seconds, "threads": 2}) == text


def test_numbers_of_the_wheel_belong_to_presets() -> None:
    for file in ("measured", "published"):
        assert preset_files._numbers(file).keys() <= set(preset_names())
