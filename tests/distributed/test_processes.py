"""Two processes that share every batch give the results of one process with the whole batch."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import two_processes
from toy import WORDS, toy_config

import ffprobe
from ffprobe.components.process_group import ProcessGroup
from ffprobe.errors import Interrupted, UsageError
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import build

TESTS = Path(__file__).parents[1]


def together(folder: Path, *words: str, count: int = 2, timeout: float = 400) -> list[subprocess.CompletedProcess[str]]:
    """The same program in several processes, with the environment that torchrun gives them."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NO_COLOR": "1"}
    paths = os.pathsep.join([str(TESTS), str(TESTS / "training")])
    started = [
        subprocess.Popen(
            [sys.executable, *words],
            cwd=folder,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank), "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    try:
        outputs = [process.communicate(timeout=timeout) for process in started]
    finally:
        for process in started:
            process.kill()
    return [
        subprocess.CompletedProcess(process.args, process.returncode, *output)
        for process, output in zip(started, outputs, strict=True)
    ]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    for done in together(folder, str(Path(two_processes.__file__)), str(folder)):
        assert done.returncode == 0, done.stderr
    return folder


def same(case: str) -> dict[str, float]:
    # Adam divides gradients by their own size, which amplifies rounding in float32; SGD does not
    return {"rtol": 1e-4, "atol": 1e-6} if case == "single precision" else {"rtol": 1e-8, "atol": 1e-10}


@pytest.mark.slow  # whichever comes first starts the two processes
@pytest.mark.parametrize("case", [case for case in two_processes.CASES if case not in ("without sync", "watched")])
def test_two_processes_give_the_results_of_one(shared: Path, tmp_path: Path, case: str) -> None:
    made = two_processes.session(case, tmp_path / "one.h5")
    made.run()
    for name, value in two_processes.state(made).items():
        for rank in range(2):
            found = torch.load(shared / f"{case}.{rank}.pt")[name]
            torch.testing.assert_close(found, value, **same(case), msg=lambda text, n=name: f"{n}: {text}")
    loose = {"rtol": 1e-3, "atol": 1e-5} if case == "single precision" else {"rtol": 1e-5, "atol": 1e-7}
    with ffprobe.open(tmp_path / "one.h5") as one, ffprobe.open(shared / f"{case}.h5") as two:
        assert one.paths() == two.paths()
        for path in one.paths():
            if any(word in path for word in ("wall_time", "images_per_second", "peak_memory", "commit/")):
                continue
            found, expected = np.asarray(two.read(path)), np.asarray(one.read(path))
            if expected.dtype.kind == "f":
                np.testing.assert_allclose(found, expected, **loose, err_msg=path)
            else:
                np.testing.assert_array_equal(found, expected, err_msg=path)
        assert (two.attributes["processes"], two.attributes["process_backend"]) == (2, "gloo")
        assert (one.attributes["processes"], one.attributes["process_backend"]) == (1, "none")


@pytest.mark.slow  # whichever comes first starts the two processes
def test_without_sync_each_normalizes_its_shard_and_all_end_with_the_same_network(shared: Path, tmp_path: Path) -> None:
    one = two_processes.session("without sync", tmp_path / "one.h5")
    one.run()
    first, second = (torch.load(shared / f"without sync.{rank}.pt") for rank in range(2))
    for name, value in two_processes.state(one).items():
        assert torch.equal(first[name], second[name]), name
        if name.endswith("conv.weight"):
            assert float((first[name] - value).abs().max()) > 1e-4
        if name.endswith("running_mean") and name.startswith("layers.1"):
            assert float((first[name] - value).abs().max()) > 1e-6


@pytest.mark.slow  # whichever comes first starts the two processes
def test_all_processes_stop_after_one_batch_and_resume_together(shared: Path) -> None:
    for rank in range(2):
        whole, resumed = (torch.load(shared / f"{case}.{rank}.pt") for case in ("olu", "resumed"))
        assert all(torch.equal(resumed[name], value) for name, value in whole.items())
    with ffprobe.open(shared / "resumed.h5") as run, ffprobe.open(shared / "olu.h5") as whole_run:
        assert run.attributes["resumed"] == ["after epoch 0"]
        np.testing.assert_array_equal(run.read("steps/loss"), whole_run.read("steps/loss"))


@pytest.mark.slow  # whichever comes first starts the two processes
def test_probes_change_nothing_and_do_not_wait_for_other_processes(shared: Path) -> None:
    for rank in range(2):
        plain, watched = (torch.load(shared / f"{case}.{rank}.pt") for case in ("olu", "watched"))
        assert all(torch.equal(watched[name], value) for name, value in plain.items())
    with ffprobe.open(shared / "watched.h5") as run:
        assert run.messages() == []
        assert {"gradients", "negatives", "scaling"} <= {
            path.split("/")[1] for path in run.paths() if "probes/" in path
        }


class Late(ProcessGroup):
    """A request to stop arrives during the all-reduce that decides whether to stop."""

    trainer: Any = None
    calls = 0

    def all_reduce_max(self, number: int) -> int:
        self.calls += 1
        if self.calls == 1:
            self.trainer.stop_after_batch(signal.SIGTERM)
        return number


def test_a_signal_during_the_all_reduce_is_not_lost(tmp_path: Path) -> None:
    group = Late()
    made = two_processes.session("olu", tmp_path / "run.h5", group)
    group.trainer = made.trainer
    with pytest.raises(Interrupted):
        made.run()
    assert made.trainer.step == 2


FAILS = """
import os
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
                if os.environ["RANK"] == "1" and Module.calls > 20:
                    raise RuntimeError("the disk of process one is on fire")
                return x
        return Module()

@ffprobe.hookimpl
def ffprobe_components():
    return [Fails]
"""


@pytest.mark.slow
def test_a_process_that_fails_stops_the_others_with_a_message(tmp_path: Path) -> None:
    (tmp_path / "fails.py").write_text(FAILS)
    words = ("-m", "ffprobe", "run", *WORDS, "--plugin", "./fails.py", "--epochs", "50")
    first, second = together(tmp_path, *words)
    assert (first.returncode, second.returncode) == (1, 1)
    message = " ".join(second.stderr.split())
    assert "error in process 1: The plugin 'fails' failed while training" in message
    assert "the disk of process one is on fire" in message
    assert "Another process of this run has ended" in first.stderr
    assert "process 0 of 2" in first.stderr
    assert (tmp_path / "run.h5.partial").exists()
    assert not (tmp_path / "run.h5").exists()
    assert first.stdout == second.stdout == ""


class Two(ProcessGroup):
    """The main process of two, which only builds a network."""

    size, backend = 2, "gloo"


REFUSED = {
    "rule": (("pepita", "fcn", "whole", "linear-head", "cross-entropy", "no-label"), {}, "rule 'pepita' cannot share"),
    "loss": (("predsim", "local-classifier", "no-label"), {}, "'predsim' is not a mean over independent images"),
    "normalizer": (("rolling-batchnorm",), {}, "'rolling-batchnorm' keeps statistics of each batch"),
    "batch": ((), {"training": {"batch_size": 1}}, "cannot share a batch of 1 image"),
    "dropout": (("fcn:dropout=0.1",), {}, "With dropout, 2 processes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_needs_the_whole_batch_is_refused(case: str) -> None:
    plugins, changes, reason = REFUSED[case]
    registry = Registry()
    network = [p for p in plugins if p.startswith("fcn")]
    changes = {**changes, **({"network": {"name": "fcn", "width": 0.01, "depth": 2}} if network == ["fcn"] else {})}
    with pytest.raises(UsageError, match=reason):
        build(toy_config(registry, *plugins, **changes), registry, process_group=Two())


def test_a_normalizer_with_its_own_statistics_is_allowed_without_sync() -> None:
    registry = Registry()
    config = toy_config(registry, "rolling-batchnorm", training={"sync_batch_norm": False})
    assert build(config, registry, process_group=Two()).process_group.size == 2
