"""Stopping early, and keeping the best epoch: in closed form, in a run, and over a resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy import toy_config

import ffprobe
from ffprobe.errors import Interrupted
from ffprobe.plugin.registry import Registry
from ffprobe.training.best_epoch import BestEpoch
from ffprobe.training.session import Session

NAN = float("nan")


@pytest.mark.parametrize(
    ("accuracies", "patience", "stops_after", "best"),
    [
        ([0.1, 0.2, 0.3, 0.4], 2, None, 4),
        ([0.5, 0.4, 0.3, 0.9], 2, 3, 1),
        ([0.5, 0.5, 0.5], 2, 3, 1),  # equal is not better
        ([0.5, NAN, 0.4], 2, 3, 1),
        ([NAN, NAN], 2, 2, 0),
        ([0.5, 0.4, 0.3, 0.2], 0, None, 1),
        ([0.5, 0.4, 0.6, 0.5, 0.5], 2, 5, 3),
    ],
)
def test_it_stops_after_the_evaluations_without_an_improvement(
    accuracies: list[float], patience: int, stops_after: int | None, best: int
) -> None:
    follows, network, stopped = BestEpoch(patience), torch.nn.Linear(2, 2), None
    for epoch, accuracy in enumerate(accuracies, 1):
        follows.update(epoch, accuracy, network)
        if follows.stops:
            stopped = epoch
            break
    assert (stopped, follows.epoch) == (stops_after, best)


def test_the_weights_of_the_best_epoch_come_back() -> None:
    follows, network = BestEpoch(keep=True), torch.nn.BatchNorm1d(2)
    for epoch, accuracy in ((1, 0.2), (2, 0.8), (3, 0.5)):
        network.running_mean.fill_(epoch)  # type: ignore[union-attr, operator]
        follows.update(epoch, accuracy, network)
    again = BestEpoch(keep=True)
    again.load_state_dict(follows.state_dict(), network)
    again.restore(network)
    assert network.running_mean.tolist() == [2, 2]  # type: ignore[union-attr, operator]
    wrong: list[Any] = [{"weights": {}}, {"epoch": "1"}, {"accuracy": None}, {"weights": {"weight": torch.ones(3)}}]
    for changed in wrong:
        with pytest.raises(ValueError, match="'best"):
            again.load_state_dict({**follows.state_dict(), **changed}, network)


def start(out: Path, epochs: int = 8, **training: Any) -> Session:
    registry = Registry()
    # so large a rate that accuracy falls again
    settings = {"epochs": epochs, "learning_rate": 0.1, "num_evaluations": epochs, **training}
    config: Any = toy_config(registry, "symba", training=settings, recording={"activations": True})
    return Session.start(config, registry, out, resume=True)


def accuracies(path: Path) -> np.ndarray:
    with ffprobe.open(path) as run:
        return np.asarray(run.read("metrics/model_validation_accuracy"))


def test_a_run_keeps_its_best_epoch(tmp_path: Path) -> None:
    start(tmp_path / "plain.h5").run()
    start(tmp_path / "best.h5", keep_best=True).run()
    plain, kept = accuracies(tmp_path / "plain.h5"), accuracies(tmp_path / "best.h5")
    best = int(np.argmax(plain))
    assert best < 7, "the test needs a run whose last epoch is not its best one"
    assert (kept[:-1] == plain[:-1]).all() and kept[-1] == plain[best]
    with ffprobe.open(tmp_path / "best.h5") as run, ffprobe.open(tmp_path / "plain.h5") as other:
        rows = run.read("evaluation/goodness")
        assert (rows[-1] == other.read("evaluation/goodness")[best]).all()
        assert run.read("final/model_validation_accuracy") == plain[best]
        assert any(f"Kept the weights of epoch {best + 1}" in text for _, text in run.messages())
        test = ffprobe.registered("dataset")["digits"]().load("test")  # type: ignore[call-arg]
        right = ffprobe.predict(run, test.pixels.numpy()) == test.labels.numpy()
        assert float(run.read("final/model_test_accuracy")) == pytest.approx(right.mean())  # with the kept weights


def test_a_run_stops_early_and_ends_as_it_would_have(tmp_path: Path) -> None:
    start(tmp_path / "plain.h5").run()
    start(tmp_path / "early.h5", early_stop=1).run()
    plain, early = accuracies(tmp_path / "plain.h5"), accuracies(tmp_path / "early.h5")
    fell = next(i for i in range(1, 8) if plain[i] <= plain[:i].max())
    assert len(early) == fell + 1 < 8 and (early == plain[: fell + 1]).all()
    with ffprobe.open(tmp_path / "early.h5") as run:
        assert run.complete and any("Stopped early" in text for _, text in run.messages())
        assert (
            int(run.read("activations/0/pre/epoch")[-1]) == fell + 1
        )  # recorded after the last epoch, whichever it is


def test_a_resumed_run_knows_its_best_epoch(tmp_path: Path) -> None:
    start(tmp_path / "whole.h5", keep_best=True, early_stop=3).run()
    session = start(tmp_path / "twice.h5", keep_best=True, early_stop=3)
    session.trainer.stop_after_batch(2)
    with pytest.raises(Interrupted):
        session.run()
    for _ in range(3):
        session = start(tmp_path / "twice.h5", keep_best=True, early_stop=3)
        epochs = session.trainer._run_epoch

        def one(epochs: Any = epochs, session: Any = session) -> None:
            epochs()
            session.trainer.stop_after_batch(2)

        session.trainer._run_epoch = one  # type: ignore[method-assign]
        with pytest.raises(Interrupted):
            session.run()
    start(tmp_path / "twice.h5", keep_best=True, early_stop=3).run()
    assert (accuracies(tmp_path / "whole.h5") == accuracies(tmp_path / "twice.h5")).all()


def test_no_run_stops_before_its_last_layer_has_begun_to_learn(tmp_path: Path) -> None:
    settings = {
        "network": {"name": "fcn", "width": 0.01, "depth": 3},
        "training": {"epochs": 9, "batch_size": 32, "max_images": 128, "early_stop": 1},
        "precision": "fp32",
        "probes": [],
    }
    with ffprobe.run(tmp_path / "run.h5", preset="mono-forward", settings=settings) as run:
        assert run.epochs > 6  # three layers, three epochs each
