"""Two processes that train different layers give the results of one process, bit for bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import layer_processes
import numpy as np
import pytest
import torch
from test_processes import Two, together
from toy import WORDS, toy_config

import ffprobe
from ffprobe.errors import UsageError
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import build

MEASURED = ("wall_time", "images_per_second", "peak_memory", "commit/")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # how a sum is rounded depends on the number of threads
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layers")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    layer_processes.stopped("olu", folder / "from one.h5")
    torch.set_num_threads(before)
    for done in together(folder, str(Path(layer_processes.__file__)), str(folder), timeout=240):
        assert done.returncode == 0, done.stderr
    return folder


def values(state: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The numbers and tensors of a nested state, by path."""
    items = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list | tuple) else None
    if items is None:
        yield name, state
    else:
        for key, value in items:
            yield from values(value, f"{name}/{key}")


def same_state(one: Any, two: Any) -> None:
    first, second = dict(values(one)), dict(values(two))
    assert first.keys() == second.keys()
    for name, value in first.items():
        equal = torch.equal(value, second[name]) if isinstance(value, torch.Tensor) else value == second[name]
        assert equal, name


def same_run(one: Path, two: Path) -> None:
    with ffprobe.open(one) as first, ffprobe.open(two) as second:
        assert first.paths() == second.paths()
        for path in first.paths():
            if not any(word in path for word in MEASURED):
                np.testing.assert_array_equal(first.read(path), second.read(path), err_msg=path)


@pytest.mark.slow  # whichever comes first starts the two processes
@pytest.mark.parametrize("case", layer_processes.CASES)
def test_two_processes_with_half_of_the_layers_give_the_results_of_one(shared: Path, tmp_path: Path, case: str) -> None:
    state = layer_processes.trained(layer_processes.session(case, tmp_path / "one.h5"))
    same_state(state, torch.load(shared / f"{case}.pt"))
    same_run(tmp_path / "one.h5", shared / f"{case}.h5")
    with ffprobe.open(shared / f"{case}.h5") as run:
        placement = json.loads(run.attributes["placement"])
        depth = len(state["network"]) and run.read("steps/loss").shape[1]
        assert run.attributes["processes"] == 2
    assert [placement["layers"][0][0], placement["layers"][1][1]] == [1, depth]
    assert placement["layers"][1][0] == placement["layers"][0][1] + 1
    assert len(placement["seconds_per_step"]) == 2


@pytest.mark.slow  # whichever comes first starts the two processes
def test_a_run_moves_from_one_process_to_two_and_back(shared: Path, tmp_path: Path) -> None:
    whole = torch.load(shared / "olu.pt")
    same_state(whole, torch.load(shared / "from one.pt"))
    same_run(shared / "olu.h5", shared / "from one.h5")
    for name in ("to one.h5.partial", "to one.h5.checkpoint"):
        shutil.copy(shared / name, tmp_path / name)
    state = layer_processes.trained(layer_processes.session("olu", tmp_path / "to one.h5", resume=True))
    same_state(whole, state)
    same_run(shared / "olu.h5", tmp_path / "to one.h5")
    with ffprobe.open(tmp_path / "to one.h5") as run:
        assert run.attributes["resumed"] == ["after epoch 1"]
        assert "changed_on_resume" not in run.attributes


FAILS = """
import os, signal, time
import torch
from torch import nn
import ffprobe

class Fails(ffprobe.Normalizer):
    name = "fails"
    source = "a test"

    def build(self, shape):
        class Module(nn.Module):
            calls = 0
            def forward(self, x):
                Module.calls += torch.is_grad_enabled() and self.training
                if os.environ["RANK"] == os.environ["WHO"] and Module.calls > 60:
                    if os.environ["HOW"] == "killed":
                        os.kill(os.getpid(), signal.SIGKILL)
                    time.sleep(8)
                return x
        return Module()

@ffprobe.hookimpl
def ffprobe_components():
    return [Fails]
"""


