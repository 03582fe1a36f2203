"""``ffprobe predict`` as a user runs it: a network rebuilt from its file alone gives the run's own predictions."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from cli.program import ffprobe as program
from toy import toy_config

import ffprobe
from ffprobe.cli.main import main
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session

POWER = '''
import torch
from torch import nn
import ffprobe

class PowerNorm(ffprobe.Normalizer):
    """Divides by a power of the length, and keeps a running mean."""

    name = "powernorm"

    def build(self, shape):
        class Module(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer("seen", torch.zeros(()))
            def forward(self, x):
                if self.training:
                    self.seen.add_(1)
                scale = x.flatten(1).norm(dim=1).clamp_min(1e-8) ** 0.5 * (1 + 0.01 * self.seen)
                return x / scale.view(-1, *([1] * (x.dim() - 1)))
        return Module()

@ffprobe.hookimpl
def ffprobe_components():
    return [PowerNorm]
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``run.h5``: the Trifecta with activations; ``plain.h5``: without, a normalizer from a file."""
    folder = tmp_path_factory.mktemp("predict")
    (folder / "powernorm.py").write_text(POWER)
    trifecta = ("olu", "batchnorm", "symba", "label-channel", "probes")
    for name, plugins, recorded in (("run.h5", trifecta, True), ("plain.h5", (f"{folder}/powernorm.py",), False)):
        registry = Registry()
        config = toy_config(registry, *plugins, recording={"activations": recorded, "samples": 100, "max_features": 32})
        Session.start(config, registry, folder / name).run()
    return folder


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, *words: str) -> int:
    """The program in this process, which spares a second of imports."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["ffprobe", "predict", *words])
    with pytest.raises(SystemExit) as done:
        main()
    return int(done.value.code or 0)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_default_gives_the_predictions_that_the_run_recorded(folder: Path) -> None:
    done = program("predict", "run.h5", "--out", "p.csv", "--json", cwd=folder)
    assert done.code == 0, done.err
    with ffprobe.open(folder / "run.h5") as file:
        goodness, truth = file.read("test/goodness")[-1], file.read("test/true_label")
        accuracy = float(file.read("final/model_test_accuracy"))
    rows = table(folder / "p.csv")
    assert [int(row["predicted"]) for row in rows] == goodness.argmax(axis=1).tolist()
    assert [int(row["true"]) for row in rows] == truth.tolist()
    assert [int(row["index"]) for row in rows] == list(range(len(truth)))
    top = np.sort(goodness, axis=1)
    np.testing.assert_allclose([float(row["margin"]) for row in rows], top[:, -1] - top[:, -2], rtol=1e-6)
    assert done.json["accuracy"] == pytest.approx(accuracy)
    assert done.json["layer_evaluations_per_image"] == done.json["full_scan_layer_evaluations"] == 30


def test_a_plugin_file_comes_back_with_its_buffers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, folder, "plain.h5", "--out", "q.csv") == 0
    with ffprobe.open(folder / "plain.h5") as file:
        named = file.read("test/goodness")[-1].argmax(axis=1).tolist()
    assert [int(row["predicted"]) for row in table(folder / "q.csv")] == named


@pytest.mark.parametrize("evaluator", ["candidates:loss=1", "early-exit:loss=1,prune=true", "goodness-classifier"])
def test_a_live_network_reads_as_the_recorded_tensor_does(folder: Path, evaluator: str) -> None:
    import torch

    from ffprobe.config.parsing import parse_plugin

    done = program("predict", "run.h5", "--evaluator", evaluator, "--out", "e.csv", "--json", cwd=folder)
    assert done.code == 0, done.err
    document = done.json
    name, settings = parse_plugin(evaluator)
    component = ffprobe.registered("evaluator")[name]
    reader = component(component.Params(**settings))  # type: ignore[call-arg]
    with ffprobe.open(folder / "run.h5") as file:
        reader.calibrate(ffprobe.read_calibration(file))  # type: ignore[attr-defined]
        recorded = ffprobe.RecordedLabelScan(torch.from_numpy(file.read("test/goodness")))
    named = reader.predict(recorded)  # type: ignore[attr-defined]
    rows = table(folder / "e.csv")
    # other batches round sums otherwise, so an image that hangs by a hair may fall to the other side
    assert np.mean([int(row["predicted"]) != k for row, k in zip(rows, named.tolist(), strict=True)]) <= 0.01
    expected = sum(recorded.evaluations) / len(rows)
    assert document["layer_evaluations_per_image"] == pytest.approx(expected, rel=0.01)


def test_validation_images_are_those_of_the_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, folder, "run.h5", "--split", "validation", "--out", "v.csv") == 0
    with ffprobe.open(folder / "run.h5") as file:
        goodness, truth = file.variable("evaluation/goodness")[-1][-1], file.read("evaluation/true_label")
    rows = table(folder / "v.csv")
    assert [int(row["predicted"]) for row in rows] == goodness.argmax(axis=1).tolist()
    assert [int(row["true"]) for row in rows] == truth.tolist()
    assert "validation" in capsys.readouterr().out


def test_propose_saves_and_compare_says_how_much(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "run.h5",
        "--evaluator",
        "propose:gap=1,labels=2",
        "--compare",
        "--images",
        "100",
        "--json",
        "--out",
        "c.csv",
    ]
    done = program("predict", *words, cwd=folder)  # a process of its own: only the document is on its stdout
    assert done.code == 0, done.err
    document = done.json
    assert document["images"] == len(table(folder / "c.csv")) == 100
    # one neutral pass, and two labels where two were proposed
    assert 3 <= document["layer_evaluations_per_image"] <= 3 + 6
    assert document["full_scan_layer_evaluations"] == 30
    assert document["same_evaluator"] is False
    with ffprobe.open(folder / "run.h5") as file:
        adds = sum(file.attributes["layer_multiply_adds"])  # type: ignore[call-overload]
    assert document["full_scan_multiply_adds"] == 10 * adds
    ratio = document["full_scan_multiply_adds"] / document["multiply_adds_per_image"]
    assert document["times_fewer_multiply_adds"] == pytest.approx(ratio)
    assert document["times_faster"] == pytest.approx(document["full_scan_seconds"] / document["seconds"])
    with ffprobe.open(folder / "run.h5") as file:
        whole = (file.read("test/goodness")[-1].argmax(1) == file.read("test/true_label"))[:100].mean()
    assert document["full_scan_accuracy"] == pytest.approx(whole)
    assert document["accuracy_gain_points"] == pytest.approx(100 * (document["accuracy"] - whole))
    assert run(monkeypatch, folder, *[word for word in words if word != "--json"]) == 0
    shown = capsys.readouterr().out
    assert "times faster" in shown
    assert "gap" in shown


def test_an_evaluator_compared_with_itself_is_as_fast(folder: Path) -> None:
    words = ["run.h5", "--compare", "--images", "60", "--evaluator", "layer-goodness:layers=last"]
    done = program("predict", *words, "--json", cwd=folder)
    assert done.code == 0, done.err
    assert done.json["same_evaluator"] is True
    assert done.json["times_faster"] == done.json["times_fewer_multiply_adds"] == 1
    assert done.json["seconds"] == done.json["full_scan_seconds"]
    assert "1.00 times as fast" in program("predict", *words, cwd=folder).out


def test_images_are_normalized_as_the_run_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same digits as a user's own pictures, whose own mean and deviation are others."""
    from PIL import Image
    from sklearn.datasets import load_digits

    with ffprobe.open(folder / "run.h5") as file:
        goodness, classes = file.read("test/goodness")[-1], file.attributes["class_names"]
        truth = file.read("test/true_label")
    from ffprobe_plugins.datasets.digits import Digits

    images = Digits().load("test")
    assert images.labels.tolist() == truth.tolist()
    assert load_digits().images.max() == 16
    for index, (pixels, label) in enumerate(zip(images.pixels, images.labels, strict=True)):
        for split in ("train", "test"):
            if split == "train" and index % 10:
                continue
            place = folder / "own" / split / classes[int(label)]  # type: ignore[index]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[0].numpy()).save(place / f"{index:05}.png")
    assert run(monkeypatch, folder, "run.h5", "--dataset", "images", "--data-dir", "own", "--out", "o.csv") == 0
    order = sorted(range(len(truth)), key=lambda i: (int(truth[i]), i))
    assert [int(row["predicted"]) for row in table(folder / "o.csv")] == goodness.argmax(1)[order].tolist()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run.h5", "--evaluator", "wonder"], 3, "wonder"),
        (["run.h5", "--evaluator", "batchnorm"], 2, "is not of the kind evaluator; it fills the slot normalizer"),
        (["run.h5", "--evaluator", "candidates:lss=1"], 2, "lss"),
        (["run.h5", "--dataset", "layer-goodness"], 2, "is not of the kind dataset"),
        (["plain.h5", "--evaluator", "one-pass"], 4, "activations with the neutral label"),
        (["plain.h5", "--evaluator", "propose"], 4, "activations with the neutral label"),
        (["nothing.h5"], 4, "no such run file"),
        (["run.h5", "--out", "no/where.csv"], 4, "could not be written"),
        (["run.h5", "--split", "other"], 2, "other"),
        (["run.h5", "--device", "cuda:99"], 2, "cuda:99"),
    ],
)
def test_errors_say_what_is_wrong(
    folder: Path,
    words: list[str],
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run(monkeypatch, folder, *words) == code
    assert message in capsys.readouterr().err


def test_other_shapes_and_classes_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    monkeypatch.setenv("COLUMNS", "200")
    for name, side, classes in (("large", 9, "0123456789"), ("letters", 8, "ab")):
        for split in ("train", "test"):
            for index, label in enumerate(classes):
                place = folder / name / split / label
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((side, side), 20 * index + 3, np.uint8)).save(place / "0.png")
    assert run(monkeypatch, folder, "run.h5", "--dataset", "images", "--data-dir", "large") == 2
    assert "1x9x9, but the run was trained on 1x8x8" in capsys.readouterr().err
    assert run(monkeypatch, folder, "run.h5", "--dataset", "images", "--data-dir", "letters") == 2
    assert "a, b and 0, 1, 2, 3 ... (10)" in capsys.readouterr().err


