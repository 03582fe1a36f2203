"""The linear readout of all layers minus the run's own accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.readout import Readout, readout_accuracy

import ffprobe

TRUTH = np.arange(40) % 4
HELD = np.arange(40) >= 20


def test_classes_split_over_two_layers_need_both() -> None:
    low, high = np.eye(2)[TRUTH % 2], np.eye(2)[TRUTH // 2]  # each layer knows one bit of the class
    assert readout_accuracy(np.concatenate([low, high], axis=1), TRUTH, HELD, 0.01) == 1.0
    assert readout_accuracy(low, TRUTH, HELD, 0.01) == 0.5


def test_the_gap_is_readout_minus_the_accuracy_of_the_runs_evaluator(make_run: Any) -> None:
    metrics = [{"model_validation_accuracy": 0.25}, {"model_validation_accuracy": 0.5}]
    run = make_run(signal=[4.0, 4.0, 4.0], floor=0.0, metrics=metrics, seed=1)
    result = Readout(Readout.Params(l2=10.0)).analyze([run])
    rows = {row["features"]: row for row in result.to_dict()["rows"]}
    best, floor = rows["all"], rows["untrained"]
    assert best["native"] == 50 and best["native_se"] == pytest.approx(50 / 40**0.5, rel=1e-3)
    assert best["readout"] == 100 and best["gap"] == 50
    assert best["gap_se"] == pytest.approx(best["native_se"])  # a readout without a mistake has no error
    assert floor["readout"] < 60  # features without classes: chance is 25 on 60 images
    assert any("fitted on 160 training images, scored on 60" in note for note in result.notes)
    assert result.figure().axes


def test_refusals_name_what_helps(make_run: Any) -> None:
    with pytest.raises(ffprobe.FileError, match=r"No activations.*recording\.activations=true"):
        Readout().analyze([make_run()])
    with pytest.raises(ffprobe.FileError, match=r"measured no accuracy of its own.*validation_fraction"):
        Readout().analyze([make_run("none", signal=[1.0] * 3)])
    metrics = [{"model_validation_accuracy": 0.5}]
    with pytest.raises(ffprobe.FileError, match=r"NaN or infinity.*bad\.h5"):
        Readout().analyze([make_run("bad", signal=[1.0, float("nan"), 1.0], metrics=metrics)])
