"""docs/performance.md is made from the kept measurements, and says what was missed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.harness import Measurement, compare, environment, keep, quartiles
from benchmarks.page import page, section

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_measurements_say() -> None:
    results, text = ROOT / "benchmarks/results", ROOT / "docs/performance.md"
    assert text.read_text(encoding="utf-8") == page(results), "python -m benchmarks.page writes it"
    for path in results.glob("*.json"):
        one = json.loads(path.read_text(encoding="utf-8"))
        assert one["environment"]["processor"] and "python -m benchmarks." in one["command"]


def test_promises_are_held_against_what_was_reached() -> None:
    one = Measurement("a", "b", environment=environment())
    one.promise("speed", 1.89, 1.9)
    one.promise("memory", 1.15, 1.15, "at most")
    text = section(vars(one))
    assert "speed: **1.89**, target at least 1.9: MISSED" in text
    assert "memory: **1.15**, target at most 1.15: reached" in text


def test_ratios_are_taken_within_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    # a clock on which the machine slows down threefold from round to round: ratios must not see it
    clock = iter(range(10**6))
    now = {"time": 0.0, "slow": 1.0}
    monkeypatch.setattr("time.perf_counter", lambda: now["time"])

    def work(seconds: float) -> None:
        now["slow"] *= 3 if next(clock) % 2 == 0 else 1
        now["time"] += seconds * now["slow"]

    one = compare("a", "b", {"slow": lambda: work(4.0), "fast": lambda: work(2.0)}, baseline="slow", rounds=4)
    assert len(one.seconds["fast"]) == 4
    assert one.seconds["fast"][-1] > 10 * one.seconds["slow"][0]  # medians over rounds would say anything
    assert one.ratios["fast"] == pytest.approx([2] * 4)
    assert one.ratios["slow"] == [1] * 4


def test_quartiles_are_those_of_numpy() -> None:
    numpy = pytest.importorskip("numpy")
    values = [3.0, 1.0, 7.0, 5.0, 4.0, 9.0]
    assert quartiles(values) == pytest.approx(tuple(numpy.quantile(values, [0.25, 0.5, 0.75])))
    assert quartiles([2.0]) == (2.0, 2.0, 2.0)


def test_what_another_allocator_gave_is_kept_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Measurement("step", "How fast?", environment={**environment(), "allocator": "libtcmalloc_minimal.so.4"})
    monkeypatch.setattr("sys.argv", ["benchmarks/step.py", "--rounds", "7"])
    path = keep(one, tmp_path)
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert path.name == "step-tcmalloc.json"
    assert kept["command"] == "LD_PRELOAD=libtcmalloc_minimal.so.4 python -m benchmarks.step --rounds 7"
