"""The evaluator of a run is calibrated on the validation set; records for evaluation change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session


def run(out: Path, *plugins: str, **changes: Any) -> Path:
    registry = Registry()
    Session.start(toy_config(registry, *plugins, **changes), registry, out).run()
    return out


@pytest.mark.parametrize("evaluator", ["goodness-classifier", "early-exit:loss=5", "interval", "propose"])
def test_the_test_set_is_evaluated_with_the_calibration_of_the_validation_set(tmp_path: Path, evaluator: str) -> None:
    with ffprobe.open(run(tmp_path / "run.h5", evaluator)) as file:
        component: Any = ffprobe.registered("evaluator")[evaluator.partition(":")[0]]
        reader = component(component.Params(loss=5.0) if ":" in evaluator else None)
        plain = ffprobe.read_calibration(file)
        reader.calibrate(plain)
        for part, goodness, labels in (
            ("validation", plain.goodness, plain.labels),
            ("test", *(torch.from_numpy(file.read(f"test/{name}")) for name in ("goodness", "true_label"))),
        ):
            accuracy = (reader.predict(ffprobe.RecordedLabelScan(goodness)) == labels).float().mean()
            assert float(file.read(f"final/model_{part}_accuracy")) == pytest.approx(float(accuracy))


def test_features_give_the_same_accuracy_from_the_file(tmp_path: Path) -> None:
    with ffprobe.open(run(tmp_path / "run.h5", "one-pass", "olu", "batchnorm")) as file:
        reader: Any = ffprobe.registered("evaluator")["one-pass"]()
        known = ffprobe.read_calibration(file, "pre")
        reader.calibrate(known)
        held = float((reader.predict(known.scan()) == known.labels).float().mean())
        assert held > 0.2  # chance is 0.1; fitted on 45 images
        # the whole validation and test sets; recorded are 15 of them
        test = ffprobe.registered("dataset")["digits"]().load("test")  # type: ignore[call-arg]
        right = ffprobe.predict(file, test.pixels.numpy()) == test.labels.numpy()
        assert float(file.read("final/model_test_accuracy")) == pytest.approx(right.mean())
        assert np.isfinite(file.read("final/test_accuracy")).all()  # the goodness of labels is still recorded


def test_random_label_features_are_recorded_for_the_probe_alone_and_change_nothing(tmp_path: Path) -> None:
    with (
        ffprobe.open(run(tmp_path / "a.h5", "olu", "batchnorm")) as plain,
        ffprobe.open(run(tmp_path / "b.h5", "olu", "batchnorm", "evaluation")) as watched,
        ffprobe.open(run(tmp_path / "c.h5", "olu", "batchnorm", "evaluation")) as again,
    ):
        path = "activations/0/random/activation"
        assert not plain.has(path)
        assert watched.variable(path).shape == (2, 60, 32)
        assert np.array_equal(watched.read(path), again.read(path))
        assert not np.array_equal(watched.read(path), watched.read("activations/0/pre/activation"))
        for name in plain.paths():
            if name.startswith(("weights/", "test/", "steps/")):
                np.testing.assert_array_equal(plain.read(name), watched.read(name), name)  # takes NaN as equal
        form, adds = watched.attributes["goodness_form"], watched.attributes["layer_multiply_adds"]
        assert form == "pair"
        assert len(adds) == 3  # type: ignore[arg-type]


def test_features_belong_to_the_same_images_as_the_goodness(tmp_path: Path) -> None:
    with ffprobe.open(run(tmp_path / "run.h5", "evaluation")) as file:
        whole, held = ffprobe.read_calibration(file), ffprobe.read_calibration(file, "pre")
        index = {int(i): row for row, i in enumerate(file.read("evaluation/source_index"))}
        kept = file.read("activations/held_out") != 0
        rows = [index[int(i)] for i in file.read("activations/source_index")[kept]]
        assert torch.equal(held.goodness, whole.goodness[:, rows])
        assert held.labels.tolist() == file.read("activations/true_label")[kept].tolist()
        assert held.fit_labels is not None
        assert held.fit_labels.tolist() == file.read("activations/true_label")[~kept].tolist()
        recorded = file.variable("activations/2/pre/activation")[-1]
        assert held.features is not None
        assert np.array_equal(held.features[2].numpy(), recorded[kept])
        assert not torch.equal(held.features[2], ffprobe.read_calibration(file, "random").features[2])  # type: ignore[index]


def test_images_are_matched_by_their_index_in_the_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ffprobe.open(run(tmp_path / "run.h5", "evaluation")) as file:
        read, held = file.read, ffprobe.read_calibration(file, "pre")
        kept, swapped = read("activations/held_out") != 0, read("activations/source_index").copy()
        swapped[kept] = swapped[kept][::-1]
        monkeypatch.setattr(file, "read", lambda path: swapped if path == "activations/source_index" else read(path))
        again = ffprobe.read_calibration(file, "pre")
        assert torch.equal(again.goodness, held.goodness.flip(1))
        assert torch.equal(again.labels, held.labels.flip(0))
        swapped[kept] = -1
        with pytest.raises(ffprobe.FileError, match="not among the validation images"):
            ffprobe.read_calibration(file, "pre")
