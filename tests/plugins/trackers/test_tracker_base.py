"""What all trackers share: refusals before a run, names of numbers, and that a failing tracker never ends a run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cli.program import ffprobe as program
from toy import WORDS
from tracked_runs import interrupt_and_resume, start

import ffprobe
from ffprobe.errors import FfprobeError

LIBRARIES = {"wandb": "wandb", "mlflow": "mlflow", "tensorboard": "torch.utils.tensorboard"}


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_missing_library_is_one_sentence_before_the_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, LIBRARIES[name], None)
    with pytest.raises(ffprobe.PluginError, match=f"'{name}' needs a library that is not installed") as caught:
        start(tmp_path / "run.h5", name)
    assert caught.value.hint == f"Install it with: pip install 'ffprobe-nn[{name}]'"
    assert not list(tmp_path.iterdir())


def test_settings_that_would_reach_a_terminal_as_commands_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FfprobeError, match="printable"):
        start(tmp_path / "run.h5", "tensorboard:run_name=a\033[2Jb")


def test_an_impossible_directory_is_refused(tmp_path: Path, fake: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ffprobe.UsageError, match="The directory of 'fake' cannot be created"):
        start(tmp_path / "run.h5", f"{fake}:directory={tmp_path}/file/in")


FAKE = '''
import ffprobe
from ffprobe_plugins.trackers.tracker import Tracker, TrackerParams, tags_of

class Fake(Tracker, ffprobe.Observer):
    """Writes what it receives into a file."""

    name = "fake"
    libraries = ("json",)

    class Params(TrackerParams):
        fail: str = "never"

    def open(self, context, run):
        self.path = f"{context.path}.txt"
        self.line("open", run or "new", self.name_of(context), *tags_of(context))
        return "an id"

    def log(self, values, epoch):
        if epoch == 2 and self.params.fail == "log":
            raise ConnectionError("the server is gone")
        self.line(epoch, *values)

    def close(self, status):
        self.line(status)
        return "the run is over."

    def line(self, *words):
        with open(self.path, "a") as file:
            file.write("|".join(map(str, words)) + "\\n")

@ffprobe.hookimpl
def ffprobe_components():
    return [Fake]
'''


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    path = tmp_path / "fake.py"
    path.write_text(FAKE)
    return path


def test_the_names_of_all_numbers(tmp_path: Path, fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start(tmp_path / "run.h5", str(fake)).run()
    opened, first, second, final, closed = (tmp_path / "run.h5.txt").read_text().splitlines()
    assert opened == "open|new|run|dataset|plugins|run_file"
    metrics = ["loss", "goodness_positive", "goodness_negative", "validation_accuracy"]
    layers = [f"{name}/layer {layer}" for name in metrics for layer in (1, 2, 3)]
    assert first.split("|") == ["1", *layers, "validation_accuracy/model"]
    assert second.split("|")[1:] == first.split("|")[1:]
    results = [f"{name}/{at}" for name in ("validation_accuracy", "test_accuracy") for at in ("layer 1", "model")]
    assert {f"final/{name}" for name in results} < set(final.split("|"))
    assert closed == "finished"
    assert "fake: the run is over.\n" in capsys.readouterr().err


def test_a_resumed_run_is_the_same_run_of_the_tracker(tmp_path: Path, fake: Path) -> None:
    interrupt_and_resume(tmp_path / "run.h5", str(fake))
    lines = [line.split("|")[:2] for line in (tmp_path / "run.h5.txt").read_text().splitlines()]
    assert [line[0] for line in lines] == ["open", "1", "interrupted", "open", "2", "2", "finished"]
    assert [line[1] for line in lines if line[0] == "open"] == ["new", "an id"]


def test_a_failing_tracker_does_not_end_the_run(tmp_path: Path, fake: Path) -> None:
    start(tmp_path / "run.h5", f"{fake}:fail=log").run()
    with ffprobe.open(tmp_path / "run.h5") as run:
        ((_, message),) = run.messages()
    assert "fake failed in ffprobe_after_epoch" in message and "the server is gone" in message


def test_the_command_line_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "wandb.py").write_text("raise ImportError")  # found before an installed library
    done = program("run", "--plugin", "wandb", *WORDS, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, cold=True)
    assert done.code == 3
    assert "pip install 'ffprobe-nn[wandb]'" in done.err
    assert not list(tmp_path.glob("run*"))
