"""A grid becomes command lines with the same configs, and the status of each run is read from its file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy import TOY
from warm import start

from ffprobe.errors import Interrupted, PluginError, UsageError
from ffprobe.plugin.registry import Registry
from ffprobe.store.names import partial_of
from ffprobe.sweep.grid import read_grid
from ffprobe.sweep.plan import PlannedRun, left_to_do, plan, run_status
from ffprobe.training.session import Session

EACH = """
[each]
epochs = 2
batch-size = 64
precision = "fp32"
device = "cpu"
network = {name = "tiny", width = 0.25}
training.max_images = 256
training.evaluation_batch = 128
recording = {samples = 60, max_features = 32}
"""
SEEDS = "[axes]\nseed = [0, 1]\n"


def planned(tmp_path: Path, text: str) -> list[PlannedRun]:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    return plan(read_grid(path), tmp_path / "out", Registry(), tmp_path)


def test_a_command_line_resolves_to_the_config_that_was_planned(tmp_path: Path) -> None:
    """The words, read by the command itself, give the same config."""
    import json

    text = EACH + SEEDS + '[axes.p]\n"one/two" = {plugin = ["olu", "symba:alpha=2"]}\nnone = {loss = "symba"}\n'
    runs = planned(tmp_path, text)
    assert [run.job.name for run in runs] == ["seed=0_one-two", "seed=0_none", "seed=1_one-two", "seed=1_none"]
    run = runs[2]
    assert run.job.command[-3:] == ("--out", str(tmp_path / "out" / "seed=1_one-two.h5"), "--resume")
    words = [*start.program(), *run.job.command, "--dry-run", "--json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == run.config.to_dict()
    assert run.config.to_dict()["loss"]["alpha"] == 2
    assert run.config.to_dict()["seed"] == 1
    assert run.config.settings.training.max_images == TOY["training"]["max_images"]


def test_finished_unfinished_running_and_new(tmp_path: Path) -> None:
    runs = planned(tmp_path, EACH + "[axes]\nseed = [0, 1, 2, 3]\n")
    assert {run.status for run in runs} == {"new"}
    finished, unfinished, running, _ = (run.job.out for run in runs)
    finished.parent.mkdir()
    Session.start(runs[0].config, Registry(), finished).run()
    session = Session.start(runs[1].config, Registry(), unfinished)
    session.trainer.stop_after_batch(signal.SIGINT)
    with pytest.raises(Interrupted):
        session.run()
    partial_of(running).write_bytes(b"")
    hold = "import sys, time; from ffprobe.store.file_lock import FileLock; from pathlib import Path\n"
    hold += "held = FileLock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", hold, str(partial_of(running))], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        again = planned(tmp_path, EACH + "[axes]\nseed = [0, 1, 2, 3]\n")
        assert [run.status for run in again] == ["finished", "unfinished", "running", "new"]
        assert [job.name for job in left_to_do(again)] == ["seed=1", "seed=3"]
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close() if holder.stdout else None
    assert run_status(running) == "unfinished"
    with pytest.raises(UsageError, match=r"other settings.*training.epochs: 2 -> 3"):
        planned(tmp_path, EACH.replace("epochs = 2", "epochs = 3") + SEEDS)


@pytest.mark.parametrize(
    ("text", "error", "sentence", "location"),
    [
        ('[axes]\nplugin = ["olu", "olo"]\n', PluginError, "'olo'", "[axes] plugin, point 2"),
        ("[axes.p]\na = {}\nb = {plugin = 'symbo'}\n", PluginError, "'symbo'", "[axes.p] b"),
        (
            "[each]\nplugin = 'rms'\n[axes.p]\na = {}\nb = {plugin = 'batchnorm'}\n",
            UsageError,
            "both fill the slot",
            "[axes.p] b",
        ),
        ("[each]\npreset = 'trifekta'\n[axes]\nseed = [0]\n", UsageError, "no preset 'trifekta'", "[each]"),
        ("[each]\ntraining.shift = 2\n[axes]\nseed = [0]\n", UsageError, "'training.shift'.*'crop_padding'", "[each]"),
        ('[axes]\n"loss.alpha" = [4]\n', UsageError, "no setting 'loss.alpha'", "[axes] loss.alpha, point 1"),
        ("[axes]\nepochs = [1, 0]\n", UsageError, "cannot be 0", "[axes] epochs, point 2"),
        ("[axes]\nseed = [0, 1, 0]\n", UsageError, "would write the same file, seed=0.h5", "[axes] seed, point 3"),
        ("[axes.a]\n'x y' = {}\n'x/y' = {seed = 1}\n", UsageError, "the same file", "[axes.a] x/y"),
        ("[axes.a]\nx = {epochs = 1}\n[axes.b]\ny = {epochs = 2}\n", UsageError, "both set 'epochs'", "[axes.b] y"),
        (
            "[axes.a]\nx = {loss.alpha = 1}\n[axes.b]\ny = {loss.alpha = 2}\n",
            UsageError,
            "both set 'loss.alpha'",
            "[axes.b] y",
        ),
    ],
)
def test_an_impossible_grid_is_refused_with_table_and_key(
    tmp_path: Path, text: str, error: type[Exception], sentence: str, location: str
) -> None:
    with pytest.raises(error, match=sentence) as caught:
        planned(tmp_path, text)
    where = caught.value.where  # type: ignore[attr-defined]
    assert where.partition(";")[0] == f"{tmp_path / 'grid.toml'}, in {location}"
    assert not (tmp_path / "out").exists()


def test_an_axis_may_change_what_every_run_has(tmp_path: Path) -> None:
    runs = planned(tmp_path, EACH + "[axes]\nepochs = [3, 4]\n")
    assert [run.config.settings.training.epochs for run in runs] == [3, 4]


def test_planning_a_thousand_runs_takes_seconds(tmp_path: Path) -> None:
    """Processor time, so that a busy machine cannot fail it."""
    text = EACH + "[axes]\nseed = [" + ", ".join(map(str, range(250))) + "]\nplugin = ['olu', 'symba', 'rms', 'none']\n"
    began = time.process_time()
    assert len(planned(tmp_path, text)) == 1000
    assert time.process_time() - began < 8
    assert os.listdir(tmp_path) == ["grid.toml"]


def test_a_setting_that_has_come_since_counts_at_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run,) = planned(tmp_path, EACH + "[axes]\nseed = [0]\n")
    run.job.out.parent.mkdir()
    run.job.out.touch()
    older = run.config.to_dict()
    del older["training"]["crop_padding"]
    monkeypatch.setattr("ffprobe.sweep.plan.recorded_config", lambda path: older)
    assert [again.status for again in planned(tmp_path, EACH + "[axes]\nseed = [0]\n")] == ["finished"]
    with pytest.raises(UsageError, match=r"training\.crop_padding: None -> 1"):
        planned(tmp_path, EACH + "training.crop_padding = 1\n[axes]\nseed = [0]\n")


def named(tmp_path: Path, *points: str) -> list[str]:
    lines = "".join(f'"{point}" = {{}}\n' for point in points)
    (tmp_path / "grid.toml").write_text(f"{EACH}[axes.n]\n{lines}", encoding="utf-8")
    return [run.job.name for run in plan(read_grid(tmp_path / "grid.toml"), tmp_path / "out", Registry(), tmp_path)]


def test_letters_of_any_script_stay_in_file_names(tmp_path: Path) -> None:
    assert named(tmp_path, "日本", "中国", "naïve b", "a_b") == ["日本", "中国", "naïve-b", "a-b"]
    assert named(tmp_path, "nai\u0308ve") == ["na\u00efve"]  # NFC, in which most systems write names
    first, second = named(tmp_path, "!!", "??")
    assert first != second and first.isascii() and first.isalnum()


def test_points_whose_file_names_are_equal_are_refused(tmp_path: Path) -> None:
    for points in (("na\u00efve", "nai\u0308ve"), ("a b", "a/b")):
        with pytest.raises(UsageError, match="would write the same file"):
            named(tmp_path, *points)


def test_a_grid_of_a_million_runs_is_refused_at_once(tmp_path: Path) -> None:
    axes = f"[axes]\nseed = {list(range(1000))}\nepochs = {list(range(1, 1001))}\n"
    (tmp_path / "grid.toml").write_text(axes)
    grid = read_grid(tmp_path / "grid.toml")
    began = time.monotonic()
    with pytest.raises(
        UsageError, match=r"has 1,000,000 runs \(1000 seed x 1000 epochs\); a sweep has at most 100,000"
    ):
        plan(grid, tmp_path / "out", Registry())
    assert time.monotonic() - began < 1
    assert grid.only(["epochs=1,2", "seed=7"]).size == 2


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[each]\ntraining = 3\n" + SEEDS, "[each]"),
        ("[axes]\ntraining = [1, 2]\n", "[axes] training, point 1"),
        ("[[each.training]]\nepochs = 3\n" + SEEDS, "[each]"),
        ("[[each.loss]]\nname = 'symba'\n" + SEEDS, "[each]"),
    ],
)
def test_a_value_for_a_table_of_settings_is_refused(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(UsageError, match="it is a table of settings") as caught:
        planned(tmp_path, text)
    assert where in caught.value.where


def test_a_list_of_tables_reaches_the_run(tmp_path: Path) -> None:
    (run,) = planned(tmp_path, EACH + 'probes = [{name = "gradients"}]\n[axes]\nseed = [0]\n')
    assert [probe.component.name for probe in run.config.probes] == ["gradients"]