@pytest.mark.slow
@pytest.mark.stress  # waits for time limits
def test_a_killed_process_ends_the_other_and_a_slow_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fails.py").write_text(FAILS)
    words = ("-m", "ffprobe", "run", *WORDS, "--plugin", "./fails.py", "--plugin", "greedy", "--epochs", "50")
    words += ("--set", "parallel=layers", "--set", "parallel_timeout=4")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("HOW", "killed")
    for who in (1, 0):  # the main process writes the run file: killing it may cost an epoch, never the file
        monkeypatch.setenv("WHO", str(who))
        name = f"killed-{who}.h5"
        both = together(tmp_path, *words, "--out", name, timeout=150)
        other = both[1 - who]
        assert (both[who].returncode, other.returncode) == (-9, 1)
        assert "Another process of this run has ended, so this process stops." in other.stderr
        assert "--resume" in other.stderr
        with ffprobe.open(tmp_path / f"{name}.partial") as run:
            assert run.epochs > 0
            assert np.isfinite(run.read("steps/loss")).all()  # of both processes
    monkeypatch.setenv("WHO", "1")
    monkeypatch.setenv("HOW", "slow")
    first, second = together(tmp_path, *words, "--out", "slow.h5", timeout=150)
    message = " ".join(first.stderr.split())
    assert "has waited" in message
    assert "has sent nothing for 4 seconds, so this process stops." in message
    assert first.returncode == second.returncode == 1


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grid")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CASES", ",".join(layer_processes.GRID))
        for done in together(folder, str(Path(layer_processes.__file__)), str(folder), count=4, timeout=240):
            assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow  # whichever comes first starts the four processes
@pytest.mark.parametrize("case", layer_processes.GRID)
def test_a_grid_of_layers_and_batches_gives_the_results_of_one_process(grid: Path, tmp_path: Path, case: str) -> None:
    """Within rounding: sums over a batch are made in two parts."""
    state = layer_processes.trained(layer_processes.session(case, tmp_path / "one.h5"))
    first, second = dict(values(state)), dict(values(torch.load(grid / f"{case}.pt")))
    assert first.keys() == second.keys()
    for name, value in first.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            torch.testing.assert_close(value, second[name], rtol=1e-7, atol=1e-9, msg=name)
        else:
            assert torch.equal(value, second[name]) if isinstance(value, torch.Tensor) else value == second[name], name
    with ffprobe.open(tmp_path / "one.h5") as one, ffprobe.open(grid / f"{case}.h5") as four:
        assert one.paths() == four.paths()
        for path in ("steps/loss", "metrics/validation_accuracy", "final/model_test_accuracy"):
            np.testing.assert_allclose(one.read(path), four.read(path), rtol=1e-5, err_msg=path)
        placement = json.loads(four.attributes["placement"])
        assert four.attributes["processes"] == 4
    assert placement["processes_per_stage"] == 2 and len(placement["layers"]) == 2


REFUSED = {
    "rule": (("summed-losses",), {}, "rule 'summed-losses' needs a signal from layers above"),
    "feedback": (("feedback-alignment", "olu"), {}, "rule 'feedback-alignment' needs a signal from layers above"),
    "scheduler": (("whole",), {}, "scheduler 'whole', one layer ends an update group"),
    "observer": (("gradients",), {}, "'gradients' observes every step"),
    "stages": (("greedy",), {"parallel_stages": 3}, "2 processes cannot be divided into 3 stages"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_needs_layers_of_another_process_is_refused(case: str) -> None:
    plugins, changes, reason = REFUSED[case]
    registry = Registry()
    with pytest.raises(UsageError, match=reason):
        build(toy_config(registry, *plugins, parallel="layers", **changes), registry, process_group=Two())


def test_one_process_ignores_the_setting(tmp_path: Path) -> None:
    registry = Registry()
    assert build(toy_config(registry, "greedy", parallel="layers"), registry).pipeline is None
