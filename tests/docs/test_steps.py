"""The tutorial's steps: each passes its contract and behaves as the page describes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from docs.page_blocks import ROOT

import ffprobe
from ffprobe.testing import check_plugin, toy_run

STEPS = sorted((ROOT / "docs" / "plugins" / "steps").glob("*.py"))


def load(name: str) -> ModuleType:
    path = ROOT / "docs" / "plugins" / "steps" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", STEPS, ids=lambda path: path.stem)
def test_a_step_keeps_its_contract(path: Path) -> None:
    report = check_plugin(path)
    assert report.passed, str(report)


def test_the_normalizer_divides_by_the_size_relative_to_the_usual_one() -> None:
    module = load("normalizer_3").Divide(0.5)
    x = torch.tensor([[1.0, 1.0], [3.0, 3.0]])  # root mean squares 1 and 3, usually 2
    out = module(x)
    torch.testing.assert_close(out[:, 0], torch.tensor([1 / 2 / 0.5**0.5, 3 / 2 / 1.5**0.5]))
    assert float(module.usual) == pytest.approx(0.9 + 0.1 * 2)
    module.eval()
    torch.testing.assert_close(module(x)[:, 0], torch.tensor([1.0, 3.0]) / (1.1 * (torch.tensor([1, 3]) / 1.1) ** 0.5))


def test_full_normalization_hides_lengths_and_none_does_not(tmp_path: Path) -> None:
    steps = ROOT / "docs" / "plugins" / "steps"
    shares = {}
    for exponent in (0, 1):
        plugins = ["symba", f"{steps / 'normalizer_2.py'}:exponent={exponent}", str(steps / "probe_2.py")]
        settings = {"training": {"epochs": 4, "max_images": 512}, "network": {"width": 0.25}}
        run = toy_run(*plugins, out=tmp_path / f"{exponent}.h5", settings=settings)
        with run.open() as file:
            result = load("probe_2").Leak().analyze([file])
        shares[exponent] = [row[2] for row in result.rows]
    assert shares[1] == [50, 50, 50]
    assert shares[0][2] > 60


def test_a_run_without_the_probe_is_an_error(tmp_path: Path) -> None:
    run = toy_run(out=tmp_path / "bare.h5")
    with run.open() as file, pytest.raises(ffprobe.FileError, match="--plugin leak"):
        load("probe_2").Leak().analyze([file])
