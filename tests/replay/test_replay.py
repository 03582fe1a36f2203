"""Replay of recorded trajectories with the ordinary trainer and plugins reproduces the recorded results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.plain_forward_forward import CASES, HERE, Case, record

from ffprobe.config.resolve import picks
from ffprobe.errors import FileError, PluginError, UsageError
from ffprobe.plugin.registry import Registry
from ffprobe.replay import Tolerance, replay

SHARP = Tolerance(absolute=1e-9, relative=1e-9, weights=1e-11)  # both sides compute in float64


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
@pytest.mark.parametrize("fast", [False, True], ids=["as-recorded", "fast"])
def test_own_trajectories_replay_up_to_rounding(case: Case, fast: bool) -> None:
    result = replay(HERE / f"{case.name}.npz", Registry(), SHARP, fast=fast)
    assert result.passed, result.to_dict()


@pytest.mark.parametrize("case", CASES[:2], ids=lambda c: c.name)
def test_the_recordings_match_the_plain_implementation(case: Case) -> None:
    kept, fresh = np.load(HERE / f"{case.name}.npz"), record(case)
    assert set(kept.files) == set(fresh)
    for key in set(fresh) - {"meta"}:
        np.testing.assert_allclose(fresh[key], kept[key], rtol=1e-9, atol=1e-12, err_msg=key)


def test_a_trajectory_with_other_sizes_replays(tmp_path: Path) -> None:
    case = Case(
        "other",
        (2, 12, 10),
        (("conv3x3", 3, False), ("conv3x3", 4, True), ("linear", 5, False), ("linear", 4, False)),
        7,
        "symba",
        "batchnorm",
        "olu",
        encoder_learned=True,
        alpha=2.5,
        batch=9,
        steps=5,
        rate=3e-3,
        seed=11,
    )
    np.savez(tmp_path / "other.npz", **record(case))
    assert replay(tmp_path / "other.npz", Registry(), SHARP).passed


def changed(tmp_path: Path, **changes: Any) -> Path:
    arrays = dict(np.load(HERE / "symba-batchnorm-olu.npz"))
    meta = json.loads(str(arrays["meta"]))
    meta.update({k: v for k, v in changes.items() if k in meta or k.startswith("new_")})
    arrays.update({k: v for k, v in changes.items() if isinstance(v, np.ndarray)})
    arrays["meta"] = np.array(json.dumps(meta))
    np.savez(tmp_path / "changed.npz", **arrays)
    return tmp_path / "changed.npz"


@pytest.mark.parametrize(
    "change",
    [{"alpha": 4.4}, {"scheduler": "greedy"}, {"normalizer": "none"}, {"encoder_learned": False}],
    ids=str,
)
def test_a_wrong_method_deviates(tmp_path: Path, change: dict[str, Any]) -> None:
    path = changed(tmp_path, **change)
    if change.get("normalizer"):  # its parameters have no place in another network
        with pytest.raises(FileError, match="is inconsistent"):
            replay(path, Registry())
    else:
        assert not replay(path, Registry()).passed


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"loss": "wonder"}, "loss 'wonder'"),
        ({"new_rule": "peer"}, "new_rule"),
        ({"scheduler": "round-robin"}, "round-robin"),
    ],
)
def test_a_missing_component_is_named(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    with pytest.raises(PluginError, match=named):
        replay(changed(tmp_path, **change), Registry())


def test_a_code_without_a_peer_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="No installed peer supports the code of somebody/something"):
        replay(changed(tmp_path, peer="somebody/something", loss={"name": "symba"}), Registry())


def test_two_peers_that_claim_one_file_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = changed(tmp_path, peer="GiorgiaD/PEPITA")
    registry = Registry()
    monkeypatch.setattr(registry.component("peer", "peer-loewe"), "claims", lambda self, meta: True)
    with pytest.raises(PluginError, match="'peer-loewe' and 'peer-pepita' both claim"):
        replay(path, registry)


def test_a_peer_cannot_be_part_of_a_run() -> None:
    with pytest.raises(UsageError, match="cannot be part of a run"):
        picks(["peer-pepita"], Registry())


def test_damaged_trajectories_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes((HERE / "symba-batchnorm-olu.npz").read_bytes()[:2000])
    with pytest.raises(FileError, match="not a readable trajectory"):
        replay(path, Registry())
    with pytest.raises(FileError, match="no such"):
        replay(tmp_path / "none.npz", Registry())


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", meta=np.array([{"a": 1}], dtype=object))
    with pytest.raises(FileError):
        replay(tmp_path / "objects.npz", Registry())


@pytest.mark.parametrize("fast", [False, True], ids=["as-recorded", "fast"])
def test_reference_trajectories_of_the_authors_code(golden: Path, fast: bool) -> None:
    files = sorted(golden.glob("trifecta-*.npz"))
    assert files
    for file in files:
        result = replay(file, Registry(), fast=fast)
        assert result.passed, result.to_dict()
        if not fast:  # in the recording's own memory layout rounding differs little
            assert result.excess["weights"] < 0.02
