"""Nokland and Eidnes' local losses are replayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.plain_local_loss import local_loss

from ffprobe.errors import PluginError
from ffprobe.plugin.registry import Registry
from ffprobe.replay import Replay, Tolerance, replay

SHARP = Tolerance(1e-9, 1e-9, 1e-9)  # both sides compute in float64


def replayed(tmp_path: Path, arrays: dict[str, np.ndarray]) -> Replay:
    np.savez(tmp_path / "case.npz", **arrays)
    return replay(tmp_path / "case.npz", Registry(), SHARP)


LINEAR = {"conv": False, "image": (1, 4, 4), "units": (7, 6, 5)}


@pytest.mark.parametrize(
    "how",
    [
        {"kind": "backprop"},
        {"kind": "pred", "seed": 1, "decoder": 13},
        {"kind": "sim", "slope": 0.0, "classes": 7},
        {"kind": "predsim", "adam": True, "decay": 0.0, "rate": 0.005, "beta": 0.7},
        {"kind": "predsim", "detach": False},
        {"kind": "predsim", "normalized": False, "rate": 0.01, **LINEAR},
        {"kind": "predsim", "image": (2, 7, 7), "decoder": 20, "widths": (4, 5, 6), "pools": (0, 2, 2)},
        {"kind": "pred", "unsupervised": "recon", "alpha": 0.3, "units": (7, 6)},
        {"kind": "predsim", "unsupervised": "recon", "alpha": 0.2, "detach": False},
        {"kind": "predsim", "unsupervised": "sim", "alpha": 0.4},
        {"kind": "pred", "unsupervised": "sim", "alpha": 0.4, **LINEAR},
        {"kind": "pred", "alpha": 0.25, **LINEAR},
        {"kind": "predsim", "bio": True},
        {"kind": "sim", "bio": True, "decoder": 30},
        {"kind": "pred", "bio": True, "adam": True, "rate": 0.005, "normalized": False, **LINEAR},
        {"kind": "predsim", "bio": True, "detach": False, **LINEAR},
    ],
    ids=lambda how: "-".join(f"{v}" for v in how.values() if not isinstance(v, tuple)),
)
def test_other_sizes_and_variants_replay(tmp_path: Path, how: dict[str, Any]) -> None:
    result = replayed(tmp_path, local_loss(**how))
    assert result.passed, result.to_dict()
    assert result.peer == "peer-local-loss"
    assert not result.not_compared
    assert {"loss", "global_loss", "logits", "lr", "evaluation_logits", "step1", "first_grad"} <= set(result.deviations)


@pytest.mark.parametrize(
    ("mistake", "how"),
    [
        ("no weight decay", {"kind": "backprop"}),
        ("global loss not scaled", {}),
        ("beta", {"beta": 0.9}),
        ("head pools the maximum", {"kind": "pred"}),
        ("mean over positions", {"kind": "sim"}),
        ("deviation over channels", {"kind": "sim"}),
        ("not centred", {"kind": "sim"}),
        ("slope at 0", {"kind": "pred", "bio": True}),
        ("true weights", {"kind": "pred", "bio": True}),
    ],
)
def test_a_wrong_recording_strays(tmp_path: Path, mistake: str, how: dict[str, Any]) -> None:
    result = replayed(tmp_path, local_loss(mistake=mistake, **how))
    assert result.excess["weights"] > 1e4


def test_a_recording_that_is_wrongly_marked_as_detached_strays(tmp_path: Path) -> None:
    arrays = local_loss(detach=False)
    arrays["meta"] = np.array(str(arrays["meta"]).replace('"detach": false', '"detach": true'))
    assert replayed(tmp_path, arrays).excess["weights"] > 1e4


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('{"pred": 1.0}', '{"pred": 1.0, "triplet": 1.0}', "triplet"),
        ('"unsupervised": "none"', '"unsupervised": "jigsaw"', "jigsaw"),
        ('"name": "leakyrelu"', '"name": "gelu"', "gelu"),
        ('"name": "sgd"', '"name": "lion"', "lion"),
        ('"name": "steps"', '"name": "cosine"', "cosine"),
    ],
)
def test_unsupported_settings_are_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    arrays = local_loss("pred", steps=1)
    arrays["meta"] = np.array(str(arrays["meta"]).replace(old, new))
    with pytest.raises(PluginError, match=named):
        replayed(tmp_path, arrays)


def test_the_recordings_of_that_code(golden: Path) -> None:
    files = sorted((golden / "field").glob("localloss-*.npz"))
    assert files
    for file in files:
        result = replay(file, Registry())
        assert result.passed, result.to_dict()
        wide = file.stem.endswith("-f64")
        assert bool(result.not_compared) != wide  # in float32 the noise parameters, in float64 nothing is left out
        for name in result.not_compared:
            assert name.endswith((".conv.bias", ".linear.bias", ".normalizer.running_mean")), name
