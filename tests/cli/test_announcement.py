"""What ``ffprobe run`` says before it imports anything heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ffprobe.cli.announcement import expectation, first_line, second_line
from ffprobe.config.options import RunOptions
from ffprobe.config.resolve import resolve
from ffprobe.plugin.registry import Registry

END = "The run is recorded in run.h5."


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, "Training vanilla-ff on digits, 20 epochs, seed 0."),
        ({"preset": "trifecta", "quick": True}, "Training trifecta on digits, 5 epochs, seed 0."),
        (
            {"plugin": ("olu", "./my.py:alpha=2", "batchnorm:position=input"), "dataset": "cifar10:crop=1", "seed": 7},
            "Training vanilla-ff with olu, ./my.py:alpha=2, batchnorm on cifar10, 20 epochs, seed 7.",
        ),
        ({"epochs": 2, "set": ("seed=3", "training.epochs=9")}, "Training vanilla-ff on digits, 2 epochs, seed 3."),
        ({"set": ("training.epochs=9",)}, "Training vanilla-ff on digits, 9 epochs, seed 0."),
        ({"from_": Path("old.h5"), "seed": 2}, "Training the settings of old.h5, seed 2."),
        ({"preset": "no-such"}, "Training no-such on digits, 20 epochs, seed 0."),  # refused in the next moment
    ],
)
def test_the_first_line_is_read_from_the_options(
    options: Any, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert first_line(RunOptions(**options), tmp_path / "run.h5", resumes=False) == f"{line} {END}"
    assert first_line(RunOptions(**options), tmp_path / "run.h5", resumes=True) == "Resuming run.h5."


def test_the_second_line_names_the_components() -> None:
    registry = Registry()
    line = second_line(resolve(RunOptions(preset="trifecta").table(registry), registry))
    assert line.startswith("network tff-s, loss symba, goodness mean-square, normalizer batchnorm, scheduler olu")


def test_what_to_expect_is_told_only_of_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = {"processor": "X", "threads": 2, "processor_seconds": 160, "test_accuracy": 0.951, "seed": 0}
    monkeypatch.setattr("ffprobe.config.preset_files.preset_measurement", lambda name: measured)
    text = expectation(RunOptions(preset="trifecta", seed=7))
    assert text.startswith("Expect about 80 s and 95 % test accuracy, as measured with seed 0 on X, 2 threads.")
    for other in ({"quick": True}, {"plugin": ("olu",)}, {"epochs": 3}, {"dataset": "mnist"}, {"preset": "no-such"}):
        assert expectation(RunOptions(**other)) == ""
    monkeypatch.setattr("ffprobe.config.preset_files.preset_measurement", lambda name: None)
    assert expectation(RunOptions()) == ""


def test_nothing_heavy_is_imported_for_the_first_line() -> None:
    code = (
        "import sys; from pathlib import Path; from ffprobe.config.options import RunOptions;"
        "from ffprobe.cli.announcement import expectation, first_line;"
        "first_line(RunOptions(), Path('run.h5'), False); expectation(RunOptions());"
        "print([name for name in ('torch', 'h5py', 'numpy', 'matplotlib') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
