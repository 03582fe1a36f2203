"""Unnormalized images, with values from 0 to 1, in training, in evaluation and in later predictions."""

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
    normalized, unscaled = (
        build(toy_config(registry, training={"standardize": standardize, "augmentation": False}), registry)
        for standardize in (True, False)
    )
    images, labels, _ = next(iter(unscaled.loader))
    normalized_images, same_labels, _ = next(iter(normalized.loader))
    assert (labels == same_labels).all()  # the same images in the same order
    assert float(images.min()) == 0 and float(images.max()) == 1
    mean, std = normalized.split.train.mean[0], normalized.split.train.std[0]
    assert ((images - mean) / std - normalized_images).abs().max() < 1e-5
    for split in (unscaled.split.validation, unscaled.split.test):
        assert split is not None and split.mean == (0.0,) and split.std == (1.0,)


def test_a_later_prediction_uses_the_same_pixels_as_training(tmp_path: Path) -> None:
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
        predicted = ffprobe.predict(run, test.pixels.numpy())
        accuracy = float((predicted == test.labels.numpy()).mean())
        assert accuracy == pytest.approx(float(run.read("final/model_test_accuracy")), abs=1e-6)
        assert accuracy > 0.5
