"""A sample with tied or NaN scores has no prediction and counts as wrong, wherever a prediction is computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy import toy_config

import ffprobe
from ffprobe.inference.evaluate import layer_accuracy, model_accuracy, undecided_layers
from ffprobe.plugin.registry import Registry
from ffprobe.prediction.predicted_labels import predicted_labels, undecided_counts
from ffprobe.training.session import Session

NAN, INF = torch.nan, torch.inf
SCORES = torch.tensor(
    [
        [1.0, 3, 2],  # label 1
        [1, NAN, 2],  # NaN at one label
        [2, 1, 2],  # labels 0 and 2 share the maximum
        [1, 1, 2],  # the tie is not at the maximum: label 2
        [-INF, -INF, -9],  # the others were ruled out: label 2
        [-INF, -INF, -INF],  # all were ruled out
        [INF, 0, INF],
        [0, 0, 0],  # a dead layer
    ]
)
TRUTH = torch.tensor([1, 1, 0, 2, 2, 0, 0, 0])


def evaluator(name: str, **settings: Any) -> Any:
    component: Any = Registry().component("evaluator", name)
    return component(component.Params(**settings))


def test_a_label_is_predicted_only_if_it_alone_has_the_largest_score() -> None:
    assert predicted_labels(SCORES).tolist() == [1, -1, -1, 2, 2, -1, -1, -1]
    assert predicted_labels(SCORES.view(2, 4, 3)).tolist() == [[1, -1, -1, 2], [2, -1, -1, -1]]
    assert predicted_labels(torch.tensor([[4.0], [NAN]])).tolist() == [0, -1]
    assert undecided_counts(SCORES) == (4, 1)


def test_nan_at_the_true_label_alone_is_wrong() -> None:
    labels = torch.arange(20) % 4
    goodness = torch.rand(2, 20, 4)
    goodness[0, torch.arange(20), labels] = NAN
    goodness[1, torch.arange(20), labels] = 2
    assert layer_accuracy(goodness, labels).tolist() == [0, 1]
    assert layer_accuracy(goodness * NAN, labels).isnan().all()  # a layer whose goodness no loss trains


def test_a_layer_of_dead_units_predicts_nothing_and_not_class_0() -> None:
    labels = torch.arange(20) % 4
    assert layer_accuracy(torch.zeros(1, 20, 4), labels).tolist() == [0]
    half = torch.zeros(1, 20, 4)
    half[0, :10].scatter_(1, labels[:10, None], 1.0)
    assert layer_accuracy(half, labels).tolist() == [0.5]


@pytest.mark.parametrize(
    "name", ["layer-goodness", "interval", "early-exit", "candidates", "propose", "goodness-classifier"]
)
@pytest.mark.parametrize("calibrated", [False, True])
def test_no_evaluator_predicts_the_true_label_from_nan(name: str, calibrated: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(80) % 4
    goodness = torch.rand(3, 80, 4, generator=generator)
    goodness[:, torch.arange(80), labels] += 1.5
    reader = evaluator(name)
    if calibrated:
        reader.calibrate(ffprobe.Calibration(goodness, labels))
    assert model_accuracy(reader, goodness, labels) > 0.9
    broken = goodness.clone()
    broken[:, torch.arange(80), labels] = NAN
    assert model_accuracy(reader, broken, labels) == 0
    assert model_accuracy(reader, goodness * 0, labels) == 0 or name == "goodness-classifier"  # its bias decides


def test_the_classifier_on_goodness_ignores_a_layer_without_a_trained_goodness() -> None:
    labels = torch.arange(80) % 4
    goodness = torch.rand(3, 80, 4, generator=torch.Generator().manual_seed(0))
    goodness[:, torch.arange(80), labels] += 1.5
    goodness[0] = NAN
    for calibrate in (False, True):
        reader = evaluator("goodness-classifier")
        if calibrate:
            reader.calibrate(ffprobe.Calibration(goodness, labels))
        assert model_accuracy(reader, goodness, labels) > 0.9


def test_candidates_do_not_keep_a_label_because_its_goodness_is_nan() -> None:
    goodness = torch.tensor([[[3.0, 2, NAN, 1]], [[1, 2, 9, 3]]])
    reader = evaluator("candidates", after=1, labels=2)
    assert reader.predict(ffprobe.RecordedLabelScan(goodness)).tolist() == [1]


def test_a_setting_is_selected_against_a_full_scan_with_the_same_ties() -> None:
    labels = torch.zeros(40, dtype=torch.int64)
    goodness = torch.zeros(3, 40, 2)  # every image is tied: no setting can lose an image
    for name in ("early-exit", "candidates"):
        reader = evaluator(name)
        reader.calibrate(ffprobe.Calibration(goodness, labels))
        assert reader.chosen


def test_messages_count_ties_and_nan_of_each_layer() -> None:
    goodness = torch.rand(4, 10, 3)
    goodness[1, :4] = 0
    goodness[2] = NAN
    goodness[3, 0, 1] = NAN
    assert undecided_layers(goodness, "test images") == [
        "layer 2: 4 of 10 test images have tied goodness; counted as wrong",
        "layer 4: 1 of 10 test images have goodness that is NaN; counted as wrong",
    ]


def test_a_run_writes_the_number_of_ties_to_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ffprobe.training import trainer

    def dead(*arguments: Any) -> torch.Tensor:
        goodness = real(*arguments).clone()
        goodness[1, :5] = 0
        return goodness

    real = trainer.goodness_tensor
    monkeypatch.setattr(trainer, "goodness_tensor", dead)
    registry = Registry()
    Session.start(toy_config(registry), registry, tmp_path / "run.h5").run()
    with ffprobe.open(tmp_path / "run.h5") as run:
        rows = [bytes(row).rstrip(b"\0").decode() for row in np.asarray(run.read("log/message"), np.uint8)]
        counts = {name: len(run.read(f"{name}/true_label")) for name in ("evaluation", "test")}
    assert rows == [
        f"layer 2: 5 of {counts['evaluation']} validation images have tied goodness; counted as wrong",
        f"layer 2: 5 of {counts['test']} test images have tied goodness; counted as wrong",
    ]
