"""Checks the state in a checkpoint before a run is resumed from it.

``torch.load(weights_only=True)`` guarantees that no code from the file runs, not that the state belongs to this run: a
file from somebody else, or one edited by hand, can have any shape, type and number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ffprobe.errors import FileError
from ffprobe.training.checkpoint import HINT
from ffprobe.training.outcome import Outcome

if TYPE_CHECKING:
    from ffprobe.store.commits import Commits
    from ffprobe.training.experiment import Experiment

_NUMBERS = (int, float)
_TYPES: dict[str, tuple[type, ...]] = {
    "created_utc": (str,),
    "commit": (int,),
    "resumed": (list,),
    "changes": (list,),
    "environment": (dict,),
    "environment.config": (dict,),
    "environment.plugins": (list,),
    "progress": (dict,),
    "progress.epoch": (int,),
    "progress.step": (int,),
    "progress.seconds": _NUMBERS,
    "progress.outcome": (dict,),
    "experiment": (dict,),
    "experiment.network": (dict,),
    "experiment.learner": (dict,),
    "experiment.streams": (dict,),
    "experiment.global_stream": (torch.Tensor,),
    "experiment.components": (dict,),
}
"""The types of the entries of a checkpoint, by path; a bool is not an int."""


def check_types(state: Mapping[str, Any], path: Path) -> None:
    """Check that the entries of a checkpoint exist and have the right types.

    Raises:
        FileError: an entry is missing or has another type; the message names it.
    """
    for name, types in _TYPES.items():
        value: Any = state
        for part in name.split("."):
            if part not in value:
                raise unfit(f"it has no {name!r}", path)
            value = value[part]
        if type(value) not in types and not (dict in types and isinstance(value, Mapping)):
            raise unfit(f"{name!r} is {_short(value)}, not {' or '.join(kind.__name__ for kind in types)}", path)
    for name in ("resumed", "changes"):
        if not all(type(entry) is str for entry in state[name]):
            raise unfit(f"{name!r} is {_short(state[name])}, not a list of str", path)
    seconds, outcome = state["progress"]["seconds"], state["progress"]["outcome"]
    if not (math.isfinite(seconds) and seconds >= 0):
        raise unfit(f"'progress.seconds' is {seconds}", path)
    _check_outcome(outcome, path)


def check_progress(state: Mapping[str, Any], commits: Commits, path: Path) -> None:
    """Check that the progress in a checkpoint is that of its commit in the unfinished file.

    Args:
        state: the checkpoint, with the right types.
        commits: the commits of the unfinished file.
        path: path of the checkpoint.

    Raises:
        FileError: there is no such commit, or it has another number of epochs or steps.
    """
    commit, progress = state["commit"], state["progress"]
    if not 0 <= commit < len(commits):
        raise unfit(f"it belongs to commit {commit}, and the unfinished file has {len(commits)} commits", path)
    lengths = commits.at(commit)
    for name, dimension in (("epoch", "metrics/epoch"), ("step", "steps/step")):
        if dimension in lengths and progress[name] != lengths[dimension]:
            raise unfit(
                f"'progress.{name}' is {progress[name]}, and commit {commit} of the unfinished file has"
                f" {lengths[dimension]} {name}s",
                path,
            )


def check_experiment(state: Mapping[str, Any], experiment: Experiment, path: Path) -> None:
    """Check the tensors of a checkpoint against an experiment with the same settings.

    Raises:
        FileError: names, shapes or dtypes differ; the message names the first difference.
    """
    saved = state["experiment"]
    _check_tensors("network", saved["network"], experiment.network.state_dict(), path)
    _check_tensors("streams", saved["streams"], {n: s.get_state() for n, s in experiment.streams.items()}, path)
    _check_tensors("", {"global_stream": saved["global_stream"]}, {"global_stream": torch.get_rng_state()}, path)
    _check_names("components", saved["components"], experiment.components, path)
    for name, value in saved["components"].items():
        if not isinstance(value, Mapping):
            raise unfit(f"components.{name} is {_short(value)}, not dict", path)


def check_optimizers(learner: object) -> None:
    """Check what a learner's optimizers loaded; torch itself checks neither shapes nor settings.

    Raises:
        ValueError: a moment has another shape than its parameter, or a setting has another type than its default.
    """
    for optimizer in _optimizers(learner):
        for group in optimizer.param_groups:
            for name, default in optimizer.defaults.items():
                if name not in group:
                    raise ValueError(f"the optimizer's setting {name!r} is missing")
                if not _alike(group[name], default):
                    raise ValueError(f"the optimizer's setting {name!r} is {_short(group[name])}")
        for parameter, moments in optimizer.state.items():
            for name, value in moments.items():
                if isinstance(value, torch.Tensor) and value.dim() and value.shape != parameter.shape:
                    shapes = f"{list(value.shape)}, its parameter {list(parameter.shape)}"
                    raise ValueError(f"the optimizer's {name!r} has shape {shapes}")
                if not isinstance(value, torch.Tensor | int | float | None):
                    raise ValueError(f"the optimizer's {name!r} is {_short(value)}")


def unfit(reason: str, path: Path | str) -> FileError:
    """The error for a checkpoint that cannot be used."""
    return FileError(f"The checkpoint does not belong to this run: {reason}.", where=str(path), hint=HINT)


def _check_outcome(outcome: Mapping[str, Any], path: Path) -> None:
    fresh = asdict(Outcome())
    for name, value in outcome.items():
        if name not in fresh:
            raise unfit(f"'progress.outcome' has {_short(name)}, which this run does not have", path)
        numbers = value if isinstance(value, list) else [value]
        numeric = all(number is None or type(number) in _NUMBERS for number in numbers)
        if not numeric or isinstance(value, list) != isinstance(fresh[name], list):
            raise unfit(f"'progress.outcome.{name}' is {_short(value)}", path)


def _check_names(where: str, saved: Mapping[str, Any], own: Mapping[str, Any], path: Path) -> None:
    if missing := sorted(own.keys() - saved.keys()):
        raise unfit(f"{where} has no {missing[0]!r}", path)
    if extra := [name for name in saved if name not in own]:
        raise unfit(f"{where} has {_short(extra[0])}, which this run does not have", path)


def _check_tensors(where: str, saved: Mapping[str, Any], own: Mapping[str, torch.Tensor], path: Path) -> None:
    _check_names(where, saved, own, path)
    for name, expected in own.items():
        value, full = saved[name], f"{where}.{name}".strip(".")
        if not isinstance(value, torch.Tensor):
            raise unfit(f"{full} is {_short(value)}, not a tensor", path)
        if value.shape != expected.shape or value.dtype != expected.dtype:
            found, needed = (f"{str(t.dtype).removeprefix('torch.')} {list(t.shape)}" for t in (value, expected))
            raise unfit(f"{full} is {found}, not {needed}", path)


def _optimizers(learner: object) -> Iterator[torch.optim.Optimizer]:
    """The optimizers among the attributes of a learner, and in dicts and lists among them."""
    for value in vars(learner).values():
        items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
        yield from (item for item in items if isinstance(item, torch.optim.Optimizer))


def _alike(value: object, default: object) -> bool:
    if type(default) in _NUMBERS:
        return type(value) in _NUMBERS
    if isinstance(default, list | tuple):
        return (
            isinstance(value, list | tuple)
            and len(value) == len(default)
            and all(_alike(v, d) for v, d in zip(value, default, strict=True))
        )
    return default is None or value is None or type(value) is type(default)


def _short(value: object) -> str:
    text = f"a tensor {list(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
