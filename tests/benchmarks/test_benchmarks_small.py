"""The benchmarks' own code, small: what they measure is what they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.compile import of_network
from benchmarks.evaluation import sharing
from benchmarks.gpu import correctness, loading, throughput
from benchmarks.on_disk import COLD, DISK, MEMORY, measure
from benchmarks.scale import bend, epochs
from benchmarks.step import main as measure_step


@pytest.mark.stress
def test_the_gpu_benchmark_runs_on_a_cpu() -> None:
    exact = correctness("cpu", quick=True)
    assert exact.targets["fp32: largest difference of a loss"][0] == 0  # the CPU against itself
    assert 0 < exact.targets["bf16: largest difference of a loss"][0] < 0.05
    fast = throughput("tff-s", "cpu", quick=True, rounds=1)
    assert set(fast.seconds) == {"eager"} and 0 < fast.facts["eager: share of the measured matrix rate"] < 1
    assert loading("cpu", quick=True, rounds=1).facts["images a second"] > 0


def test_sharing_is_measured_on_equal_results() -> None:
    one = sharing("tff-s", images=2, rounds=1, width=0.05)
    assert one.facts["largest difference, of the largest goodness"] < 0.02


@pytest.mark.parametrize("classes", [3, 5])
def test_an_epoch_of_scale_runs(classes: int) -> None:
    epochs(images=8, depth=2, classes=classes, width=4, batch=4)()


@pytest.mark.stress
def test_eager_and_compiled_steps_are_held_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[int] = []
    monkeypatch.setattr("benchmarks.compile.compile_layers", lambda network: compiled.append(network.depth))
    one = of_network("tff-s", 0.05, batch=2, rounds=1)
    assert compiled == [6]  # one of the two
    assert set(one.seconds) == {"eager", "compiled"} and one.facts["compiling, from an empty cache (s)"] < 5


@pytest.mark.stress
def test_pictures_are_read_from_memory_and_from_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FFPROBE_CACHE_DIR", "")  # put back at the end: the benchmark keeps a cache of its own
    noise = np.random.default_rng(0).integers(0, 256, (2, 2, 60, 8, 8), dtype=np.uint8)
    for split, of_split in zip(("train", "test"), noise, strict=True):
        for name, pictures in zip("ab", of_split, strict=True):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for number, picture in enumerate(pictures):
                Image.fromarray(picture).save(folder / f"{number}.png")
    training, batches = measure(tmp_path, 0.05, batch=20, count=40, rounds=1)
    assert training.targets["on disk, of the speed in memory"][2] == 0.9
    assert {*training.seconds} == {*batches.seconds} == {MEMORY, DISK, COLD}


def test_a_second_doubling_that_costs_as_much_a_piece_bends_nothing() -> None:
    assert bend(1 + 10, 1 + 20, 1 + 40) == pytest.approx(1)  # what does not grow drops out
    assert bend(10, 20, 60) == pytest.approx(2)


@pytest.mark.stress
def test_a_step_in_float32_is_kept_by_itself_and_held_to_its_own_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    measure_step(width=0.05, batch=2, precision="fp32", rounds=1, json=tmp_path)
    one = json.loads((tmp_path / "step-fp32.json").read_text(encoding="utf-8"))
    assert one["facts"]["precision"] == "fp32"
    assert one["targets"]["ffprobe, times as fast as plain fp32"][2] == 1.3
