"""PEPITA and that code's backpropagation, feedback alignment and direct feedback alignment are replayed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.plain_pepita import CASES, MISTAKES, Case, record

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.replay import Replay, replay


def replayed(tmp_path: Path, arrays: dict[str, np.ndarray], **changes: Any) -> Replay:
    meta = {**json.loads(str(arrays["meta"])), **changes}
    np.savez(tmp_path / "case.npz", **{**arrays, "meta": np.array(json.dumps(meta))})
    return replay(tmp_path / "case.npz", Registry())


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_other_sizes_and_seeds_replay(tmp_path: Path, case: Case) -> None:
    result = replayed(tmp_path, record(case))
    assert result.passed, result.to_dict()
    assert result.peer == "peer-pepita"
    assert {"loss", "error", "hidden", "weights", "step1", "evaluation_logits"} <= set(result.deviations)
    assert not result.not_compared
    if not case.notebook:
        assert max(result.deviations.values()) < 1e-13


@pytest.mark.parametrize(("case", "mistake"), MISTAKES, ids=[m for _, m in MISTAKES])
def test_a_wrong_recording_strays(tmp_path: Path, case: Case, mistake: str) -> None:
    result = replayed(tmp_path, record(replace(case, mistake=mistake)))
    assert not result.passed
    assert result.excess["weights"] > 1e6  # far from rounding


@pytest.mark.parametrize(
    "change",
    [
        {"error_transform": "sign"},
        {"rule": "pepita", "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.8}},
        {"rule": "pepita", "optimizer": {"name": "sgd", "lr": 0.11, "momentum": 0.9}},
    ],
    ids=["sign", "momentum", "rate"],
)
def test_another_setting_strays(tmp_path: Path, change: dict[str, Any]) -> None:
    assert not replayed(tmp_path, record(CASES[0]), **change).passed


def test_unsupported_recordings_are_refused_by_name(tmp_path: Path) -> None:
    arrays = record(CASES[0])
    layers = json.loads(str(arrays["meta"]))["layers"]
    conv = [{**layers[0], "kind": "conv2d"}, layers[1]]
    for change, message in (
        ({"layers": conv}, "opposite sign"),
        ({"rule": "erin"}, "rule 'erin'"),
        ({"schedule": "times 0.1 at epoch 10"}, "schedule"),
        ({"layers": layers[1:]}, "without a hidden layer"),
        ({"error_transform": "cube"}, "cube"),
    ):
        with pytest.raises(ffprobe.PluginError, match=message):
            replayed(tmp_path, arrays, **change)


def test_an_inconsistent_recording_is_a_file_error(tmp_path: Path) -> None:
    arrays = record(CASES[0])
    with pytest.raises(ffprobe.FileError, match="is inconsistent"):
        replayed(tmp_path, {**arrays, "init/0.linear.weight": arrays["init/0.linear.weight"][:-1]})
    with pytest.raises(ffprobe.FileError, match="is inconsistent"):
        replayed(tmp_path, {key: value for key, value in arrays.items() if key != "batch/y"})
    with pytest.raises(ffprobe.FileError, match="is inconsistent"):
        replayed(tmp_path, arrays, layers=None)


def test_first_gradients_are_compared_too(tmp_path: Path) -> None:
    case = CASES[0]
    arrays = record(case)
    name = "0.linear.weight"  # w - v with v = rate * gradient
    arrays[f"first_grad/{name}"] = (arrays[f"init/{name}"] - arrays[f"step1/{name}"]) / case.rate
    assert replayed(tmp_path, arrays).deviations["first_grad"] < 1e-14
    arrays[f"first_grad/{name}"] *= 1.01
    assert replayed(tmp_path, arrays).excess["first_grad"] > 1


def test_an_unknown_array_is_reported_as_not_compared(tmp_path: Path) -> None:
    result = replayed(tmp_path, {**record(CASES[0]), "mood": np.zeros(3)})
    assert result.passed
    assert list(result.not_compared) == ["mood"]


def test_the_recordings_of_that_code(golden: Path) -> None:
    files = sorted((golden / "field").glob("pepita-*.npz"))
    assert files
    for file in files:
        result = replay(file, Registry())
        assert result.passed, result.to_dict()
        assert not result.not_compared
        if "numpy" in file.name:
            assert max(result.deviations.values()) < 1e-13
