"""A checkpoint that was tampered with is refused with what is wrong, before training starts."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from test_resume import OLU, session

from ffprobe.errors import FileError, Interrupted
from ffprobe.store.names import partial_of
from ffprobe.store.reader import open_run
from ffprobe.training.checkpoint import checkpoint_of, read_checkpoint, write_checkpoint


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("interrupted") / "run.h5"
    with pytest.raises(Interrupted):
        session(out, *OLU, stop=7).run()
    return out


def entry(state: dict[str, Any], path: str) -> tuple[Any, str]:
    """The table that holds an entry, and its key; ``*`` is the first key."""
    *parents, last = path.split("/")
    for name in parents:
        state = state[next(iter(state)) if name == "*" else name]
    return state, next(iter(state)) if last == "*" else last


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(state: dict[str, Any]) -> None:
        table, key = entry(state, path)
        table[key] = value

    return change


def drop(path: str) -> Callable[[dict[str, Any]], None]:
    def change(state: dict[str, Any]) -> None:
        table, key = entry(state, path)
        del table[key]

    return change


def wrong_moment(state: dict[str, Any]) -> None:
    moments = next(iter(state["experiment"]["learner"].values()))["state"]
    table = next(iter(moments.values()))
    name = next(name for name, value in table.items() if isinstance(value, torch.Tensor) and value.dim())
    table[name] = torch.zeros(3, 5)


TAMPERED: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "commit-text": (put("commit", "1"), "'commit' is '1', not int"),
    "commit-bool": (put("commit", True), "'commit' is True, not int"),
    "commit-large": (put("commit", 99), "it belongs to commit 99"),
    "commit-negative": (put("commit", -1), "it belongs to commit -1"),
    "epoch-large": (put("progress/epoch", 99), "'progress.epoch' is 99"),
    "epoch-negative": (put("progress/epoch", -5), "'progress.epoch' is -5"),
    "epoch-text": (put("progress/epoch", "1"), "'progress.epoch' is '1'"),
    "epoch-tensor": (put("progress/epoch", torch.ones(3)), "'progress.epoch' is a tensor"),
    "step": (put("progress/step", 10**9), "'progress.step' is 1000000000"),
    "seconds": (put("progress/seconds", float("nan")), "'progress.seconds' is nan"),
    "outcome": (put("progress/outcome", {"secret": 1}), "'progress.outcome'"),
    "outcome-type": (put("progress/outcome/seconds", "x"), "'progress.outcome.seconds' is 'x'"),
    "no-progress": (drop("progress"), "it has no 'progress'"),
    "no-experiment": (drop("experiment"), "it has no 'experiment'"),
    "progress-list": (put("progress", [1]), "'progress' is"),
    "created": (put("created_utc", torch.ones(2)), "'created_utc' is a tensor"),
    "resumed": (put("resumed", [1]), "'resumed' is"),
    "environment": (put("environment", {"plugins": 3, "config": {}}), "'environment.plugins' is 3"),
    "environment-plugins": (put("environment/plugins", [3, "x"]), "'environment' has another form"),
    "environment-tensor": (put("environment/config", torch.ones(3)), "'environment.config' is a tensor"),
    "weights-shape": (put("experiment/network/*", torch.zeros(2, 2)), "network.* is float32 .2, 2., not"),
    "weights-dtype": (put("experiment/network/*", "x"), "network.* is 'x', not a tensor"),
    "no-weight": (drop("experiment/network/*"), "network has no"),
    "more-weights": (put("experiment/network/more", torch.ones(1)), "network has 'more'"),
    "no-stream": (drop("experiment/streams/*"), "streams has no"),
    "stream": (put("experiment/streams/*", torch.zeros(4, dtype=torch.uint8)), "streams.* is uint8 .4., not"),
    "global-stream": (put("experiment/global_stream", torch.zeros(3)), "global_stream is float32"),
    "components": (put("experiment/components", {}), "components has no"),
    "component": (put("experiment/components/*", 3), "components.* is 3, not dict"),
    "learner": (put("experiment/learner", {"a": 1}), "the learner cannot load its state"),
    "learner-range": (put("experiment/learner/*", {"state": {}}), "the learner cannot load its state"),
    "moment": (wrong_moment, "the optimizer's .* has shape .3, 5."),
    "lr": (put("experiment/learner/*/param_groups", [{"params": [0]}]), "the learner cannot load its state"),
}


@pytest.mark.parametrize("kind", TAMPERED)
def test_a_tampered_checkpoint_is_refused_before_training(kind: str, interrupted: Path, tmp_path: Path) -> None:
    change, message = TAMPERED[kind]
    out = tmp_path / "run.h5"
    for of in (partial_of, checkpoint_of):
        of(out).write_bytes(of(interrupted).read_bytes())
    state = read_checkpoint(checkpoint_of(out))
    change(state)
    write_checkpoint(checkpoint_of(out), state)
    steps: list[int] = []

    def resume() -> None:
        made = session(out, *OLU, resume=True)
        made.trainer.learn = lambda *_: steps.append(1)  # type: ignore[assignment, method-assign]
        made.run()

    with pytest.raises(FileError, match=message) as caught:
        resume()
    assert caught.value.where == str(checkpoint_of(out))
    assert caught.value.hint
    assert steps == []
    with open_run(partial_of(out)) as run:
        assert run.epochs == 1


def test_a_checkpoint_that_declares_more_than_it_has_is_not_unpacked(interrupted: Path, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.checkpoint"
    with zipfile.ZipFile(checkpoint_of(interrupted)) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        new.writestr("archive/data/99", bytes(1 << 28))
    with pytest.raises(FileError, match="more than the file has"):
        read_checkpoint(bomb)


NAME = os.fsdecode(b"run-\xff\xfe.h5")


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_file_name_that_is_not_utf8_works(tmp_path: Path) -> None:
    out = tmp_path / NAME
    with pytest.raises(Interrupted):
        session(out, *OLU, stop=7).run()
    with open_run(partial_of(out)) as run:
        assert run.epochs == 1
    session(out, *OLU, resume=True).run()
    assert os.listdir(tmp_path) == [NAME]
    with open_run(out) as run:
        assert (run.epochs, run.complete) == (4, True)
