"""Going on with a run: what must be the same, and what the trainer takes over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ffprobe.config.differences import differences
from ffprobe.errors import UsageError
from ffprobe.runtime.version import __version__
from ffprobe.training.experiment import Experiment


def environment(experiment: Experiment) -> dict[str, Any]:
    """What the numbers of a run depend on: settings, data, versions, device, threads, plugins."""
    split = experiment.split
    process_group = experiment.process_group
    together = (
        {"processes": process_group.size, "process_backend": process_group.backend} if process_group.size > 1 else {}
    )
    return {
        **together,
        "config": experiment.config.to_dict(),
        "data": {
            "training": split.train.sha256(),
            "validation": split.validation.sha256(),
            "test": split.test.sha256() if split.test else None,
        },
        "versions": {"ffprobe": __version__, "torch": torch.__version__, "numpy": np.__version__},
        "plugins": [f"{p.name} {p.distribution} {p.version} {p.digest}" for p in experiment.registry.loaded],
        "device": str(experiment.device),
        "precision": experiment.precision,
        "threads": torch.get_num_threads(),
    }


def refuse_changes(before: Mapping[str, Any], now: Mapping[str, Any], allow: bool) -> list[str]:
    """What changed; nothing may have, unless ``allow``.

    Raises:
        UsageError: something changed; the message says what.
    """
    changed = list(differences(before, now))
    if changed and not allow:
        raise UsageError(
            f"The run cannot go on as it began; changed: {'; '.join(changed)}.",
            hint="Run it as before, or say --allow-changes; the file then records them.",
        )
    return changed


def experiment_state(experiment: Experiment) -> dict[str, Any]:
    """Weights, moments, streams and whatever components keep, between two epochs."""
    return {
        "network": dict(experiment.network.state_dict()),
        "learner": experiment.learner.state_dict(),
        "streams": {name: stream.get_state() for name, stream in experiment.streams.items()},
        "global_stream": torch.get_rng_state(),
        "components": {name: part.state_dict() for name, part in experiment.components.items()},
    }


def restore(experiment: Experiment, state: Mapping[str, Any]) -> None:
    """Take over what ``experiment_state`` gave; torch's global stream last."""
    experiment.network.load_state_dict(state["network"])
    experiment.learner.load_state_dict(state["learner"])
    for name, stream in experiment.streams.items():
        stream.set_state(state["streams"][name])
    for name, part in experiment.components.items():
        part.load_state_dict(state["components"][name])
    torch.set_rng_state(state["global_stream"])
