"""Networks, data and plugins that a program hands to ``ffprobe.run``."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from pydantic import Field
from sklearn.datasets import load_wine
from torch import nn

import ffprobe
from ffprobe.training.trainer import Trainer

X, Y = load_wine(return_X_y=True)
SHORT = {
    "training": {"epochs": 2, "batch_size": 16},
    "recording.samples": 40,
    "precision": "fp32",
    "device": "cpu",
    "probes": [],
}


class Scaled(ffprobe.Normalizer):
    """Multiplies by a factor."""

    name = "scaled"

    class Params(ffprobe.Params):
        """The factor."""

        factor: float = Field(1.0, description="the factor")

    def build(self, shape):
        """A module with one factor."""
        module = nn.Identity()
        module.register_buffer("factor", torch.tensor(self.params.factor))
        return module


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(13, 8), nn.ReLU(), nn.Linear(8, 6), nn.Tanh())


def handed_in(path, **more):
    given = {"preset": "mono-forward", "network": network(), "data": (X, Y), "settings": SHORT, **more}
    return ffprobe.run(path, **given)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("given") / "run.h5"
    with handed_in(path, plugins=[Scaled(factor=2.0)]):
        return path


def test_the_file_describes_the_objects_and_the_settings_of_the_instance(path):
    with ffprobe.open(path) as run:
        assert run.config["normalizer"]["factor"] == 2.0
        assert "Linear(in_features=13" in run.config["network"]["text"]
        assert run.config["dataset"]["text"] == "tuple: values [142, 13], 3 classes"
        assert run.attributes["layer_shapes"] == ["8", "6"]
        assert any("scaled (given sha256" in plugin for plugin in run.attributes["plugins"])


def test_the_same_program_predicts_and_rebuilds(path):
    predicted = ffprobe.predict(path, X)
    with ffprobe.open(path) as run:
        assert run.network().depth == 2
    assert set(predicted.tolist()) <= {0, 1, 2}
    with pytest.raises(ffprobe.UsageError, match=r"inputs must be numbers \[N, 13\]"):
        ffprobe.predict(path, X[:, :5])


def test_modules_keep_their_weights_and_are_not_changed(tmp_path):
    model = network()
    before = [p.detach().clone() for p in model.parameters()]
    with handed_in(tmp_path / "a.h5", network=model, settings={**SHORT, "training.learning_rate": 1e-12}) as run:
        torch.testing.assert_close(torch.as_tensor(run["weights/0/module.0.weight"][...]), before[0], atol=1e-6, rtol=0)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_a_function_draws_its_weights_from_the_seed(tmp_path):
    def make(shape, classes):
        return nn.Sequential(nn.Linear(shape[0], 4 + classes), nn.ReLU())

    weights = []
    for seed in (0, 0, 1):
        settings = {**SHORT, "seed": seed, "training.learning_rate": 1e-12}
        with handed_in(tmp_path / f"{len(weights)}.h5", network=make, settings=settings) as run:
            weights.append(run["weights/0/module.0.weight"][...])
            assert "4 + classes" in run.config["network"]["source"]
    assert np.array_equal(weights[0], weights[1])
    assert not np.allclose(weights[0], weights[2])


def test_an_interrupted_run_resumes_with_the_same_objects(tmp_path, monkeypatch):
    run_epoch = Trainer._run_epoch

    def once(trainer):
        if trainer.epoch == 1:
            raise RuntimeError("stopped")
        run_epoch(trainer)

    out = tmp_path / "run.h5"
    settings = {**SHORT, "training.epochs": 3}
    monkeypatch.setattr(Trainer, "_run_epoch", once)
    with pytest.raises(ffprobe.FfprobeError, match="stopped"):
        handed_in(out, plugins=[Scaled], settings=settings)
    monkeypatch.undo()
    with handed_in(out, plugins=[Scaled], settings=settings, resume=True) as run:
        assert run.complete
    with handed_in(tmp_path / "whole.h5", plugins=[Scaled], settings=settings) as whole, ffprobe.open(out) as run:
        assert np.array_equal(whole["test/goodness"][...], run["test/goodness"][...])


def test_another_program_is_told_what_is_missing(path):
    script = f"import ffprobe, numpy\nffprobe.predict({str(path)!r}, numpy.zeros((2, 13)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert "was an object of the program that trained the run" in done.stderr
    assert "Hand it in again" in done.stderr


def test_a_network_that_does_not_fit_says_which_layer_and_why(tmp_path):
    with pytest.raises(ffprobe.UsageError, match=r"Layer 1 of the network .* input of shape \[13\]"):
        handed_in(tmp_path / "a.h5", network=nn.Sequential(nn.Linear(99, 4), nn.ReLU()))
    with pytest.raises(ffprobe.UsageError, match="network is 3"):
        handed_in(tmp_path / "b.h5", network=3)
    with pytest.raises(ffprobe.UsageError, match="returned str"):
        handed_in(tmp_path / "c.h5", network=lambda shape, classes: "no")


@pytest.mark.parametrize(
    ("plugins", "sentence"),
    [("olu", "must be a list"), ([3], "neither a word nor a component"), ([ffprobe.Loss], "has no name")],
)
def test_plugins_that_are_none_are_refused(plugins, sentence, tmp_path):
    with pytest.raises(ffprobe.UsageError, match=sentence):
        handed_in(tmp_path / "a.h5", plugins=plugins)


def test_a_class_that_was_defined_again_replaces_the_first(tmp_path):
    class Scaled(ffprobe.Normalizer):
        """Another one."""

        name = "scaled"

        def build(self, shape):
            """The identity."""
            return nn.Identity()

    with handed_in(tmp_path / "a.h5", plugins=[Scaled]) as run:
        assert "factor" not in run.config["normalizer"]


def test_another_program_predicts_with_the_same_modules_and_without_the_data(tmp_path):
    script = """
import ffprobe, numpy
from torch import nn
layers = nn.Sequential(nn.Linear(13, 8), nn.ReLU(), nn.Linear(8, 6), nn.Tanh())
numpy.save("labels.npy", ffprobe.predict("run.h5", numpy.ones((3, 13)), network=layers))
"""
    with handed_in(tmp_path / "run.h5"):
        pass
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120, cwd=tmp_path)
    assert np.load(tmp_path / "labels.npy").tolist() == ffprobe.predict(tmp_path / "run.h5", np.ones((3, 13))).tolist()
    with pytest.raises(ffprobe.UsageError, match="is not that of the run"):
        ffprobe.predict(tmp_path / "run.h5", np.ones((3, 13)), network=nn.Sequential(nn.Linear(13, 9), nn.ReLU()))
