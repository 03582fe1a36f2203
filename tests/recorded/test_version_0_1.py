"""Run files of version 0.1.0 give the same results as in version 0.1.0."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ffprobe
from ffprobe.api import configure, train
from ffprobe.config.options import RunOptions
from ffprobe.plugin.registry import Registry
from ffprobe.store.overview import overview
from ffprobe.training.checkpoint import read_checkpoint

HERE = Path(__file__).parent
FINISHED = HERE / "trifecta-0.1.0.h5"
STOPPED = "mono-forward-0.1.0.h5"
THEN: dict[str, Any] = json.loads((HERE / "version_0_1.json").read_text())
RENAMED: dict[str, dict[str, str | None]] = {
    "evaluation": {"cost": "layer_evaluations", "times_less": None},
    "frontier": {"cost": "layer_evaluations", "times_less": None},
}
"""Columns by their name then; None: no longer there."""
ADDED = {"evaluation": {"multiply_adds", "times_fewer"}, "frontier": {"multiply_adds", "times_fewer"}}
"""Columns that version 0.1.0 did not have."""
REFITTED = {"probes", "information"}  # scikit-learn fits the linear probes since version 0.2.0


def test_show() -> None:
    with ffprobe.open(FINISHED) as run:
        now = overview(run)
    for key, value in THEN["show"].items():
        assert now[key] == (pytest.approx(value, nan_ok=True) if isinstance(value, list) else value), key


@pytest.mark.parametrize("name", THEN["analyze"])
def test_analyze(name: str) -> None:
    then = THEN["analyze"][name]
    with ffprobe.without_cache():  # which would be beside the file, in the repository
        now = ffprobe.analyze(name, FINISHED).to_dict()
    names = [column["name"] for column in now["columns"]]
    renamed = RENAMED.get(name, {})
    before = [renamed.get(key, key) for key in then["columns"]]
    assert [key for key in names if key not in ADDED.get(name, ())] == [key for key in before if key is not None]
    assert len(now["rows"]) == len(then["rows"])
    for row, values in zip(now["rows"], then["rows"], strict=True):
        numbers = [(key, row[key], old) for key, old in zip(before, values, strict=True) if key and _is_number(old)]
        for key, new, old in numbers:
            assert name in REFITTED or new == pytest.approx(old, rel=1e-4, abs=1e-6), f"{name}: {key}"


def test_predict() -> None:
    with ffprobe.open(FINISHED) as run:
        truth = run.read("test/true_label")
    from ffprobe_plugins.datasets.digits import Digits

    images = Digits().load("test").pixels.numpy()
    assert (ffprobe.predict(FINISHED, images) == truth).mean() == pytest.approx(THEN["predict"]["accuracy"])


def test_from_repeats_every_setting_under_its_current_name() -> None:
    config = configure(Registry(), RunOptions(from_=FINISHED))
    training, recording = config.settings.training, config.settings.recording
    assert (training.max_images, training.num_evaluations, training.validation_fraction) == (300, 3, 0.2)
    assert (training.min_lr_fraction, training.crop_padding, training.lr_schedule) == (0.1, 1, "cosine")
    assert (training.sync_batch_norm, recording.max_features) == (False, 16)
    assert config.slots["normalizer"].params.position == "preactivation"  # type: ignore[attr-defined]
    (gradients,) = (choice.params for choice in config.probes if choice.component.name == "gradients")
    assert gradients.sandbox_every == 250  # type: ignore[attr-defined]


def test_resume_ends_with_the_numbers_of_a_run_without_interruption(tmp_path: Path) -> None:
    for suffix in (".partial", ".checkpoint"):
        shutil.copy(HERE / f"{STOPPED}{suffix}", tmp_path / f"{STOPPED}{suffix}")
    out = tmp_path / STOPPED
    registry = Registry()
    config = configure(registry, RunOptions(), resume_from=out)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pytest.raises(ffprobe.UsageError, match=r"versions\.ffprobe: 0\.1\.0 -> "):
            train(config, registry, out, resume=True)
        registry = Registry()
        train(configure(registry, RunOptions(), resume_from=out), registry, out, resume=True, allow_changes=True)
    finally:
        torch.set_num_threads(threads)
    with ffprobe.open(out) as run:
        for path, before in THEN["resume"].items():
            np.testing.assert_allclose(run.read(path).astype(float), before, rtol=1e-4, atol=1e-6, err_msg=path)


def test_its_checkpoint_is_read_under_current_names() -> None:
    state = read_checkpoint(HERE / f"{STOPPED}.checkpoint")
    assert state["environment"]["config"]["training"]["max_images"] == 300
    assert "circumstances" not in state


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)
