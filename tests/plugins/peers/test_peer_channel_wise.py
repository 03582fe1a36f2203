"""DeeperForward's and CwComp's recordings are replayed, and a wrong one is noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.plain_channel_wise import cwcomp, deeperforward

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.replay import Replay, replay

PLAIN = [{"out": 8}, {"out": 4, "stride": 2, "bias": True}, {"out": 8}]
RESIDUAL = [
    {"out": 4, "shortcut_out": "identity"},
    {"out": 4},
    {"out": 4, "shortcut_in": "add", "shortcut_out": "identity"},
    {"out": 4},
    {"out": 4, "shortcut_in": "concat", "shortcut_out": "avgpool2"},
    {"out": 8, "stride": 2},
    {"out": 8, "shortcut_in": "add", "shortcut_out": "identity"},
    {"out": 8},
]
POOLED = [{"out": 6, "kernel": 5}, {"out": 9, "avgpool": 2, "kernel": 5}, {"out": 3, "avgpool": 2}]
GROUPED = {"divisors": (3, 3, 1, 1), "windows": ((0, 2), (0, 2), (2, 4), (2, 4)), "head_from": 4}


def replayed(tmp_path: Path, arrays: dict[str, np.ndarray], **changes: Any) -> Replay:
    meta = {**json.loads(str(arrays["meta"])), **changes}
    np.savez(tmp_path / "case.npz", **{**arrays, "meta": np.array(json.dumps(meta))})
    return replay(tmp_path / "case.npz", Registry())


@pytest.mark.parametrize(
    "how",
    [
        {"layers": PLAIN, "optimizer": "adam", "decay": 0.0},
        {"layers": RESIDUAL, "seed": 1},
        {"layers": POOLED, "decay": 0.01, "classes": 3, "shape": (1, 12, 12), "seed": 2},
    ],
    ids=["plain", "residual", "pooled"],
)
def test_deeperforward_of_other_sizes_replays(tmp_path: Path, how: dict[str, Any]) -> None:
    result = replayed(tmp_path, deeperforward(**how))
    assert result.passed, result.to_dict()
    assert result.peer == "peer-deeperforward"
    assert not result.not_compared
    assert {"loss", "lr", "first_grad", "step1", "weights", "evaluation_logits"} <= set(result.deviations)
    assert max(result.deviations.values()) < 1e-8


@pytest.mark.parametrize(
    ("layers", "mistake"),
    [
        (PLAIN, "squared"),
        (PLAIN, "interleaved"),
        (PLAIN, "one group"),
        (PLAIN, "no layer norm on the input"),
        (PLAIN, "coupled decay"),
        (PLAIN, "no floor"),
        (RESIDUAL, "passed on after the update"),
        (RESIDUAL, "stored before the addition"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_deeperforward_strays(tmp_path: Path, layers: Any, mistake: str) -> None:
    result = replayed(tmp_path, deeperforward(layers, mistake=mistake))
    assert result.excess["weights"] > 1e3, result.to_dict()  # far from rounding


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"loss": "CwC_CE", "split": False, "seed": 1},
        {"loss": "PvN", "split": False, "widths": (6, 12), "windows": ((0, 9), (1, 9)), "divisors": (1, 1), "seed": 2},
        {"loss": "CWG", "seed": 3},
        {"loss": "CwC_CE", **GROUPED, "seed": 4},
        {"loss": "PvN", **GROUPED, "classes": 6, "widths": (6, 6, 12, 12), "seed": 5},
    ],
    ids=["cwc", "ce-ffcnn", "pvn-ffcnn", "cwg", "groups", "pvn-groups"],
)
def test_cwcomp_of_other_sizes_replays(tmp_path: Path, how: dict[str, Any]) -> None:
    result = replayed(tmp_path, cwcomp(**how))
    assert result.passed, result.to_dict()
    assert result.peer == "peer-cwcomp"
    assert not result.not_compared
    quantities = {"loss", "updated", "goodness", "head_loss", "train_prediction_softmax", "first_grad", "weights"}
    assert quantities <= set(result.deviations)
    assert any(name.startswith("train_only_step1") for name in result.deviations)


@pytest.mark.parametrize(
    ("how", "mistake"),
    [
        ({}, "epsilon of 1e-5"),
        ({}, "no second pass"),
        ({}, "relu before goodness"),
        ({}, "softmax once"),
        ({}, "idle layers keep their statistics"),
        ({"loss": "PvN"}, "wrong goodness over all classes"),
        ({"loss": "CWG"}, "half and half"),
        ({"loss": "CwC_CE", **GROUPED}, "labels taken modulo"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_cwcomp_strays(tmp_path: Path, how: dict[str, Any], mistake: str) -> None:
    result = replayed(tmp_path, cwcomp(**how, mistake=mistake))
    assert result.excess["weights"] > 1e3, result.to_dict()


def test_unsupported_recordings_are_refused_by_name(tmp_path: Path) -> None:
    theirs, layers = cwcomp(), json.loads(str(cwcomp()["meta"]))["layers"]
    for change, message in (
        ({"layers": [{**la, "kind": "linear"} for la in layers]}, "3x3 convolutions"),
        ({"layers": [{**la, "label_divisor": 4} for la in layers]}, "equal groups"),
        ({"layers": [{**la, "epochs_to_exclusive": 0} for la in layers]}, "never learns"),
        ({"loss": {"name": "SymBa", "constants": {}}}, "SymBa"),
    ):
        with pytest.raises(ffprobe.PluginError, match=message):
            replayed(tmp_path, theirs, **change)
    other = deeperforward(PLAIN)
    for change, message in (
        ({"goodness": {"name": "group_square"}}, "group_square"),
        ({"optimizer": {"name": "adam", "lr": 0.02, "weight_decay": 0.1}}, "Adam with weight decay"),
        ({"schedule": {"name": "step"}}, "schedule 'step'"),
    ):
        with pytest.raises(ffprobe.PluginError, match=message):
            replayed(tmp_path, other, **change)


def test_the_recordings_of_those_codes(golden: Path) -> None:
    files = [*golden.glob("field/cwcomp-*.npz"), *golden.glob("field/deeperforward-*.npz")]
    assert files
    for file in files:
        result = replay(file, Registry())
        assert result.passed, result.to_dict()
        assert not result.not_compared
