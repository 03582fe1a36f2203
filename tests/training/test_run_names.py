"""Which file a run writes, resumes, replaces or refuses: no finished result is ever lost without ``--overwrite``."""

from __future__ import annotations

import os
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from toy import TOY, toy_config

import ffprobe
from ffprobe.api import configure, train
from ffprobe.components.process_group import ProcessGroup
from ffprobe.config.options import RunOptions
from ffprobe.errors import FileError, Interrupted, UsageError
from ffprobe.plugin.registry import Registry
from ffprobe.store.names import partial_of, run_file
from ffprobe.training.checkpoint import checkpoint_of
from ffprobe.training.prepared_run import prepare
from ffprobe.training.session import Session, open_record


def start(out: Path, seed: int = 0, **how: Any) -> Session:
    registry = Registry()
    return Session.start(toy_config(registry, seed=seed, probes=[]), registry, out, **how)


def interrupt(out: Path, **how: Any) -> None:
    """Train one epoch of two, and stop in the second."""

    class Stop:
        @ffprobe.hookimpl
        def ffprobe_before_epoch(self, context: Any) -> None:
            if context.epoch == 1:
                session.trainer.stop_after_batch(signal.SIGTERM)

    session = start(out, observers=[("stop", Stop())], **how)
    with pytest.raises(Interrupted):
        session.run()


def again(out: Path, *, overwrite: bool = False, **settings: Any) -> Any:
    """``ffprobe run --resume`` with the toy's settings and these."""
    registry = Registry()
    table = {**TOY, "probes": [], **settings}
    return train(configure(registry, RunOptions(), table, out), registry, out, resume=True, overwrite=overwrite)


def seed_of(out: Path) -> object:
    with ffprobe.open(out) as run:
        return run.attributes["seed"]


def test_a_run_that_finishes_while_another_one_starts_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "run.h5"
    registry = Registry()
    second = prepare(toy_config(registry, seed=2, probes=[]), registry)  # found no file of this name
    start(out, seed=1, resume=True).run()
    with pytest.raises(UsageError, match="already a finished run file"):
        open_record(second, out, resume=True)
    assert seed_of(out) == 1
    assert list(tmp_path.iterdir()) == [out]


def test_a_file_that_appears_during_a_resumed_run_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "run.h5"
    session = start(out, resume=True)
    out.write_text("precious")
    with pytest.raises(FileError, match="was created during the run"):
        session.run()
    assert out.read_text() == "precious"
    with ffprobe.open(partial_of(out)) as run:
        assert run.epochs == 2


def test_an_interrupted_overwrite_is_resumed_and_replaces_what_it_was_to_replace(tmp_path: Path) -> None:
    out = tmp_path / "run.h5"
    start(out, seed=1).run()
    interrupt(out, seed=2, overwrite=True)
    assert seed_of(out) == 1
    again(out, seed=2)
    assert seed_of(out) == 2
    assert list(tmp_path.iterdir()) == [out]


def test_it_does_not_replace_a_file_that_came_since(tmp_path: Path) -> None:
    out = tmp_path / "run.h5"
    start(out, seed=1).run()
    interrupt(out, seed=2, overwrite=True)
    out.write_text("precious")
    with pytest.raises(UsageError, match="already exists"):
        again(out, seed=2)
    assert out.read_text() == "precious"


def test_the_same_run_is_complete_and_its_results_are_returned(tmp_path: Path) -> None:
    out = tmp_path / "run.h5"
    first = start(out).run()
    checkpoint_of(out).write_bytes(b"left by a kill")
    modified = out.stat().st_mtime_ns
    outcome = again(out)
    assert outcome.test_accuracy == pytest.approx(first.test_accuracy)
    assert outcome.model_validation_accuracy == pytest.approx(first.model_validation_accuracy)
    assert out.stat().st_mtime_ns == modified
    assert list(tmp_path.iterdir()) == [out]  # the checkpoint is gone


