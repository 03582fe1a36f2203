"""``python -m benchmarks.checkouts OTHER``: whether a training step became slower than in another checkout.

Each checkout trains with its own ``.venv``, in turn, in a process of one thread whose processor time is taken: what
else the machine does then matters least.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from ffprobe.runtime.processor import processor_model

STEPS = """
import json, time, torch
torch.set_num_threads(1)
from ffprobe.api import configure
from ffprobe.config.options import RunOptions
from ffprobe.plugin.discovery import build_manager
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import build
from ffprobe.training.observers import Observers
from ffprobe.training.trainer import Trainer

settings = {
    "network.width": 0.25, "precision": "fp32", "device": "cpu", "probes": [], "training.test": "never",
    "training.batch_size": 128, "training.max_images": 2560,
}
registry = Registry()
experiment = build(configure(registry, RunOptions(preset="trifecta", plugin=("fashion-mnist",)), settings), registry)
trainer = Trainer(experiment, Observers(build_manager(), lambda *_: None, lambda *_: None))
experiment.network.train()
seconds = {"step": [], "batch": []}
for epoch in range(3):
    before = time.process_time()
    for images, labels, _ in experiment.loader:
        loaded = time.process_time()
        trainer.learn(images, labels)
        after = time.process_time()
        seconds["batch"].append(loaded - before)
        seconds["step"].append(after - loaded)
        before = after
print(json.dumps({name: values[10:] for name, values in seconds.items()}))
"""
"""The part of a training that a checkout has had since version 0.1.0: building, loading, learning."""


def measure(checkout: Path) -> dict[str, list[float]]:
    """Seconds of processor time of loading a batch and of learning from it, without the first ten."""
    python = str(checkout / ".venv" / "bin" / "python")
    done = subprocess.run([python, "-c", STEPS], check=True, capture_output=True, text=True, cwd=checkout)
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def main(
    other: Annotated[Path, typer.Argument(help="A checkout of an earlier state, with its .venv.")],
    rounds: Annotated[int, typer.Option(help="Processes of each checkout.")] = 6,
) -> None:
    """Train the Trifecta on Fashion-MNIST in both checkouts in turn; ratios of the medians and of the fastest steps."""
    places = {"here": Path.cwd(), "other": other.resolve()}
    found: dict[str, list[dict[str, list[float]]]] = {"here": [], "other": []}
    for turn in range(rounds):
        for name in list(places)[:: -1 if turn % 2 else 1]:
            found[name].append(measure(places[name]))
    print(f"{processor_model()}, one thread, {rounds} processes of each checkout; processor time, here over other:")
    for part in ("step", "batch"):
        middle, least = ([f([f(run[part]) for run in found[n]]) for n in places] for f in (median, min))
        print(
            f"{part}: medians {middle[0] / middle[1]:.3f}, fastest {least[0] / least[1]:.3f} ({1e3 * least[0]:.2f} ms)"
        )


if __name__ == "__main__":
    typer.run(main)
