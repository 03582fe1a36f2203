"""Heads on recorded activations: those of ``train_heads`` and ``head_log_probabilities``, fitted once."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp

import ffprobe
from ffprobe.analysis.probing import recorded_heads
from ffprobe.analysis.runs import source_hash

RECORDED = Path(__file__).parents[2] / "recorded" / "trifecta-0.1.0.h5"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(source_hash, "_LOADED", float("inf"))  # an editor may have written a source file since
    shutil.copy(RECORDED, tmp_path / "run.h5")
    return tmp_path / "run.h5"


@pytest.mark.parametrize("hidden", [None, 4])
def test_the_numbers_are_those_of_both_functions(path: Path, hidden: int | None) -> None:
    options = {"hidden": hidden, "repeats": 2, "seed": 3, "l2": 2.0}
    with ffprobe.open(path) as run:
        recorded = ffprobe.RecordedActivations(run)
        heads = ffprobe.fit_recorded_heads(recorded, **options)
        matrices = [recorded.matrix(*place) for place in heads]
        accuracy = ffprobe.train_heads(matrices, recorded.truth, recorded.held, **options)
        logs = dict(ffprobe.head_log_probabilities(matrices, recorded.truth, recorded.held, **options))
    assert {row for _, row in heads} == {-1, 0}
    for i, head in enumerate(heads.values()):
        np.testing.assert_array_equal(head.accuracy, accuracy[i])
        np.testing.assert_array_equal(head.log_probabilities, logsumexp(logs[i], axis=0) - np.log(2))


def test_probes_then_information_fit_nothing_twice(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, fit_heads = [], recorded_heads.fit_heads
    monkeypatch.setattr(recorded_heads, "fit_heads", lambda *a, **k: calls.append(1) or fit_heads(*a, **k))
    settings = "repeats=1,mlp_repeats=1,hidden=2"
    first = ffprobe.analyze(f"probes:{settings}", path).to_dict()
    assert len(calls) == 2  # linear and multi-layer
    ffprobe.analyze(f"information:{settings},resamples=100", path)
    assert ffprobe.analyze(f"probes:{settings}", path).to_dict() == first
    assert len(calls) == 2
    with ffprobe.without_cache():
        assert ffprobe.analyze(f"probes:{settings}", path).to_dict() == first
    assert len(calls) == 4


@pytest.mark.parametrize("name", ["representations", "similarity"])
def test_other_expensive_numbers_are_read_back(path: Path, name: str) -> None:
    first = ffprobe.analyze(name, path)
    (entry,) = path.with_name("run.h5.cache").glob(f"{name}-*.npz")
    written = entry.stat().st_mtime_ns
    again = ffprobe.analyze(name, path)
    assert again.to_dict() == first.to_dict()
    assert entry.stat().st_mtime_ns == written
