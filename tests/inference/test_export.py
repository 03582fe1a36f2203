"""Exports: the file computes what the network computes, for any number of images, and a wrong file is not kept."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli.program import ffprobe as program
from plugin_files import write
from toy import toy_config

import ffprobe
from ffprobe.cli.export import _sentences
from ffprobe.errors import CheckFailed, FfprobeError, FileError, UsageError
from ffprobe.inference.export import Export
from ffprobe.inference.export_check import Agreement, agreement
from ffprobe.inference.export_formats import FORMATS
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session

MISSING = "not a dependency; this test runs where it is installed"
BRANCHES = '''
import torch
from torch import nn
import ffprobe

class Branches(ffprobe.Normalizer):
    """Does something else for bright images."""

    name = "branches"

    def build(self, shape):
        class Module(nn.Module):
            def forward(self, x):
                return x / 2 if float(x.sum()) > 0 else x
        return Module()

@ffprobe.hookimpl
def ffprobe_components():
    return [Branches]
'''


def train(out: Path, *plugins: str, **changes: Any) -> Path:
    registry = Registry()
    Session.start(toy_config(registry, *plugins, **{"probes": [], **changes}), registry, out).run()
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``pair.h5`` with recorded activations, ``class.h5``, and ``double.h5`` in float64."""
    folder = tmp_path_factory.mktemp("export")
    train(folder / "pair.h5", "olu", "batchnorm", "symba", recording={"activations": True, "samples": 100})
    train(folder / "class.h5", "local-classifier", "cross-entropy", "no-label")
    train(folder / "double.h5", precision="fp64")
    return folder


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    from ffprobe_plugins.datasets.digits import Digits

    return np.asarray(Digits().load("test").pixels[:])


def labels(function: Any, images: np.ndarray) -> list[int]:
    return [int(k) for k in function(torch.from_numpy(images).float()).argmax(dim=1)]


@pytest.mark.parametrize(
    ("run", "evaluator"), [("pair", ""), ("pair", "one-pass"), ("pair", "goodness-classifier"), ("class", "")]
)
def test_a_program_of_torch_export_predicts_as_the_run_does(
    folder: Path, tmp_path: Path, digits: np.ndarray, run: str, evaluator: str
) -> None:
    done = ffprobe.export(folder / f"{run}.h5", tmp_path / "x.pt2", to="pt2", evaluator=evaluator)
    assert (done.output, done.checked_on, done.agreement.images) == ("scores", "test images", 360)
    assert done.agreement.different_labels == 0 and done.agreement.largest_deviation < 1e-4
    extra = {"ffprobe.json": ""}
    function = torch.export.load(tmp_path / "x.pt2", extra_files=extra).module()
    expected = ffprobe.predict(folder / f"{run}.h5", digits, evaluator=evaluator).tolist()
    assert labels(function, digits) == expected
    assert labels(function, digits[:1]) == expected[:1]
    metadata = json.loads(extra["ffprobe.json"])
    assert metadata["classes"] == [str(k) for k in range(10)] and metadata["config"]["network"]["name"] == "tiny"
    assert "data" not in metadata["config"]


@pytest.mark.parametrize(("run", "evaluator"), [("pair", ""), ("class", ""), ("double", ""), ("pair", "one-pass")])
def test_an_onnx_model(folder: Path, tmp_path: Path, digits: np.ndarray, run: str, evaluator: str) -> None:
    for name in FORMATS["onnx"].libraries:
        pytest.importorskip(name, reason=MISSING)
    import onnxruntime

    done = ffprobe.export(folder / f"{run}.h5", tmp_path / "x.onnx", to="onnx", evaluator=evaluator)
    assert done.precision == "fp32"
    assert done.agreement.different_labels == 0 and done.agreement.largest_deviation < 1e-4
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx")
    assert [i.name for i in session.get_inputs()] == ["images"]
    assert [o.name for o in session.get_outputs()] == ["scores"]
    expected = ffprobe.predict(folder / f"{run}.h5", digits, evaluator=evaluator).tolist()
    for count in (1, 360):
        (scores,) = session.run(None, {"images": digits[:count].astype(np.float32)})
        assert scores.argmax(axis=1).tolist() == expected[:count]
    assert json.loads(session.get_modelmeta().custom_metadata_map["ffprobe"])["evaluator"] == done.evaluator


def test_safetensors_have_the_weights_and_the_config(folder: Path) -> None:
    safetensors = pytest.importorskip("safetensors", reason=MISSING)
    done = ffprobe.export(folder / "pair.h5")
    assert done.path == folder / "pair.safetensors"
    assert done.agreement.largest_deviation < 1e-5
    with safetensors.safe_open(done.path, "pt") as file, ffprobe.open(folder / "pair.h5") as run:
        assert json.loads(file.metadata()["ffprobe"])["config"]["loss"]["name"] == "symba"
        np.testing.assert_array_equal(file.get_tensor("1.conv.weight"), run.read("weights/1/conv.weight"))


def test_an_evaluator_that_goes_step_by_step_gives_the_goodness_of_every_layer(folder: Path, tmp_path: Path) -> None:
    done = ffprobe.export(folder / "pair.h5", tmp_path / "x.pt2", to="pt2", evaluator="early-exit", images=50)
    assert (done.output, done.evaluator, done.agreement.images) == ("goodness", "", 50)
    function = torch.export.load(tmp_path / "x.pt2").module()
    assert function(torch.zeros(4, 1, 8, 8)).shape == (3, 4, 10)