def test_an_unfinished_run_has_no_weights(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    (folder / "half.h5.partial").write_bytes((folder / "run.h5").read_bytes())
    assert run(monkeypatch, folder, "half.h5.partial") == 4
    err = capsys.readouterr().err
    assert "has not finished" in err
    assert "--resume --out half.h5" in err


def test_validation_of_another_data_set_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    for split in ("train", "test"):
        for label in range(10):
            place = folder / "ten" / split / str(label)
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8), 20 * label + 3, np.uint8)).save(place / "0.png")
    words = ["run.h5", "--dataset", "images", "--data-dir", "ten", "--split", "validation"]
    assert run(monkeypatch, folder, *words) == 4
    assert "does not contain the images that this run held out" in capsys.readouterr().err


def test_validation_images_are_compared_to_the_last_pixel(folder: Path) -> None:

    from ffprobe_plugins.datasets.digits import Digits

    from ffprobe.inference.images_to_predict import _held_out

    images = Digits().load("train")
    with ffprobe.open(folder / "run.h5") as file:
        row = int(file.read("evaluation/source_index")[5])
        assert _held_out(file, images, "digits").labels[5] == images.labels[row]
        pixels = images.pixels.clone()
        pixels[row, 0, 4, 4] ^= 1
        changed = ffprobe.Images(pixels, images.labels, images.classes, images.mean, images.std)
        with pytest.raises(ffprobe.FileError, match="does not contain the images"):
            _held_out(file, changed, "digits")
