"""Cosine of local and backpropagated gradients, and its floor under random signs, in closed form."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ffprobe_plugins.probes.alignment import Alignment, compare_gradients
from recorded_probe import recorded
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session

GROUP = "probes/alignment"


def test_cosine_and_floor_in_closed_form() -> None:
    ones = torch.ones(4, 4)
    assert compare_gradients(ones, 3 * ones) == pytest.approx((1, 1 / 4, 1))
    assert compare_gradients(ones, -1e-30 * ones) == pytest.approx((-1, 1 / 4, 0))  # as tiny as can be
    single = torch.tensor([0.0, 2.0, 0.0])
    assert compare_gradients(single, single) == pytest.approx((1, 1, 1))  # one weight: chance does as well
    a, b = torch.tensor([3.0, 4.0]), torch.tensor([4.0, -3.0])
    assert compare_gradients(a, b) == pytest.approx((0, (12**2 + 12**2) ** 0.5 / 25, 0.5))


def test_the_floor_is_the_spread_of_the_cosine_over_all_signs() -> None:
    a, b = torch.tensor([1.0, 2.0, 5.0]), torch.tensor([2.0, -1.0, 0.5])
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)
    cosines = [compare_gradients(s * a, b)[0] for s in signs]
    assert compare_gradients(a, b)[1] == pytest.approx(np.std(cosines))


def test_without_a_gradient_there_is_no_cosine() -> None:
    assert all(math.isnan(v) for v in compare_gradients(torch.zeros(2), torch.ones(2)))


def train(out: Path, *plugins: str, **changes: Any) -> None:
    registry = Registry()
    config = toy_config(registry, *plugins, "alignment:images=16", recording={"activations": False}, **changes)
    Session.start(config, registry, out).run()


def test_backpropagation_is_aligned_with_itself(tmp_path: Path) -> None:
    words = ("no-label", "linear-head", "cross-entropy", "whole")
    train(tmp_path / "a.h5", *words, normalizer={"name": "batchnorm", "position": "preactivation"})
    with ffprobe.open(tmp_path / "a.h5") as file:
        assert file.messages() == []
        np.testing.assert_allclose(file.read(f"{GROUP}/cosine"), 1, rtol=1e-4)
        result = Alignment().analyze([file])
        assert [row["aligned"] for row in result.to_dict()["rows"]] == [100] * 3


def test_a_local_run_has_a_cosine_below_one_in_every_layer(tmp_path: Path) -> None:
    train(tmp_path / "a.h5", "symba:alpha=4", training={"epochs": 1})
    with ffprobe.open(tmp_path / "a.h5") as file:
        assert file.messages() == []
        cosine, floor = file.read(f"{GROUP}/cosine"), file.read(f"{GROUP}/floor")
        assert (abs(cosine) < 0.999).all() and ((floor > 0) & (floor < 0.5)).all()


def test_a_cosine_counts_above_twice_the_floor(tmp_path: Path) -> None:
    rows = [
        {"step": step, "images": 8, "cosine": cosine, "floor": [0.1, 0.1], "signs": [0.5, 0.75]}
        for step, cosine in ((4, [0.19, 0.3]), (8, [0.21, -0.3]), (12, [math.nan, -0.5]), (16, [0.0, 0.1]))
    ]
    file = recorded(tmp_path / "a.h5", Alignment(), {"": rows}, layers=2)
    result = Alignment().analyze([file])
    first, second = result.to_dict()["rows"]
    assert first["cosine"] == pytest.approx(0.4 / 3) and first["floor"] == pytest.approx(0.1)
    assert (first["aligned"], first["against"]) == (pytest.approx(100 / 3), 0)
    assert (second["aligned"], second["against"], second["signs"]) == (25, 50, 75)
    assert result.figure().axes


def test_refusals_name_what_helps(make_run: Any, tmp_path: Path) -> None:
    with pytest.raises(ffprobe.FileError, match=r"No alignment was recorded.*--plugin alignment"):
        Alignment().analyze([make_run()])
    unfinished = recorded(tmp_path / "a.h5", Alignment(), {}, layers=2, finish=False)
    with pytest.raises(ffprobe.FileError, match=r"no alignment yet.*first epoch"):
        Alignment().analyze([unfinished])
