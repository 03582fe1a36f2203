"""Replay of a recorded trajectory with the ordinary trainer and plugins, and how far the results deviate.

A trajectory (``.npz``) contains the initial weights, every batch with its labels, and the results of another
implementation. A peer (``ffprobe.Peer``) knows that implementation and lists the components that reproduce it; a
trajectory that no peer claims must name its components itself (``ffprobe.replay.named``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ffprobe.components.base import Component, Params
from ffprobe.components.peer import Peer, ReplayPlan, ReplayRecord, Tolerance, Trajectory
from ffprobe.config.preset_files import BASE_PRESET, read_preset
from ffprobe.config.resolve import resolve, validate
from ffprobe.config.settings import Choice, RunConfig
from ffprobe.data.images import Images
from ffprobe.errors import FileError, PluginError
from ffprobe.inference.evaluate import label_goodness
from ffprobe.plugin.registry import Registry
from ffprobe.replay.capture import ReplayObserver
from ffprobe.replay.comparing import Replay, compare
from ffprobe.replay.named import NamedComponents
from ffprobe.replay.recorded import RecordedBatches, recorded_negatives, recorded_network
from ffprobe.store.plain_arrays import read_arrays
from ffprobe.training.experiment import Experiment, build
from ffprobe.training.observers import Observers
from ffprobe.training.split import Split
from ffprobe.training.trainer import Trainer

LARGEST = 1 << 30
"""Maximum size of the arrays of one trajectory, in bytes; reference trajectories are below a megabyte."""


def read_trajectory(path: Path) -> Trajectory:
    """Read a trajectory from its file.

    Raises:
        FileError: the file is missing, damaged, contains objects, or is larger than ``LARGEST``.
    """
    hint = "A trajectory is an .npz of plain arrays with a JSON string `meta`."
    arrays = read_arrays(path, LARGEST, "trajectory", hint)
    try:
        meta = json.loads(str(arrays.pop("meta")))
    except (KeyError, ValueError, RecursionError) as error:
        raise FileError("The trajectory has no readable meta.", where=str(path), hint=hint) from error
    if not isinstance(meta, dict):
        raise FileError("The trajectory's meta is not a JSON object.", where=str(path))
    return Trajectory(str(path), meta, arrays)


def replay(path: Path, registry: Registry, tolerance: Tolerance | None = None, fast: bool = False) -> Replay:
    """Replay one trajectory.

    Sums are rounded as in the recording, on one thread and channels first, unless ``fast``: Adam turns a gradient that
    is zero up to rounding into a step of the full learning rate, so that in float32 two correct implementations can
    differ by more than the tolerance.

    Args:
        path: the ``.npz`` file.
        registry: registry of peers and components.
        tolerance: tolerance for all quantities; None for the peer's own tolerances.
        fast: use the memory layout and the threads of an ordinary run instead.

    Raises:
        FileError: the file is damaged or incomplete.
        PluginError: a required peer or component is not installed; the message names it.
    """
    trajectory = read_trajectory(path)
    threads = torch.get_num_threads()
    if not fast:
        torch.set_num_threads(1)
    try:
        peer = claiming_peer(trajectory, registry)
        plan = peer.plan(trajectory)
        result = Replay(str(path), peer=peer.name)
        experiment = experiment_of(plan, trajectory, peer, registry, fast)
        result.components = {k: type(experiment.components[k]).name for k in plan.components if k != "evaluator"}
        record = _train(experiment, plan, registry)
        compare(result, trajectory, peer, plan, record, tolerance)
    except (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise FileError(f"The trajectory is inconsistent: {reason}.", where=str(path)) from error
    finally:
        torch.set_num_threads(threads)
    return result


def claiming_peer(trajectory: Trajectory, registry: Registry) -> Peer:
    """The peer that claims a trajectory; ``NamedComponents`` if none does.

    Raises:
        PluginError: two peers claim it.
    """
    names = sorted({o.name for plugin in registry.plugins for o in plugin.offers if o.kind == "peer"})
    peers: list[Any] = [registry.component("peer", name)() for name in names]
    claiming = [peer for peer in peers if peer.claims(trajectory.meta)]
    if len(claiming) > 1:
        raise PluginError(
            f"The peers {' and '.join(repr(peer.name) for peer in claiming)} both claim the trajectory.",
            where=trajectory.path,
            hint="Uninstall one of them.",
        )
    return claiming[0] if claiming else NamedComponents(registry)


def _train(experiment: Experiment, plan: ReplayPlan, registry: Registry) -> ReplayRecord:
    network = experiment.network
    record = ReplayRecord(network, lambda x: _evaluate(experiment, x))
    with ReplayObserver(record, plan.record_outputs, registry):
        trainer = Trainer(experiment, Observers(registry.manager, no_record, no_failure))
        network.train()
        for step, (x, y, _) in enumerate(experiment.loader):
            trainer.epoch = int(plan.epochs[step]) if plan.epochs is not None else 0
            trainer.learn(x, y)
    return record


def _evaluate(experiment: Experiment, x: np.ndarray) -> np.ndarray:
    network = experiment.network
    mode = network.training
    network.eval()
    with torch.inference_mode():
        goodness = label_goodness(network, torch.from_numpy(x))
    network.train(mode)
    return goodness.numpy()


def no_record(plugin: str, variable: str, value: object) -> None:
    """Refuse to record: a replay has no run file."""
    raise RuntimeError(f"{plugin} cannot record {variable} in a replay")


def no_failure(plugin: str, sentence: str) -> None:
    """Raise what an observer reports."""
    raise RuntimeError(sentence)


def experiment_of(
    plan: ReplayPlan, trajectory: Trajectory, peer: Peer, registry: Registry, fast: bool = False
) -> Experiment:
    """Build the experiment of a plan, with the trajectory's initial weights.

    Args:
        plan: the plan of the replay.
        trajectory: the recorded trajectory.
        peer: the peer, which translates the recorded names.
        registry: registry of components.
        fast: whether to use the memory layout of an ordinary run.
    """
    batches = RecordedBatches(plan)
    base = resolve(_table(plan, batches), registry)
    slots = {**base.slots, **{kind: choice(kind, entry, registry) for kind, entry in plan.components.items()}}
    slots["network"] = Choice(recorded_network(plan, batches), Params())
    if plan.negatives is not None:
        slots["negatives"] = Choice(recorded_negatives(batches), Params())
    names = tuple(str(k) for k in range(plan.classes))
    pixels = torch.zeros((1, *plan.shape), dtype=torch.uint8)
    images = Images(pixels, torch.zeros(1, dtype=torch.int64), names, (0.0,) * plan.shape[0], (1.0,) * plan.shape[0])
    nothing = torch.zeros(0, dtype=torch.int64)
    split = Split(images, images, None, nothing, nothing)
    layout = torch.channels_last if fast else torch.contiguous_format
    experiment = build(
        RunConfig(base.settings, slots), registry, split, batches, layout, plan.optimizer, every_layer=False
    )
    state = {name: torch.from_numpy(np.array(v)) for name, v in peer.state(trajectory.under("init")).items()}
    counters = {n: v for n, v in experiment.network.named_state().items() if n.endswith("num_batches_tracked")}
    experiment.network.load_named_state({**counters, **state})
    return experiment


def choice(kind: str, entry: str | Mapping[str, Any] | type[Component], registry: Registry) -> Choice:
    """The component of a plan's slot, with its settings."""
    if isinstance(entry, type):
        return Choice(entry, entry.Params())
    entry = {"name": entry} if isinstance(entry, str) else entry
    component = registry.component(kind, str(entry["name"]))
    settings = {key: value for key, value in entry.items() if key != "name"}
    return Choice(component, validate(component.Params, settings, f"{kind} {component.name!r}", kind))


def _table(plan: ReplayPlan, batches: RecordedBatches) -> dict[str, Any]:
    # the base preset; the plan's components and the trajectory's layers and wrong labels replace its own later
    table: dict[str, Any] = {**read_preset(BASE_PRESET), "probes": []}
    training = {
        "epochs": batches.epochs,
        "lr_schedule": "constant",
        "weight_decay": 0.0,
        "momentum": 0.0,
        **plan.training,
    }
    if plan.rates is not None:
        training.update(lr_schedule="network", learning_rate=1.0)
    precision = "fp64" if plan.inputs.dtype == np.float64 else "fp32"
    return {**table, "training": training, "device": "cpu", "precision": precision}
