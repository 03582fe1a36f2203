"""Trains the cases of ``test_processes`` in this process, one of a team when the environment says so.

As a program, ``python two_processes.py FOLDER``, it leaves the run files and each process's final state there.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from toy import toy_config

from ffprobe.distributed.processes import joined
from ffprobe.errors import Interrupted
from ffprobe.plugin.registry import Registry
from ffprobe.training.resume import experiment_state
from ffprobe.training.session import Session

TRIFECTA = ("batchnorm", "symba", "label-channel")
WATCHING = ("gradients:rehearse=2", "negatives:rehearse=2", "scaling:rehearse=2")
"""Probes that try things on a copy of the network, in the leader alone."""

PARTS: dict[str, Any] = {"training": {"sync_statistics": False}}
CASES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "greedy": (("greedy", *TRIFECTA), {"training": {"epochs": 1}}),
    "olu": (("olu", *TRIFECTA), {}),
    "summed": (("summed-losses", *TRIFECTA), {"training": {"epochs": 1}}),
    "aligned": (("feedback-alignment", "olu", *TRIFECTA), {"training": {"epochs": 1}}),
    "class": (("linear-head", "cross-entropy", "no-label", "batchnorm"), {"training": {"epochs": 1}}),
    "single precision": (("olu", *TRIFECTA), {"precision": "fp32", "training": {"optimizer": "sgd"}}),
    "watched": (("olu", *TRIFECTA, *WATCHING), {}),
    "without sync": (("olu", *TRIFECTA), PARTS),
}
"""Plugins and changes by name; batches of 63 are shared as 32 and 31."""


def session(case: str, out: Path, team: Any = None, **how: Any) -> Session:
    """The case's run, ready."""
    plugins, changes = CASES[case]
    training = {"batch_size": 63, "images": 126, "augmentation": True, "epochs": 2, **changes.get("training", {})}
    registry = Registry()
    told = {"precision": "fp64", **changes, "training": training, "recording": {"activations": False}}
    return Session(toy_config(registry, *plugins, **told), registry, out, team=team, **how)


def state(made: Session) -> dict[str, torch.Tensor]:
    """The network's final state."""
    return {name: value.clone() for name, value in experiment_state(made.experiment)["network"].items()}


def main(folder: Path) -> None:
    """Every case, one after the other."""
    torch.set_num_threads(1)
    with joined("cpu") as team:
        for case in CASES:
            made = session(case, folder / f"{case}.h5", team)
            made.run()
            torch.save(state(made), folder / f"{case}.{team.rank}.pt")
        # the leader alone is asked to stop, in the first epoch; all go on together
        stopped = session("olu", folder / "resumed.h5", team)
        if team.leads:
            stopped.trainer.stop_after_batch(signal.SIGTERM)
        with contextlib.suppress(Interrupted):
            stopped.run()
        assert stopped.trainer.step == 1
        made = session("olu", folder / "resumed.h5", team, resume=True)
        made.run()
        torch.save(state(made), folder / f"resumed.{team.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
