"""Trains the cases of ``test_processes`` in this process, as one of a process group if the environment sets one up.

Run as a program, ``python two_processes.py FOLDER``, it writes the run files and each process's final state to FOLDER.
"""

from __future__ import annotations

import contextlib
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
WATCHING = ("gradients:sandbox_every=2", "negatives:sandbox_every=2", "scaling:sandbox_every=2")
"""Probes that run experiments on a copy of the network, in the main process alone."""

PARTS: dict[str, Any] = {"training": {"sync_batch_norm": False}}
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


def session(case: str, out: Path, group: Any = None, **how: Any) -> Session:
    """The session of a case, ready to run."""
    plugins, changes = CASES[case]
    training = {"batch_size": 63, "max_images": 126, "augmentation": True, "epochs": 2, **changes.get("training", {})}
    registry = Registry()
    settings = {"precision": "fp64", **changes, "training": training, "recording": {"activations": False}}
    return Session.start(toy_config(registry, *plugins, **settings), registry, out, process_group=group, **how)


def state(made: Session) -> dict[str, torch.Tensor]:
    """The network's final state."""
    return {name: value.clone() for name, value in experiment_state(made.experiment)["network"].items()}


def main(folder: Path) -> None:
    """Every case, one after the other."""
    torch.set_num_threads(1)
    before = threads()
    with process_group("cpu") as group:
        for case in CASES:
            made = session(case, folder / f"{case}.h5", group)
            made.run()
            torch.save(state(made), folder / f"{case}.{group.rank}.pt")
        # only the main process gets the request to stop, in the first epoch; all processes resume together
        stopped = session("olu", folder / "resumed.h5", group)
        if group.is_main:
            stopped.trainer.stop_after_batch(signal.SIGTERM)
        with contextlib.suppress(Interrupted):
            stopped.run()
        assert stopped.trainer.step == 1
        made = session("olu", folder / "resumed.h5", group, resume=True)
        made.run()
        torch.save(state(made), folder / f"resumed.{group.rank}.pt")
    # a thread of gloo that outlives the group may abort the process at its end
    assert threads() <= before, f"{threads()} threads after the group, {before} before"


def threads() -> int:
    """Number of threads of this process; 0 where the system does not say."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.is_dir() else 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
