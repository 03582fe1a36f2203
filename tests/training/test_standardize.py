"""Images that enter as they are, from 0 to 1, in training, in evaluation and in later predictions."""

from __future__ import annotations

from pathlib import Path

import pytest
from ffprobe_plugins.datasets.digits import Digits
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import build


def test_pixels_stay_between_0_and_1() -> None:
    registry = Registry()
    as_it_was, unscaled = (
        build(toy_config(registry, training={"standardize": said, "augmentation": False}), registry)
        for said in (True, False)
    )
    (images, labels, _), (theirs, same, _) = next(iter(unscaled.loader)), next(iter(as_it_was.loader))
    assert (labels == same).all()  # the same images in the same order
    assert float(images.min()) == 0 and float(images.max()) == 1
    mean, std = as_it_was.split.train.mean[0], as_it_was.split.train.std[0]
    assert ((images - mean) / std - theirs).abs().max() < 1e-5
    for split in (unscaled.split.validation, unscaled.split.test):
        assert split is not None and split.mean == (0.0,) and split.std == (1.0,)


def test_a_prediction_later_sees_what_training_saw(tmp_path: Path) -> None:
    settings = {
        "training.standardize": False,
        "training.epochs": 4,
        "network.width": 0.5,
        "network.name": "tiny",
        "device": "cpu",
        "precision": "fp32",
    }
    with ffprobe.run(tmp_path / "run.h5", preset="trifecta", settings=settings) as run:
        test = Digits().load("test")
        named = ffprobe.predict(run, test.pixels.numpy())
        share = float((named == test.labels.numpy()).mean())
        assert share == pytest.approx(float(run.read("final/model_test_accuracy")), abs=1e-6)
        assert share > 0.5
