"""Short labels of runs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ffprobe.analysis.runs.labels import SLOTS, difference_labels, layer_numbers, run_label, run_labels
from ffprobe.components.kinds import SINGLE_SLOTS
from ffprobe.config.preset_files import BASE_PRESET, preset_names, read_preset


def run(
    path: str = "run.h5", preset: str = "", seed: int = 0, training: dict[str, Any] | None = None, **slots: Any
) -> Any:
    """A stand-in: a path and the config of vanilla with some slots changed."""
    base = {slot: table for slot, table in read_preset(BASE_PRESET).items() if slot in SINGLE_SLOTS}
    if preset in preset_names():
        base |= read_preset(preset)
    base |= {k: v if isinstance(v, dict) else {"name": v} for k, v in slots.items()}
    config = {"preset": preset, "seed": seed, "training": training or {"epochs": 20}, **base}
    return SimpleNamespace(path=Path(path), config=config)


def test_every_slot_is_known() -> None:
    assert set(SLOTS) == set(SINGLE_SLOTS)


@pytest.mark.parametrize(
    ("one", "label"),
    [
        (run(), "vanilla-ff"),
        (run(dataset="cifar10"), "vanilla-ff"),
        (run(preset="trifecta"), "trifecta"),
        (run(preset="trifecta", network="tff-d"), "trifecta+tff-d"),
        (run(normalizer="batchnorm", loss="symba"), "symba+batchnorm"),
        (run(preset="not-ours", loss="symba"), "not-ours+symba"),
        (SimpleNamespace(path=Path("run-2.h5"), config={}), "vanilla-ff"),
        (SimpleNamespace(path=Path("run.h5"), config={"loss": "symba", "preset": "../x"}), "../x+symba"),
    ],
)
def test_label_of_one_run_of_the_default_name(one: Any, label: str) -> None:
    assert run_label(one) == label
    assert run_labels([one]) == [label]


@pytest.mark.parametrize(
    ("runs", "labels"),
    [
        # one slot differs: its names, vanilla's too, and nothing that they share
        ([run(loss="symba", normalizer=n) for n in ("length", "batchnorm", "none")], ["length", "batchnorm", "none"]),
        ([run(), run(preset="trifecta")], ["vanilla-ff", "trifecta"]),
        ([run(), run(loss="symba", normalizer="batchnorm")], ["vanilla-ff", "symba+batchnorm"]),
        # the network is shared and not vanilla: it is left out
        ([run(network="fcn", loss="symba"), run(network="fcn", scheduler="olu")], ["symba", "olu"]),
        ([run(dataset=d, loss=la) for d, la in (("digits", "symba"), ("mnist", "x"))], ["digits+symba", "mnist+x"]),
        ([run(seed=s) for s in (0, 3)], ["seed 0", "seed 3"]),
        ([run(preset="trifecta", seed=s) for s in (0, 3)], ["seed 0", "seed 3"]),
        (
            [run(loss="symba", seed=1), run(loss="symba", seed=2), run()],
            ["symba seed 1", "symba seed 2", "fixed-threshold"],
        ),
        ([run(loss={"name": "symba", "alpha": a}) for a in (2, 4)], ["alpha=2", "alpha=4"]),
        ([run(training={"learning_rate": r}) for r in (0.1, 0.2)], ["learning rate=0.1", "learning rate=0.2"]),
        ([run("a/run.h5"), run("b/run.h5.partial")], ["a/run", "b/run"]),
        ([run("a/x.h5"), run("a/y.h5")], ["x", "y"]),
        ([run("a/x.h5"), run("a/x.h5")], ["#1", "#2"]),
    ],
)
def test_without_names_labels_contain_the_differences(runs: list[Any], labels: list[str]) -> None:
    assert run_labels(runs) == labels
    assert difference_labels(runs) == labels


LONG = "fashion-mnist_symba_batchnorm_seed-{}.h5"


@pytest.mark.parametrize(
    ("runs", "labels"),
    [
        ([run("mine.h5", preset="trifecta")], ["mine"]),
        ([run("vanilla.h5"), run("trifecta.h5.partial", preset="trifecta")], ["vanilla", "trifecta"]),
        ([run("a/x.h5"), run("b/x.h5", loss="symba")], ["a/x", "b/x"]),
        ([run("a/c/x.h5"), run("b/c/x.h5")], ["a/c/x.h5", "b/c/x.h5"]),
        # one of them has a name that its user chose
        ([run("run.h5"), run("mine.h5", loss="symba")], ["run", "mine"]),
        # the default names say nothing, but here neither do the settings
        ([run("run.h5"), run("run-2.h5")], ["run", "run-2"]),
        ([run("run.h5"), run("run-2.h5", seed=1)], ["seed 0", "seed 1"]),
        # names that are too long for a table, unless the differences are longer or say nothing
        ([run(LONG.format(seed), seed=seed) for seed in (0, 1)], ["seed 0", "seed 1"]),
        ([run(LONG.format(0))], ["vanilla-ff"]),
        ([run(LONG.format(i)) for i in (0, 1)], [LONG.format(i).removesuffix(".h5") for i in (0, 1)]),
        (
            [run("x" * 25, loss="symba"), run("y", loss="an-even-longer-name-of-a-loss")],
            ["x" * 25, "y"],
        ),
        ([run("x.h5", loss="symba"), run("x.h5")], ["symba", "fixed-threshold"]),
    ],
)
def test_labels_are_file_names_unless_another_is_better(runs: list[Any], labels: list[str]) -> None:
    assert run_labels(runs) == labels


def test_layers_are_numbered_from_1_whatever_their_names() -> None:
    run: Any = SimpleNamespace(variable={"metrics/layer": np.array(["0", "conv", "2"])}.get)
    assert layer_numbers(run) == ["1", "2", "3"]
