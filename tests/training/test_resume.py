"""A resumed run ends with the numbers of an uninterrupted run, bit for bit."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plugin_files import DROPOUT, write
from toy import toy_config

import ffprobe
from ffprobe.errors import FileError, Interrupted, UsageError
from ffprobe.plugin.registry import Registry
from ffprobe.store.names import partial_of
from ffprobe.training.checkpoint import checkpoint_of, read_checkpoint, write_checkpoint
from ffprobe.training.resume import experiment_state
from ffprobe.training.session import Session

OLU = ("olu", "batchnorm", "symba")


class StopAt:
    """Requests the run to stop after one of its steps."""

    def __init__(self, step: int) -> None:
        self.step, self.session = step, None

    @ffprobe.hookimpl
    def ffprobe_after_step(self, context: Any) -> None:
        if context.step == self.step and self.session is not None:
            self.session.trainer.stop_after_batch(signal.SIGTERM)


def session(out: Path, *plugins: str, stop: int | None = None, **how: Any) -> Session:
    registry = Registry()
    changes = {"training": {"epochs": 4, "augmentation": True, "lr_schedule": "cosine", **how.pop("training", {})}}
    watcher = StopAt(-1 if stop is None else stop)
    made = Session.start(
        toy_config(registry, *plugins, **changes, **how.pop("config", {})),
        registry,
        out,
        observers=[("stop", watcher)],
        **how,
    )
    watcher.session = made
    return made


def flat(state: Any, path: str = "") -> dict[str, Any]:
    if isinstance(state, dict):
        return {k: v for key, item in state.items() for k, v in flat(item, f"{path}/{key}").items()}
    if isinstance(state, list | tuple):
        return {k: v for i, item in enumerate(state) for k, v in flat(item, f"{path}/{i}").items()}
    return {path: state}


def assert_same_ending(first: Session, second: Session) -> None:
    one, two = flat(experiment_state(first.experiment)), flat(experiment_state(second.experiment))
    assert set(one) == set(two)
    for key, value in one.items():
        same = torch.equal(value, two[key]) if isinstance(value, torch.Tensor) else value == two[key]
        assert same, key


def assert_same_files(first: Path, second: Path) -> None:
    with ffprobe.open(first) as one, ffprobe.open(second) as two:
        assert one.paths() == two.paths()
        for path in one.paths():
            timed = any(word in path for word in ("wall_time", "images_per_second", "peak_memory", "commit/"))
            if not timed:
                np.testing.assert_array_equal(one.read(path), two.read(path), err_msg=path)


@pytest.mark.parametrize("stop", [0, 5, 7, 13], ids=["first-step", "mid-epoch", "last-step-of-epoch", "last-epoch"])
def test_a_resumed_run_ends_like_an_uninterrupted_one(tmp_path: Path, stop: int) -> None:
    whole = session(tmp_path / "whole.h5", *OLU)
    whole.run()
    with pytest.raises(Interrupted, match="--resume"):
        session(tmp_path / "parts.h5", *OLU, stop=stop).run()
    assert checkpoint_of(tmp_path / "parts.h5").exists()
    rest = session(tmp_path / "parts.h5", *OLU, resume=True)
    outcome = rest.run()
    assert_same_ending(whole, rest)
    assert_same_files(tmp_path / "whole.h5", tmp_path / "parts.h5")
    assert outcome.test_accuracy == whole.trainer.outcome.test_accuracy
    assert not checkpoint_of(tmp_path / "parts.h5").exists()
    assert not partial_of(tmp_path / "parts.h5").exists()
    with ffprobe.open(tmp_path / "parts.h5") as run:
        assert run.attributes["resumed"] == [f"after epoch {stop // 4}"]


def test_probes_that_use_a_sandbox_record_the_same_after_a_resume(tmp_path: Path) -> None:
    probes = ("gradients:sandbox_every=3", "scaling:sandbox_every=3", "negatives:sandbox_every=3", "locality:every=1")
    session(tmp_path / "whole.h5", *OLU, *probes).run()
    for stop in (2, 9):  # in the middle of the first and of the third epoch
        with pytest.raises(Interrupted):
            session(tmp_path / "parts.h5", *OLU, *probes, stop=stop, resume=True).run()
    session(tmp_path / "parts.h5", *OLU, *probes, resume=True).run()
    assert_same_files(tmp_path / "whole.h5", tmp_path / "parts.h5")
    with ffprobe.open(tmp_path / "parts.h5") as run:
        assert run.messages() == []
        assert run.read("probes/gradients/steps/step").tolist() == list(range(16))
        assert len(run.read("probes/scaling/step")) == 4
        assert run.read("probes/locality/epoch").tolist() == [0, 1, 2, 3]


def test_a_run_may_be_stopped_many_times(tmp_path: Path) -> None:
    plugin = write(tmp_path, DROPOUT)
    whole = session(tmp_path / "whole.h5", plugin)
    whole.run()
    for stop in (1, 6, 6, 10):
        with pytest.raises(Interrupted):
            session(tmp_path / "parts.h5", plugin, stop=stop, resume=True).run()
    rest = session(tmp_path / "parts.h5", plugin, resume=True)
    rest.run()
    assert_same_ending(whole, rest)
    assert rest.experiment.components["loss"].calls == whole.experiment.components["loss"].calls


def test_resume_without_a_run_starts_one(tmp_path: Path) -> None:
    made = session(tmp_path / "new.h5", *OLU, resume=True)
    assert made.state is None
    made.run()
    assert (tmp_path / "new.h5").exists()


def interrupted(tmp_path: Path, *plugins: str, stop: int = 6) -> Path:
    with pytest.raises(Interrupted):
        session(tmp_path / "run.h5", *plugins, stop=stop).run()
    return tmp_path / "run.h5"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"learning_rate": 0.5}}, r"config.training.learning_rate: 0.001 -> 0.5"),
        ({"config": {"seed": 3}}, r"config.seed: 0 -> 3"),
        ({"training": {"max_images": 200}}, r"data.training"),
        ({"training": {"epochs": 9}}, r"config.training.epochs: 4 -> 9"),
    ],
    ids=str,
)
def test_changes_are_refused_and_listed(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    out = interrupted(tmp_path, *OLU)
    before = partial_of(out).read_bytes()
    with pytest.raises(UsageError, match=message):
        session(out, *OLU, resume=True, **changes)
    assert partial_of(out).read_bytes() == before


def test_changed_threads_are_refused(tmp_path: Path) -> None:
    out = interrupted(tmp_path, *OLU)
    torch.set_num_threads(2)
    try:
        with pytest.raises(UsageError, match="threads: 1 -> 2"):
            session(out, *OLU, resume=True)
    finally:
        torch.set_num_threads(1)


def test_changes_that_are_allowed_are_recorded(tmp_path: Path) -> None:
    out = interrupted(tmp_path, *OLU)
    session(out, *OLU, resume=True, allow_changes=True, training={"learning_rate": 0.01}).run()
    with ffprobe.open(out) as run:
        assert run.attributes["changed_on_resume"] == ["config.training.learning_rate: 0.001 -> 0.01"]


def test_a_missing_checkpoint_is_an_error(tmp_path: Path) -> None:
    out = interrupted(tmp_path, *OLU)
    checkpoint_of(out).unlink()
    with pytest.raises(FileError, match=r"1 epochs are committed.*--overwrite"):
        session(out, *OLU, resume=True)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    out = interrupted(tmp_path, *OLU)
    state = read_checkpoint(checkpoint_of(out))
    write_checkpoint(checkpoint_of(out), {**state, "created_utc": "1999"})
    with pytest.raises(FileError, match="another run"):
        session(out, *OLU, resume=True)


def test_a_run_killed_before_its_first_commit_starts_again_and_ignores_an_older_checkpoint(tmp_path: Path) -> None:
    out = interrupted(tmp_path, *OLU)
    old_checkpoint = read_checkpoint(checkpoint_of(out))
    started = session(out, *OLU, overwrite=True)
    assert started.recorder is not None
    started.recorder.writer.close()
    write_checkpoint(checkpoint_of(out), {**old_checkpoint, "created_utc": "1999"})
    outcome = session(out, *OLU, resume=True).run()
    with ffprobe.open(out) as run:
        assert run.epochs == 4 and "resumed" not in run.attributes
    assert outcome.validation_accuracy == session(tmp_path / "whole.h5", *OLU).run().validation_accuracy
