"""Energy from powercap counters in a folder of files."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from ffprobe.runtime.energy import EnergyMeter

CPU = torch.device("cpu")


def package(folder: Path, name: str, joules: float, limit: float = 100.0) -> Path:
    path = folder / name
    path.mkdir(exist_ok=True)
    (path / "energy_uj").write_text(f"{round(joules * 1e6)}\n")
    (path / "max_energy_range_uj").write_text(f"{round(limit * 1e6) - 1}\n")
    return path


def test_packages_are_added_up_and_their_parts_are_not(tmp_path: Path) -> None:
    package(tmp_path, "intel-rapl:0", 10)
    package(tmp_path, "intel-rapl:1", 20)
    package(tmp_path, "intel-rapl:0:0", 5)
    meter = EnergyMeter(CPU, tmp_path)
    assert meter.measures
    assert meter.missing == []
    assert meter.read() == 0
    package(tmp_path, "intel-rapl:0", 12)
    package(tmp_path, "intel-rapl:1", 23.5)
    package(tmp_path, "intel-rapl:0:0", 50)
    assert meter.read() == 5.5


def test_a_counter_that_wrapped_goes_on(tmp_path: Path) -> None:
    package(tmp_path, "intel-rapl:0", 90)
    meter = EnergyMeter(CPU, tmp_path)
    package(tmp_path, "intel-rapl:0", 4)
    assert meter.read() == 14
    package(tmp_path, "intel-rapl:0", 5)
    assert meter.read() == 15


def test_without_a_counter_nothing_is_measured_and_it_says_so(tmp_path: Path) -> None:
    meter = EnergyMeter(CPU, tmp_path)
    assert math.isnan(meter.read())
    assert meter.missing == ["This machine has no energy counter of its processor (RAPL)."]


def test_a_counter_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = package(tmp_path, "intel-rapl:0", 1)
    (path / "energy_uj").unlink()
    (path / "energy_uj").mkdir()  # reading it fails for root, too
    meter = EnergyMeter(CPU, tmp_path)
    assert not meter.measures
    assert len(meter.missing) == 1
    assert "intel-rapl:0" in meter.missing[0]
