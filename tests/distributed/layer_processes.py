"""Trains the cases of ``test_layer_parallel`` in this process, as one of a pipeline if the environment sets one up.

Run as a program, ``python layer_processes.py FOLDER``, it writes the run files and the main process's final state.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from toy import toy_config

from ffprobe.distributed.processes import process_group
from ffprobe.errors import Interrupted
from ffprobe.plugin.registry import Registry
from ffprobe.training.resume import experiment_state
from ffprobe.training.session import Session

TRIFECTA = ("batchnorm", "symba", "label-channel")
CLASS = ("linear-head", "cross-entropy", "no-label", "batchnorm")
FCN = {"network": {"name": "fcn", "width": 0.01, "depth": 4, "dropout": 0.2}}

CASES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "greedy": (("greedy", *TRIFECTA), {}),
    "olu": (("olu", *TRIFECTA), {}),
    "blocks": (("blocks:size=2,overlap=1", *TRIFECTA), {}),
    "interlocking": (("interlocking:size=3", *TRIFECTA), {}),
    "windows": (("layer-windows:windows=[[0,1],[1,2],[0,2],[0,1]]", *TRIFECTA), {}),
    "class": (("olu", *CLASS), {"training": {"keep_best": True}}),
    "earlier goodness": (("greedy", "cumulative", "batchnorm", "label-channel"), {}),
    "negatives of images": (("greedy", "masked-hybrid", "one-pass", "symba", "no-label", "batchnorm"), {}),
    "dropout": (("olu", "symba", "label-channel", "batchnorm"), FCN),
    "single precision": (("olu", *TRIFECTA), {"precision": "fp32"}),
}
"""Plugins and changes by name. Two epochs of four batches; an odd number of steps would hide nothing."""

GRID: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "grid": (("greedy", *TRIFECTA), {"parallel_stages": 2}),
    "grid with overlap": (("olu", *TRIFECTA), {"parallel_stages": 2}),
    "grid of classes": (("greedy", *CLASS), {"parallel_stages": 2, "training": {"batch_size": 33, "keep_best": True}}),
}
"""Cases for four processes; a batch of 33 is divided into 17 and 16."""


def session(case: str, out: Path, group: Any = None, **how: Any) -> Session:
    """The session of a case, ready to run."""
    plugins, changes = {**CASES, **GRID}[case]
    training = {"batch_size": 32, "max_images": 140, "epochs": 2, "evaluation_batch": 48, **changes.get("training", {})}
    settings = {"precision": "fp64", "parallel": "layers", **changes, "training": {**training, "augmentation": True}}
    registry = Registry()
    return Session.start(toy_config(registry, *plugins, **settings), registry, out, process_group=group, **how)


def trained(made: Session) -> dict[str, Any]:
    """Run a session; weights, moments, generators and everything else that its last checkpoint has."""
    kept: dict[str, Any] = {}
    save = made.trainer._save

    def saving(commit: int) -> None:
        kept.update(experiment_state(made.experiment))
        assert save is not None
        save(commit)

    made.trainer._save = saving
    made.run()
    return kept


def stopped(case: str, out: Path, group: Any = None, steps: int = 5) -> None:
    """Train until the main process gets a signal during the given step, in the second epoch."""
    made = session(case, out, group)
    learn, trainer = made.trainer.learn, made.trainer

    def learning(*batch: torch.Tensor) -> Any:
        if trainer.step == steps - 1 and (group is None or group.is_main):
            trainer.stop_after_batch(signal.SIGTERM)
        return learn(*batch)

    trainer.learn = learning  # type: ignore[method-assign]
    with contextlib.suppress(Interrupted):
        made.run()
    assert trainer.step == steps, trainer.step


def main(folder: Path) -> None:
    """Every case, one after the other."""
    torch.set_num_threads(1)
    chosen = os.environ.get("CASES", "")
    with process_group("cpu") as group:
        for case in chosen.split(",") if chosen else CASES:
            made = session(case, folder / f"{case}.h5", group)
            state = trained(made)
            if group.is_main:
                torch.save(state, folder / f"{case}.pt")
        if chosen:
            return
        # begun by two processes: one process resumes ``to one``; begun by one process, resumed here: ``from one``
        stopped("olu", folder / "to one.h5", group)
        made = session("olu", folder / "from one.h5", group, resume=True)
        state = trained(made)
        if group.is_main:
            torch.save(state, folder / "from one.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