def test_a_tie_is_no_different_label() -> None:
    expected = torch.tensor([[1.0, 1.00001, 0.0], [3.0, 1.0, 2.0], [0.0, torch.nan, 1.0]])
    seen = torch.tensor([[1.00002, 1.0, 0.0], [1.0, 3.0, 2.0], [0.0, torch.nan, 1.0]])
    found = agreement(expected, seen)
    assert (found.images, found.different_labels, found.ties, found.largest_deviation) == (3, 1, 1, 2.0)
    assert agreement(expected, expected.nan_to_num()).largest_deviation == float("inf")


def test_a_file_that_predicts_something_else_is_not_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = type(FORMATS["pt2"]).read

    def wrong(self: Any, path: Path, function: Any) -> Any:
        right = read(self, path, function)
        return lambda images: right(images).flip(1)

    monkeypatch.setattr(type(FORMATS["pt2"]), "read", wrong)
    with pytest.raises(CheckFailed, match="predicts another label for"):
        ffprobe.export(folder / "pair.h5", tmp_path / "x.pt2", to="pt2", images=50)
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_others_in_the_file_are_found(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = pytest.importorskip("safetensors.torch", reason=MISSING)
    load = library.load_file
    monkeypatch.setattr(library, "load_file", lambda path: {name: -value for name, value in load(path).items()})
    with pytest.raises(CheckFailed, match="predicts another label for"):
        ffprobe.export(folder / "pair.h5", tmp_path / "x.safetensors", images=50)
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_cannot_be_exported(tmp_path: Path) -> None:
    run = train(tmp_path / "run.h5", write(tmp_path, BRANCHES, "branches.py"))
    with pytest.raises(FfprobeError, match=r"cannot be exported to \.pt2") as caught:
        ffprobe.export(run, to="pt2")
    assert "\n" not in caught.value.what and "--to safetensors" in caught.value.hint
    assert not list(tmp_path.glob("*.pt2"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"to": "torchscript"}, "deprecated TorchScript"),
        ({"to": "onxx"}, "There is no format 'onxx'"),
        ({"to": "pt2", "out": "pair.h5"}, "already exists"),
        ({"to": "pt2", "evaluator": "olu"}, "not of the kind evaluator"),
    ],
)
def test_refusals(folder: Path, words: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError, match=sentence) as caught:
        ffprobe.export("pair.h5", **words)
    assert caught.value.hint or "evaluator" in words


def test_a_missing_folder_and_a_missing_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileError, match="There is no such directory"):
        ffprobe.export(folder / "pair.h5", folder / "none" / "x.pt2", to="pt2")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(UsageError, match="needs safetensors, which is not installed") as caught:
        ffprobe.export(folder / "pair.h5")
    assert "pip install 'ffprobe-nn[export]'" in caught.value.hint


def test_the_command(folder: Path, tmp_path: Path) -> None:
    words = ["export", str(folder / "class.h5"), "--to", "pt2", "-o", "x.pt2"]
    done = program(*words, "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.json["output"] == "scores" and done.json["different_labels"] == 0
    assert done.json["bytes"] == (tmp_path / "x.pt2").stat().st_size
    assert program(*words, cwd=tmp_path).code == 2  # it exists


def test_the_sentences_of_the_command(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.pt2"
    path.write_bytes(b"")
    shared = {"kind": "pixels", "shape": (1, 8, 8), "classes": tuple("abc"), "precision": "fp32"}
    shared["checked_on"] = "test images"
    scores = Export(path, "pt2", "scores", "interval", agreement=Agreement(20, 1.25e-7, 0, 2), **shared)  # type: ignore[arg-type]
    assert _sentences(scores) == [
        "Images [N, 1, 8, 8], 0 to 255, to scores [N, 3] by interval.",
        "Reloaded with torch.export and compared on 20 test images: largest deviation 1.2e-07, 0 different labels (2 "
        "more with tied scores).",
    ]
    weights = replace(scores, format="safetensors", evaluator="", output="goodness")
    assert _sentences(weights)[0] == (
        "Weights by name, without the function that was checked: images [N, 1, 8, 8], 0 to 255, to the goodness of "
        "every layer [L, N, 3]."
    )


def test_code_that_a_run_file_names_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (
        BRANCHES.replace("if float(x.sum()) > 0 else x", "") + "\nfrom pathlib import Path\nPath('executed').touch()\n"
    )
    run = train(tmp_path / "run.h5", write(tmp_path, text, "branches.py"))
    (tmp_path / "executed").unlink()  # by the training
    done = program("export", str(run), "--to", "pt2", cwd=tmp_path)
    assert done.code == 2 and "The file names code that you did not" in done.err
    assert not (tmp_path / "executed").exists()
    assert program("export", str(run), "--to", "pt2", "--trust", cwd=tmp_path).code == 0


def test_without_the_data_set_random_images_check_the_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*arguments: Any) -> Any:
        raise FileError("The files of the data set are missing.")

    monkeypatch.setattr("ffprobe.inference.export.images_to_predict", missing)
    done = ffprobe.export(folder / "class.h5", tmp_path / "x.pt2", to="pt2")
    assert (done.checked_on, done.agreement.images, done.agreement.different_labels) == ("random images", 256, 0)
