"""The study that measures every preset: one tiny run, and the numbers of papers."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from warm import start

from ffprobe.config.preset_files import preset_digest, preset_names, preset_publication

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.fixture(scope="module")
def study() -> Any:
    spec = importlib.util.spec_from_file_location("presets_study", STUDIES / "presets.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_published_numbers_are_those_of_the_studies(study: Any) -> None:
    document = tomllib.loads((STUDIES / "published.toml").read_text("utf-8"))
    assert study.published(document) == {name: p for name in preset_names() if (p := preset_publication(name))}
    assert "olu-joint" not in study.published(document), "its paper says in words only that it is equally accurate"


def test_a_measured_preset_is_skipped_and_a_failed_one_is_not_kept(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[str] = []

    def measure(name: str, runs: Path) -> dict[str, Any]:
        calls.append(name)
        if name == "bp":
            raise subprocess.CalledProcessError(3, "ffprobe")
        return {"settings": preset_digest(name), "test_accuracy": 0.5, "seconds": 1.0}

    monkeypatch.setattr(study, "measure", measure)
    (tmp_path / "measured.json").write_text(json.dumps({"pvn": {"settings": "old"}, "no-such-preset": {}}))
    for _ in range(2):
        study.main(["pvn", "bp"], tmp_path / "runs", tmp_path, again=False)
    assert calls == ["pvn", "bp", "bp"]
    assert "bp: failed with exit code 3" in capsys.readouterr().out
    assert json.loads((tmp_path / "measured.json").read_text()) == {"pvn": measure("pvn", tmp_path)}
    calls.clear()
    study.main(None, tmp_path / "runs", tmp_path, again=True)
    assert calls[:2] == ["vanilla-ff", "trifecta"] and sorted(calls) == preset_names()


def test_one_run_is_measured(study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        study, "OPTIONS", ["--epochs", "1", "--set", "training.max_images=64", "--set", "network.width=0.1"]
    )
    monkeypatch.setattr("sys.executable", str(start.programs() / "python"))
    row = study.measure("fa", tmp_path)
    assert row["settings"] == preset_digest("fa")
    assert 0 <= row["test_accuracy"] <= 1 and 0 <= row["validation_accuracy"] <= 1
    assert row["seconds"] > 0 and row["epochs"] == 1 and row["threads"] >= 1
    assert row["processor"] and row["precision"] in ("fp32", "bf16")
    monkeypatch.setattr(study, "OPTIONS", ["--epochs", "0"])
    with pytest.raises(subprocess.CalledProcessError):
        study.measure("fa", tmp_path)
    assert "epochs" in (tmp_path / "fa.log").read_text()
