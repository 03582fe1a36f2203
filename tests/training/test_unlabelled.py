"""Learning without labels: negatives that are images, and a readout from features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import Experiment, build
from ffprobe.training.session import Session

PLUGINS = ("no-label", "masked-hybrid", "one-pass")


def built(*plugins: str, **changes: Any) -> Experiment:
    return build(toy_config(Registry(), *plugins, **changes), Registry())


def test_the_first_layer_learns_from_images_and_their_negatives() -> None:
    made = built(*PLUGINS, "none", precision="fp64")
    images, labels = made.loader.preview()
    state = made.streams["negatives"].get_state()
    weight = made.network.layer(0).conv.weight
    first = next(made.learner.step(images, labels, 0, 0))
    found = weight.grad.clone()  # type: ignore[union-attr]
    again = built(*PLUGINS, "none", precision="fp64")
    again.streams["negatives"].set_state(state)
    wrong = again.setup.negatives(images, labels, 10, again.streams["negatives"])
    plain = again.network.layer(0).conv.weight.detach().clone().requires_grad_()

    def goodness(x: torch.Tensor) -> torch.Tensor:
        return functional.max_pool2d(functional.conv2d(x, plain, padding=1), 2).relu().square().flatten(1).mean(1)

    loss = (functional.softplus(2 - goodness(images)).mean() + functional.softplus(goodness(wrong) - 2).mean()) / 2
    torch.testing.assert_close(first.loss, loss.detach())
    torch.testing.assert_close(found, torch.autograd.grad(loss, plain)[0])


def test_labels_change_nothing() -> None:
    losses = []
    for shift in (0, 3):
        made = built(*PLUGINS)
        images, labels = made.loader.preview()
        losses.append([u.loss.item() for u in made.learner.step(images, (labels + shift) % 10, 0, 0)])
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("plugins", "message"),
    [
        (("no-label",), "positives and negatives would be the same"),
        (("masked-hybrid", "one-pass"), "learned without labels"),
        (("no-label", "masked-hybrid"), "no label enters the network"),
    ],
)
def test_combinations_that_would_learn_nothing_are_refused(plugins: tuple[str, ...], message: str) -> None:
    with pytest.raises(ffprobe.UsageError, match=message):
        built(*plugins)


def test_a_run_without_recorded_activations_is_refused(tmp_path: Path) -> None:
    config = toy_config(Registry(), *PLUGINS, recording={"activations": False})
    with pytest.raises(ffprobe.UsageError, match="fitted on recorded activations"):
        Session.start(config, Registry(), tmp_path / "run.h5")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ffprobe.RunFile:
    out = tmp_path_factory.mktemp("unlabelled") / "run.h5"
    registry = Registry()
    changes: dict[str, Any] = {"recording": {"samples": 200, "max_features": 32}}
    Session.start(toy_config(registry, *PLUGINS, **changes), registry, out).run()
    return ffprobe.open(out)


def test_probes_of_negatives_work_without_labels(tmp_path: Path) -> None:
    registry = Registry()
    probes = ("scaling:sandbox_every=1", "negatives:sandbox_every=1", "gradients:sandbox_every=1", "locality")
    Session.start(toy_config(registry, *PLUGINS, *probes), registry, tmp_path / "run.h5").run()
    with ffprobe.open(tmp_path / "run.h5") as run:
        assert run.messages() == []
        assert np.isfinite(run.read("probes/scaling/separation")).all()
        with pytest.raises(ffprobe.FileError, match="trained without labels"):
            ffprobe.analyze("negatives", run)


def test_the_goodness_of_labels_is_nan(run: ffprobe.RunFile) -> None:
    assert np.isnan(run.read("evaluation/goodness")).all()
    assert np.isnan(run.read("final/test_accuracy")).all()
    assert np.isfinite(run.read("metrics/loss")).all()
    with pytest.raises(ffprobe.FileError, match="one-pass"):
        ffprobe.read_calibration(run)


def test_the_readout_is_a_logistic_regression_on_recorded_features(run: ffprobe.RunFile) -> None:
    held, truth = run.read("activations/held_out") != 0, run.read("activations/true_label")
    x = np.concatenate([run.variable(f"activations/{i}/pre/activation")[-1] for i in range(3)], axis=1).astype(float)
    mean, deviation = x[~held].mean(0), x[~held].std(0)
    z = (x - mean) / np.where(deviation > 0, deviation, 1)
    head = LogisticRegression(C=0.1, tol=1e-6, max_iter=100).fit(z[~held], truth[~held])
    expected = head.predict(z[held])
    evaluator: Any = ffprobe.registered("evaluator")["one-pass"]()
    evaluator.calibrate(ffprobe.read_calibration(run, "pre"))
    assert (evaluator.predict(ffprobe.read_calibration(run, "pre").scan()).numpy() == expected).mean() > 0.97
    # the run's own accuracy covers the whole validation set; chance is 0.1
    own = float(run.read("final/model_validation_accuracy"))
    assert abs(own - head.score(z[held], truth[held])) < 0.2
    assert own > 0.3


def test_prediction_from_the_file_gives_the_run_s_own_accuracy(run: ffprobe.RunFile) -> None:
    test = ffprobe.registered("dataset")["digits"]().load("test")  # type: ignore[call-arg]
    labels = ffprobe.predict(run, test.pixels.numpy())
    assert (labels == test.labels.numpy()).mean() == pytest.approx(float(run.read("final/model_test_accuracy")))
