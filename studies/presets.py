"""Run every preset at its defaults on digits, one after another, and keep what each reached and took.

``python studies/presets.py [NAME...]`` writes ffprobe/config/presets/measured.json after each run; ``ffprobe presets``
shows it. Stopped and started again, it skips the presets that are measured. An interrupted run starts again, because
its time must be the time of one process. The numbers of papers are copied from published.toml to published.json.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import resource
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import ffprobe
from ffprobe.config.preset_files import preset_digest, preset_names
from ffprobe.runtime.processor import processor_model

HERE = Path(__file__).parent
PRESETS = HERE.parent / "ffprobe" / "config" / "presets"
FIRST = ("vanilla-ff", "trifecta")
"""The presets that most people run; they are measured first."""
DATASET, SEED = "digits", 0
OPTIONS: list[str] = []
"""Further options of every run; none, because the defaults are measured."""
PAPERS = {"cifar10": "CIFAR-10", "fashion-mnist": "Fashion-MNIST", "mnist": "MNIST"}
"""The data sets of published.toml, and their titles."""


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help="Presets to measure, in this order; all by default.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Directory for the run files.")] = Path("runs/presets"),
    out: Annotated[Path, typer.Option(help="Directory of measured.json and published.json.")] = PRESETS,
    again: Annotated[bool, typer.Option("--again", help="Also measure presets that are measured already.")] = False,
) -> None:
    """Measure the presets that have no measurement yet."""
    _write(out / "published.json", published(tomllib.loads((HERE / "published.toml").read_text(encoding="utf-8"))))
    runs.mkdir(parents=True, exist_ok=True)
    for name in names or [*FIRST, *(name for name in preset_names() if name not in FIRST)]:
        measured = _read(out / "measured.json")  # again each time: another process may have measured a preset
        if not again and measured.get(name, {}).get("settings") == preset_digest(name):
            continue
        try:
            row = measure(name, runs)
        except subprocess.CalledProcessError as error:
            print(f"{name}: failed with exit code {error.returncode}; see {runs / name}.log", flush=True)
            continue
        known = {key: value for key, value in _read(out / "measured.json").items() if key in preset_names()}
        _write(out / "measured.json", {**known, name: row})
        print(f"{name}: {100 * row['test_accuracy']:.2f} % in {row['seconds']:.0f} s", flush=True)


def measure(name: str, runs: Path) -> dict[str, Any]:
    """Run a preset in a process of its own; its row in measured.json.

    Raises:
        subprocess.CalledProcessError: the run failed; its messages are in ``NAME.log``.
    """
    path = (runs / f"{name}.h5").absolute()
    words = ["run", "--preset", name, "--dataset", DATASET, "--seed", str(SEED), "--out", str(path), *OPTIONS]
    began, processor = time.monotonic(), _processor_seconds()
    with (runs / f"{name}.log").open("w", encoding="utf-8") as log:
        done = subprocess.run(
            [sys.executable, "-m", "ffprobe", *words, "--overwrite", "--json"], stdout=subprocess.PIPE, stderr=log
        )
    seconds = time.monotonic() - began
    done.check_returncode()
    outcome = json.loads(done.stdout)
    with ffprobe.open(path) as run:
        facts = {key: run.attributes[key] for key in ("device", "threads", "precision", "torch_version")}
        version = run.attributes["ffprobe_version"]
    return {
        "settings": preset_digest(name),
        "validation_accuracy": round(outcome["model_validation_accuracy"], 6),
        "test_accuracy": round(outcome["model_test_accuracy"], 6),
        "seconds": round(seconds, 1),
        "processor_seconds": round(_processor_seconds() - processor, 1),
        "dataset": DATASET,
        "seed": SEED,
        "epochs": outcome["config"]["training"]["epochs"],
        "processor": processor_model(),
        "device": facts["device"],
        "threads": int(facts["threads"]),
        "precision": facts["precision"],
        "torch": facts["torch_version"],
        "ffprobe": version,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def published(document: Mapping[str, Any]) -> dict[str, Any]:
    """The published numbers of presets, from the content of published.toml; what is said in words only is left out."""
    rows = {}
    by_preset = {said.get("preset", name): said for name, said in document["methods"].items()}
    for name in preset_names():
        said = by_preset.get(name, {})
        numbers = {title: said[key] for key, title in PAPERS.items() if re.match(r"\d+\.\d", said.get(key, ""))}
        if numbers:
            rows[name] = {"test_accuracy": numbers, "setting": said["setting"], "source": said["source"]}
    return rows


def _processor_seconds() -> float:
    """Processor time of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _read(path: Path) -> dict[str, Any]:
    rows: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return rows


def _write(path: Path, rows: Mapping[str, Any]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(dict(sorted(rows.items())), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)


if __name__ == "__main__":
    typer.run(main)
