"""Which precision ``auto`` stands for: what the machine does decides, once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from toy import toy_config

import ffprobe
from ffprobe.errors import Interrupted
from ffprobe.plugin.registry import Registry
from ffprobe.runtime import precision, processor
from ffprobe.runtime.precision import choose_precision
from ffprobe.runtime.processor import Rates, measure_rates, processor_model, processor_rates
from ffprobe.training.session import Session

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FFPROBE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(precision, "native_bf16", lambda device: True)
    return tmp_path / "cache" / processor.FILE


@pytest.mark.parametrize(("fp32", "bf16", "chosen"), [(251, 182, "fp32"), (100, 119, "fp32"), (100, 120, "bf16")])
def test_bf16_must_be_faster_by_a_fifth(fp32: float, bf16: float, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "processor_rates", lambda keep: Rates(fp32, bf16))
    assert choose_precision("auto", CPU) == chosen
    assert choose_precision("bf16", CPU) == "bf16"  # what is asked for is not measured
    monkeypatch.setattr(precision, "native_bf16", lambda device: False)
    assert choose_precision("auto", CPU) == "fp32"


def test_what_was_measured_is_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = iter([Rates(1.0, 2.0), Rates(1.0, 3.0)])
    monkeypatch.setattr(processor, "measure_rates", lambda: next(measured))
    assert processor_rates().speedup == processor_rates().speedup == 2.0
    assert processor_rates(again=True).speedup == processor_rates().speedup == 3.0
    assert processor_model() in next(iter(json.loads(cache.read_text())))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"a": 3}', '{"a": {"fp32": 0.0, "bf16": 1.0}}', '{"a": {"fp32": "1"}}']
)
def test_a_damaged_file_counts_as_none(text: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.parent.mkdir()
    cache.write_text(text)
    monkeypatch.setattr(processor, "measure_rates", lambda: Rates(1.0, 2.0))
    assert processor_rates() == Rates(1.0, 2.0)


def test_measuring_changes_neither_random_numbers_nor_threads() -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    rates = measure_rates()
    assert 0 < rates.fp32 < 1e5 and 0 < rates.bf16 < 1e5
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), state)


def test_a_resumed_run_keeps_its_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start() -> Session:
        registry = Registry()
        config: Any = toy_config(registry, precision="auto")
        return Session.start(config, registry, tmp_path / "run.h5", resume=True)

    def rates(speedup: float) -> None:
        for module in (precision, "ffprobe.training.metadata"):
            monkeypatch.setattr(
                f"{getattr(module, '__name__', module)}.processor_rates", lambda keep=True: Rates(1.0, speedup)
            )

    rates(1.0)
    session = start()
    session.trainer.stop_after_batch(2)
    with pytest.raises(Interrupted):
        session.run()
    rates(2.0)  # another machine, or noise
    start().run()
    with ffprobe.open(tmp_path / "run.h5") as run:
        assert run.attributes["precision"] == "fp32" and run.attributes["processor"] == processor_model()