def test_of_several_processes_the_main_one_alone_returns_a_complete_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Second(ProcessGroup):
        rank, size = 1, 2

    out = tmp_path / "run.h5"
    start(out).run()
    monkeypatch.setattr("ffprobe.distributed.processes.process_group", lambda device: nullcontext(Second()))
    assert again(out) is None


def test_a_finished_run_with_other_settings_is_refused_with_what_differs(tmp_path: Path) -> None:
    out = tmp_path / "run.h5"
    start(out).run()
    with pytest.raises(UsageError, match=r"other settings: seed: 0 -> 7; training\.epochs: 2 -> 3"):
        again(out, seed=7, training={**TOY["training"], "epochs": 3})
    with pytest.raises(UsageError, match="other settings: seed: 0 -> 7"):
        ffprobe.run(out, settings={**TOY, "probes": [], "seed": 7}, resume=True)
    assert seed_of(out) == 0


def test_what_is_no_run_file_is_not_called_complete(tmp_path: Path) -> None:
    out = tmp_path / "run.h5"
    out.write_text("hello")
    with pytest.raises(FileError):
        again(out)
    assert out.read_text() == "hello"


def test_resume_with_nothing_but_the_name_takes_everything_from_the_partial(tmp_path: Path) -> None:
    out = tmp_path / "run.h5"
    watcher = tmp_path / "watcher.py"
    watcher.write_text("import ffprobe\n\n@ffprobe.hookimpl\ndef ffprobe_before_run(context):\n    pass\n")
    registry = Registry()
    config = toy_config(registry, str(watcher), "olu", probes=[])

    class Stop:
        @ffprobe.hookimpl
        def ffprobe_before_epoch(self, context: Any) -> None:
            if context.epoch == 1:
                session.trainer.stop_after_batch(signal.SIGTERM)

    session = Session.start(config, registry, out, observers=[("stop", Stop())])
    with pytest.raises(Interrupted):
        session.run()
    for options in (
        RunOptions(plugin=(str(watcher),)),
        RunOptions(trust=True),
    ):  # the same command line, the name alone
        registry = Registry()
        resolved = configure(registry, options, resume_from=out)
        assert resolved.observers == (str(watcher),)
        assert resolved.slots["scheduler"].component.name == "olu"
    train(resolved, registry, out, resume=True)
    assert out.exists()


@pytest.mark.parametrize("loss", ["deleted", "replaced"])
def test_a_run_whose_file_is_gone_does_not_report_success(tmp_path: Path, loss: str) -> None:
    out = tmp_path / "run.h5"

    class Vandal:
        @ffprobe.hookimpl
        def ffprobe_after_step(self, context: Any) -> None:
            if context.step == 2:
                partial_of(out).unlink()
                if loss == "replaced":
                    partial_of(out).write_text("something else")

    session = start(out, observers=[("vandal", Vandal())])
    with pytest.raises(FileError, match="deleted or replaced"):
        session.run()
    assert not out.exists()


def test_a_plugin_that_changes_the_directory_scatters_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    class Walker:
        @ffprobe.hookimpl
        def ffprobe_before_run(self, context: Any) -> None:
            os.chdir(elsewhere)

    registry = Registry()
    train(toy_config(registry, probes=[]), registry, Path("run.h5"), observers=[("walker", Walker())])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "run.h5"]
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "needs a name"),
        ("  ", "needs a name"),
        ("/", "directory"),
        (".", "directory"),
        ("new/", "directory"),
        ("/dev/null", "not a regular file"),
        ("x" * 250 + ".h5", "too long"),
    ],
)
def test_names_that_cannot_be_a_run_file(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run_file(name)


def test_names_are_absolute_and_mean_the_finished_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert run_file("a.h5") == tmp_path / "a.h5"
    assert run_file("a.h5.partial") == tmp_path / "a.h5"
    assert run_file("~/a.h5") == tmp_path / "home" / "a.h5"
