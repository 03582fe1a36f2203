"""Observers that are components: their settings, what they learn of a run, and what they keep over a resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from plugin_files import write
from toy import toy_config

import ffprobe
from ffprobe.config.resolve import resolve
from ffprobe.errors import Interrupted, UsageError
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session

DIARY = '''
import json
import ffprobe
from pydantic import Field

class Diary(ffprobe.Observer):
    """Writes what it sees."""

    name = "diary"
    seen = 0

    class Params(ffprobe.Params):
        """Where."""

        file: str = Field("", description="path of the text file")

    def prepare(self):
        if not self.params.file:
            raise ffprobe.UsageError("The diary has no file.", hint="Add diary:file=PATH.")

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context):
        self.seen += 1

    @ffprobe.hookimpl
    def ffprobe_after_run(self, context):
        with open(self.params.file, "w") as file:
            json.dump({"seen": self.seen, "path": context.path, **context.results}, file)

@ffprobe.hookimpl
def ffprobe_components():
    return [Diary]
'''


class Stop:
    """Interrupts the run in its second epoch."""

    session: Session

    @ffprobe.hookimpl
    def ffprobe_before_epoch(self, context: Any) -> None:
        if context.epoch == 1:
            self.session.trainer.stop_after_batch(2)


@pytest.fixture
def diary(tmp_path: Path) -> str:
    return write(tmp_path, DIARY, "diary.py")


def test_it_learns_the_path_and_the_results(tmp_path: Path, diary: str) -> None:
    config = toy_config(Registry(), f"{diary}:file={tmp_path}/a.json", probes=[])
    outcome = Session.start(config, registry := Registry(), tmp_path / "run.h5").run()
    seen = json.loads((tmp_path / "a.json").read_text())
    assert seen["path"] == str(tmp_path / "run.h5") and seen["seen"] == 2
    assert seen["test_accuracy"] == outcome.test_accuracy
    assert seen["model_test_accuracy"] == outcome.model_test_accuracy
    assert resolve(config.to_dict(), registry) == config


def test_its_state_is_kept_over_a_resume(tmp_path: Path, diary: str) -> None:
    def start(resume: bool, *observers: Any) -> Session:
        registry = Registry()
        config = toy_config(registry, f"{diary}:file={tmp_path}/a.json", probes=[])
        return Session.start(config, registry, tmp_path / "run.h5", resume=resume, observers=observers)

    stop = Stop()
    stop.session = start(False, ("stop", stop))
    with pytest.raises(Interrupted):
        stop.session.run()
    start(True).run()
    assert json.loads((tmp_path / "a.json").read_text())["seen"] == 2


def test_it_refuses_before_anything_is_written(tmp_path: Path, diary: str) -> None:
    registry = Registry()
    with pytest.raises(UsageError, match="The diary has no file"):
        Session.start(toy_config(registry, diary), registry, tmp_path / "run.h5")
    assert not list(tmp_path.glob("run*"))


def test_a_config_may_name_it_with_and_without_settings(diary: str) -> None:
    registry = Registry()
    plain = toy_config(registry, observers=[diary])
    (choice,) = plain.observers
    assert not isinstance(choice, str) and choice.to_dict() == {"name": "diary", "plugin": diary, "file": ""}
    named = toy_config(registry, observers=[{"name": "diary", "plugin": diary, "file": "x"}, diary])
    assert [entry.to_dict() for entry in named.observers if not isinstance(entry, str)] == [choice.to_dict()]
