"""A run's network on the images of its file: the recorded predictions, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session


@pytest.mark.parametrize("part", ["test", "validation"])
def test_it_predicts_what_the_run_recorded(trained_with_probes: Path, part: str) -> None:
    group = "evaluation" if part == "validation" else "test"
    with ffprobe.open(trained_with_probes) as run:
        recorded = ffprobe.RecordedNetwork(run, part, 1000)  # type: ignore[arg-type]
        goodness = torch.as_tensor(run.read(f"{group}/goodness"))
        goodness = goodness[-1] if part == "validation" else goodness
        rows = run.read(f"images/{part}/sample")
        truth = torch.as_tensor(run.read(f"{group}/true_label"))[rows]
    expected = goodness[:, rows].argmax(dim=2) == truth
    correct = recorded.correct(recorded.images.pixels)
    assert len(rows) == 40 and torch.equal(recorded.images.labels, truth.long())
    assert torch.equal(correct.layers, expected) and bool(correct.measured.all())
    assert torch.equal(correct.model, expected[-1])


def test_fewer_images_are_evenly_spaced(trained_with_probes: Path) -> None:
    with ffprobe.open(trained_with_probes) as run:
        recorded = ffprobe.RecordedNetwork(run, "test", 4)
        rows = run.read("images/test/pixel")[[0, 10, 20, 30]]
    np.testing.assert_array_equal(recorded.images.pixels.numpy(), rows)


def test_a_file_without_images_names_the_setting(tmp_path: Path) -> None:
    config = toy_config(Registry(), recording={"images": 0}, training={"epochs": 1, "max_images": 64})
    Session.start(config, Registry(), tmp_path / "a.h5").run()
    with (
        ffprobe.open(tmp_path / "a.h5") as run,
        pytest.raises(ffprobe.FileError, match=r"contains no test images.*recording\.images"),
    ):
        ffprobe.RecordedNetwork(run, "test", 10)
