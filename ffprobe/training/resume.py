"""Resumes a run: checks that nothing changed, finds the checkpoint, and restores its state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ffprobe.config.differences import differences
from ffprobe.errors import FfprobeError, FileError, UsageError, describe
from ffprobe.runtime.version import __version__
from ffprobe.store.names import partial_of
from ffprobe.store.reader import open_run
from ffprobe.training.checkpoint import checkpoint_of, read_checkpoint
from ffprobe.training.checkpoint_state import check_experiment, check_optimizers, check_progress, check_types, unfit
from ffprobe.training.experiment import Experiment


def environment(experiment: Experiment) -> dict[str, Any]:
    """Everything that the numbers of a run depend on: settings, data, versions, device, threads, plugins."""
    split = experiment.split
    # layers in parallel give the numbers of one process; how many processes share a batch decides how sums are rounded
    sharing = experiment.setup.process_group
    processes = {"processes": sharing.size, "process_backend": sharing.backend} if sharing.size > 1 else {}
    return {
        **processes,
        "config": experiment.config.to_dict(),
        "data": {
            "training": split.train.sha256(),
            "validation": split.validation.sha256(),
            "test": split.test.sha256() if split.test else None,
        },
        "versions": {"ffprobe": __version__, "torch": str(torch.__version__), "numpy": np.__version__},
        "plugins": [f"{p.name} {p.distribution} {p.version} {p.digest}" for p in experiment.registry.loaded],
        "device": str(experiment.device),
        "precision": experiment.precision,
        "threads": torch.get_num_threads(),
    }


def recorded_precision(out: Path) -> str:
    """The precision of the unfinished run that writes ``out``; empty if there is none, or none that can be read."""
    try:
        with open_run(partial_of(out)) as run:
            precision = run.attributes.get("precision")
    except FileError:
        return ""
    return str(precision) if precision in ("fp32", "bf16") else ""


def refuse_changes(before: Mapping[str, Any], now: Mapping[str, Any], allow: bool) -> list[str]:
    """List the differences between two environments, and refuse them unless ``allow``.

    Args:
        before: the environment of the run that was started.
        now: the environment of the run that resumes it.
        allow: whether differences are accepted.

    Raises:
        UsageError: the environments differ; the message lists the differences.
    """
    before, now = ({**one, "plugins": sorted(one["plugins"])} for one in (before, now))  # in which order they load
    # whether missing files may be downloaded depends on the command line and decides nothing; what processes divide is
    # in ``processes`` where it decides numbers; an older run has no images, which its file goes on without
    ignored = (
        *(f"config.{name}: " for name in ("data.download", "parallel", "parallel_stages", "parallel_timeout")),
        "config.recording.images: None -> ",
    )
    changed = [line for line in differences(before, now) if not line.startswith(ignored)]
    if changed and not allow:
        raise UsageError(
            f"The run to resume differs: {'; '.join(changed)}.",
            hint="Use the same settings, or --allow-changes; the changes are then recorded in the file.",
        )
    return changed


def resumable_state(experiment: Experiment, out: Path, allow_changes: bool) -> dict[str, Any] | None:
    """The state to resume from; None if there is no committed epoch that could be lost.

    Args:
        experiment: the experiment of the current command.
        out: the run file; its partial file and its checkpoint are read.
        allow_changes: whether to accept a run that differs; the state then lists the changes.

    Raises:
        UsageError: the run differs from the one that was started.
        FileError: the checkpoint is missing, damaged, or belongs to another run; the message says what is wrong.
    """
    partial = partial_of(out)
    if not partial.exists():
        return None
    with open_run(partial) as run:
        commits, epochs, created = run.commits, run.epochs, run.attributes.get("created_utc")
    path = checkpoint_of(out)
    if not path.exists():
        if epochs == 0:
            return None
        raise FileError(
            f"{epochs} epochs are committed, but the checkpoint is missing.",
            where=str(path),
            hint="Use --overwrite to start again; analyses can read the partial file as it is.",
        )
    state = read_checkpoint(path)
    check_types(state, path)
    if state["created_utc"] != created:
        if not len(commits):  # killed before it could delete the checkpoint of the run that it overwrites
            return None
        raise FileError("The checkpoint belongs to another run.", where=str(path))
    check_progress(state, commits, path)
    try:
        changed = refuse_changes(state["environment"], environment(experiment), allow_changes)
    except FfprobeError:
        raise
    except Exception as error:  # whatever the file has in place of an environment
        raise unfit(f"'environment' has another form ({type(error).__name__}: {error})", path) from error
    if not changed:  # a changed run may have another network, which its layout tells
        check_experiment(state, experiment, path)
    state["resumed"] = [*state["resumed"], f"after epoch {state['progress']['epoch']}"]
    state["changes"] = [*state["changes"], *changed]
    return {**state, "path": str(path)}


def file_identity(path: Path) -> list[int] | None:
    """Size and modification time (ns) of a file, which tell whether it was replaced; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def may_replace(out: Path, state: Mapping[str, Any]) -> bool:
    """Whether ``out`` is still the finished file that the interrupted run was to replace (``--overwrite``)."""
    return out.exists() and state.get("replaces") == file_identity(out)


def interrupted_replacement(out: Path) -> bool:
    """Whether an unfinished run that was to replace the finished ``out`` (``--overwrite``) was interrupted."""
    path = checkpoint_of(out)
    return partial_of(out).exists() and path.exists() and may_replace(out, read_checkpoint(path))


def experiment_state(experiment: Experiment) -> dict[str, Any]:
    """The state between two epochs: weights, optimizer state, random generators and the state of components."""
    return {
        "network": dict(experiment.network.state_dict()),
        "learner": experiment.learner.state_dict(),
        "streams": {name: stream.get_state() for name, stream in experiment.streams.items()},
        "global_stream": torch.get_rng_state(),
        "components": {name: part.state_dict() for name, part in experiment.components.items()},
    }


def restore(experiment: Experiment, state: Mapping[str, Any], path: str = "") -> None:
    """Restore the state that ``experiment_state`` returned; torch's global generator comes last.

    Args:
        experiment: the experiment of this run.
        state: the state.
        path: path of the checkpoint, for messages.

    Raises:
        FileError: a part of the run refuses its state; the message names the part.
    """
    with _restoring("the network", path):
        experiment.network.load_state_dict(state["network"])
    with _restoring("the learner", path):
        experiment.learner.load_state_dict(state["learner"])
        check_optimizers(experiment.learner)
    for name, stream in experiment.streams.items():
        with _restoring(f"the random stream {name!r}", path):
            stream.set_state(state["streams"][name])
    for name, part in experiment.components.items():
        with _restoring(f"the {name}", path):
            part.load_state_dict(state["components"][name])
    with _restoring("torch's random generator", path):
        torch.set_rng_state(state["global_stream"])


@contextmanager
def _restoring(part: str, path: str) -> Iterator[None]:
    try:
        yield
    except FfprobeError:
        raise
    except Exception as error:  # load_state_dict of a plugin may raise any exception for a state that is not its own
        raise unfit(f"{part} cannot load its state ({describe(error)})", path) from error
