"""Replaying a recorded trajectory through the ordinary trainer and plugins, and saying how far it strays.

A trajectory (``.npz``) holds a network's start, every batch with its labels, and what became of it, recorded from
somebody else's implementation. A peer (``ffprobe.Peer``) knows that code and says with which components it is repeated;
a trajectory that no peer claims must name components itself (``ffprobe.replay.named``).
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
"""Bytes that the arrays of one trajectory may take; reference trajectories are below a megabyte."""


def read_trajectory(path: Path) -> Trajectory:
    """A trajectory from its file.

    Raises:
        FileError: missing, damaged, holding objects, or larger than ``LARGEST``.
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
    is zero up to rounding into a step of the whole learning rate, so that in float32 two right implementations can
    part by more than the tolerance.

    Args:
        path: the ``.npz`` file.
        registry: to find peers and components in.
        tolerance: for everything; the peer's own, by quantity, when not given.
        fast: use the memory layout and the threads of an ordinary run instead.

    Raises:
        FileError: the file is damaged or incomplete.
        PluginError: a peer or a component that it needs is not there; the message names it.
    """
    trajectory = read_trajectory(path)
    threads = torch.get_num_threads()
    if not fast:
        torch.set_num_threads(1)
    try:
        peer = _peer(trajectory, registry)
        plan = peer.plan(trajectory)
        result = Replay(str(path), peer=peer.name)
        experiment = _experiment(plan, trajectory, peer, registry, fast)
        result.components = {k: type(experiment.components[k]).name for k in plan.components if k != "evaluator"}
        heard = _train(experiment, plan, registry)
        compare(result, trajectory, peer, plan, heard, tolerance)
    except (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError, AttributeError) as error:
        told = f"{type(error).__name__}: {error}".splitlines()[0]
        raise FileError(f"The trajectory does not fit together: {told}.", where=str(path)) from error
    finally:
        torch.set_num_threads(threads)
    return result


def _peer(trajectory: Trajectory, registry: Registry) -> Peer:
    names = sorted({o.name for plugin in registry.plugins for o in plugin.offers if o.kind == "peer"})
    peers: list[Any] = [registry.component("peer", name)() for name in names]
    claiming = [peer for peer in peers if peer.claims(trajectory.meta)]
    if len(claiming) > 1:
        raise PluginError(
            f"The peers {' and '.join(repr(peer.name) for peer in claiming)} both claim the trajectory.",
            where=trajectory.path,
            hint="Uninstall one.",
        )
    return claiming[0] if claiming else NamedComponents(registry)


def _train(experiment: Experiment, plan: ReplayPlan, registry: Registry) -> ReplayRecord:
    network = experiment.network
    heard = ReplayRecord(network, lambda x: _evaluate(experiment, x))
    with ReplayObserver(heard, plan.listen, registry):
        trainer = Trainer(experiment, Observers(registry.manager, _no_record, _no_failure))
        network.train()
        for step, (x, y, _) in enumerate(experiment.loader):
            trainer.epoch = int(plan.epochs[step]) if plan.epochs is not None else 0
            trainer.learn(x, y)
    return heard


def _evaluate(experiment: Experiment, x: np.ndarray) -> np.ndarray:
    network = experiment.network
    mode = network.training
    network.eval()
    with torch.inference_mode():
        goodness = label_goodness(network, torch.from_numpy(x))
    network.train(mode)
    return goodness.numpy()


def _no_record(plugin: str, variable: str, value: object) -> None:
    raise RuntimeError(f"{plugin} cannot record {variable} in a replay")


def _no_failure(plugin: str, sentence: str) -> None:
    raise RuntimeError(sentence)


def _experiment(plan: ReplayPlan, trajectory: Trajectory, peer: Peer, registry: Registry, fast: bool) -> Experiment:
    batches = RecordedBatches(plan)
    base = resolve(_table(plan, batches), registry)
    slots = {**base.slots, **{kind: _choice(kind, said, registry) for kind, said in plan.components.items()}}
    slots["network"] = Choice(recorded_network(plan, batches), Params())
    if plan.negatives is not None:
        slots["negatives"] = Choice(recorded_negatives(batches), Params())
    names = tuple(str(k) for k in range(plan.classes))
    pixels = torch.zeros((1, *plan.shape), dtype=torch.uint8)
    images = Images(pixels, torch.zeros(1, dtype=torch.int64), names, (0.0,) * plan.shape[0], (1.0,) * plan.shape[0])
    nothing = torch.zeros(0, dtype=torch.int64)
    split = Split(images, images, None, nothing, nothing)
    layout = torch.channels_last if fast else torch.contiguous_format
    experiment = build(RunConfig(base.settings, slots), registry, split, batches, layout, plan.optimizer)
    state = {name: torch.from_numpy(np.array(v)) for name, v in peer.state(trajectory.under("init")).items()}
    counters = {n: v for n, v in experiment.network.named_state().items() if n.endswith("num_batches_tracked")}
    experiment.network.load_named_state({**counters, **state})
    return experiment


def _choice(kind: str, said: str | Mapping[str, Any] | type[Component], registry: Registry) -> Choice:
    if isinstance(said, type):
        return Choice(said, said.Params())
    said = {"name": said} if isinstance(said, str) else said
    component = registry.component(kind, str(said["name"]))
    settings = {key: value for key, value in said.items() if key != "name"}
    return Choice(component, validate(component.Params, settings, f"{kind} {component.name!r}", kind))


def _table(plan: ReplayPlan, batches: RecordedBatches) -> dict[str, Any]:
    # the baseline, in which the plan's components and the trajectory's layers and wrong labels are put afterwards
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
