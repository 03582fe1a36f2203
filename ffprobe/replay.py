"""Replaying a recorded trajectory through the ordinary trainer and plugins, and saying how far it strays.

A trajectory (``.npz``) holds a network's start, every batch with its labels, and what became of it, recorded from
somebody else's implementation. Its ``meta`` names components in that code's words; a component is found by its name or
by one of its ``aliases``, and constants go to the setting of the same name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ffprobe.components import Component, LayerSpec, Negatives, Network, Params, Shape
from ffprobe.config import BASE_PRESET, Choice, RunConfig, read_preset, resolve
from ffprobe.data.images import Images
from ffprobe.errors import FileError, PluginError
from ffprobe.hookspecs import StepContext, hookimpl
from ffprobe.registry import Registry
from ffprobe.store.plain_arrays import read_arrays
from ffprobe.training.evaluate import label_goodness
from ffprobe.training.experiment import Experiment, Split, build
from ffprobe.training.observers import Observers
from ffprobe.training.trainer import Trainer

LARGEST = 1 << 30
"""Bytes that the arrays of one trajectory may take; reference trajectories are below a megabyte."""

SLOTS = ("normalizer", "goodness", "loss", "scheduler", "encoder")
# what meta may say beside the slots; anything else is part of the method and must be known
DESCRIPTIVE = {"peer", "layers", "image", "classes", "optimizer", "updated_layers_at_step_t", *SLOTS}


@dataclass(frozen=True)
class Tolerance:
    """How far a replay may stray: ``absolute + relative * |recorded|`` for losses and goodness, ``weights`` flat."""

    absolute: float = 1e-5
    relative: float = 1e-4
    weights: float = 2e-4


@dataclass
class Replay:
    """What came of one trajectory.

    Attributes:
        file: its path.
        deviations: the largest absolute deviation by quantity (``loss``, ``goodness_positive``,
            ``goodness_negative``, ``weights``, ``evaluation_goodness``).
        excess: the largest deviation as a share of what is allowed, by quantity; above 1 fails.
        worst_weight: the parameter that strayed most.
        components: what the trajectory was replayed with, by slot.
    """

    file: str
    deviations: dict[str, float] = field(default_factory=dict)
    excess: dict[str, float] = field(default_factory=dict)
    worst_weight: str = ""
    components: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether everything stayed within the tolerance."""
        return bool(self.excess) and all(value <= 1 for value in self.excess.values())

    def document(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "file": self.file,
            "passed": self.passed,
            "deviations": self.deviations,
            "share_of_tolerance": self.excess,
            "worst_weight": self.worst_weight,
            "components": self.components,
        }


def read_trajectory(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The meta and the arrays of a trajectory.

    Raises:
        FileError: missing, damaged, holding objects, or larger than ``LARGEST``.
    """
    do = "A trajectory is an .npz of plain arrays with a JSON string `meta`."
    arrays = read_arrays(path, LARGEST, "trajectory", do)
    try:
        meta = json.loads(str(arrays.pop("meta")))
    except (KeyError, ValueError, RecursionError) as error:
        raise FileError("The trajectory has no readable meta.", where=str(path), do=do) from error
    if not isinstance(meta, dict):
        raise FileError("The trajectory's meta is not a JSON object.", where=str(path))
    return meta, arrays


def replay(path: Path, registry: Registry, tolerance: Tolerance | None = None, fast: bool = False) -> Replay:
    """Replay one trajectory.

    Sums are rounded as in the recording, on one thread and channels first, unless ``fast``: Adam turns a gradient that
    is zero up to rounding into a step of the whole learning rate, so that in float32 two right implementations can
    part by more than the tolerance.

    Args:
        path: the ``.npz`` file.
        registry: to find components in.
        tolerance: the README's of the reference trajectories when not given.
        fast: use the memory layout and the threads of an ordinary run instead.

    Raises:
        FileError: the file is damaged or incomplete.
        PluginError: a component that it needs is not there; the message names it.
    """
    meta, arrays = read_trajectory(path)
    chosen = _components(meta, registry)
    result = Replay(str(path), components={kind: choice.component.name for kind, choice in chosen.items()})
    threads = torch.get_num_threads()
    if not fast:
        torch.set_num_threads(1)
    try:
        recorded = _Recorded(meta, arrays)
        layout = torch.channels_last if fast else torch.contiguous_format
        experiment = _experiment(recorded, chosen, registry, layout)
        heard = _train(experiment, recorded, registry)
        _compare(result, recorded, experiment, heard, tolerance or Tolerance())
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        told = f"{type(error).__name__}: {error}".splitlines()[0]
        raise FileError(f"The trajectory does not fit together: {told}.", where=str(path)) from error
    finally:
        torch.set_num_threads(threads)
    return result


def _train(experiment: Experiment, recorded: _Recorded, registry: Registry) -> _StepListener:
    heard = _StepListener()
    registry.manager.register(heard, name="replay")
    try:
        trainer = Trainer(experiment, Observers(registry.manager, _no_record, _no_failure))
        experiment.stack.train()
        for x, y, _ in recorded:
            trainer.learn(x, y)
    finally:
        registry.manager.unregister(name="replay")
    return heard


def _no_record(plugin: str, variable: str, value: object) -> None:
    raise RuntimeError(f"{plugin} cannot record {variable} in a replay")


def _no_failure(plugin: str, sentence: str) -> None:
    raise RuntimeError(sentence)


class _StepListener:
    """Hears what every step's losses and goodness were, as any probe could."""

    def __init__(self) -> None:
        self.rows: dict[str, list[np.ndarray]] = {"loss": [], "goodness_pos": [], "goodness_neg": []}

    @hookimpl
    def ffprobe_after_step(self, context: StepContext) -> None:
        values = (context.loss, context.positive, context.negative)
        for rows, value in zip(self.rows.values(), values, strict=True):
            rows.append(value.cpu().numpy().copy())


class _Recorded:
    """The batches of a trajectory, in the place of a loader; one batch where there is no time axis."""

    def __init__(self, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        self.meta, self.arrays = meta, arrays
        x, positive, negative = (torch.from_numpy(arrays[f"batch/{k}"]) for k in ("x", "y_pos", "y_neg"))
        self.x = x if x.dim() == 5 else x[None]  # [T, B, C, H, W]
        self.positive, self.negative = positive.view(len(self.x), -1), negative.view(len(self.x), -1)
        self.steps = len(arrays["loss"])
        self.dtype = self.x.dtype
        if self.x.dim() != 5:
            raise ValueError(f"batch/x must be [T, B, C, H, W] or [B, C, H, W], not {list(x.shape)}")

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        for step in range(self.steps):
            at = step % len(self.x)
            yield self.x[at], self.positive[at], torch.arange(self.x.shape[1])

    def wrong(self, step: int) -> torch.Tensor:
        return self.negative[step % len(self.x)]


class _RecordedNegatives(Negatives):
    """The recorded wrong labels, in the place of a drawing."""

    name = "recorded"
    recorded: _Recorded

    def __call__(self, images: Any, labels: Any, classes: int, generator: Any, goodness: Any = None) -> torch.Tensor:
        self.step = getattr(self, "step", -1) + 1
        return self.recorded.wrong(self.step)


class _RecordedNetwork(Network):
    """The layers that a trajectory's meta lists."""

    name = "recorded"
    entries: list[Mapping[str, Any]]

    def layers(self, shape: Shape, classes: int) -> list[LayerSpec]:
        return [_layer(entry) for entry in self.entries]


def _layer(entry: Mapping[str, Any]) -> LayerSpec:
    if entry["kind"] == "conv3x3":
        return LayerSpec("conv", int(entry["out_channels"]), 2 if entry["maxpool"] else 1, bool(entry.get("bias")))
    if entry["kind"] == "linear":
        return LayerSpec("linear", int(entry["out_features"]), bias=bool(entry.get("bias")))
    raise PluginError(f"The trajectory has a layer {entry['kind']!r}, which no component here is.")


def _components(meta: Mapping[str, Any], registry: Registry) -> dict[str, Choice]:
    unknown = []
    chosen: dict[str, Choice] = {}
    for kind in SLOTS:
        said = str(meta.get(kind, ""))
        # peers describe a component as "name: formula" or "name, remark"
        words = said.split(":")[0].split(",")[0].strip()
        name = registry.by_alias(kind, words)
        if name is None:
            unknown.append(f"{kind} {words or '(not named)'!r}")
            continue
        component = registry.component(kind, name)
        chosen[kind] = Choice(component, _params(component, kind, meta))
    known_constants = set().union(*(_keys(c.component, kind) for kind, c in chosen.items())) if chosen else set()
    for key, value in meta.items():
        if key not in DESCRIPTIVE and key not in known_constants and value is not None and not unknown:
            unknown.append(f"{key} {value!r:.60}")
    if unknown:
        raise PluginError(
            f"A trajectory of {meta.get('peer') or meta.get('method') or 'an unnamed peer'} needs what is not here: "
            f"{'; '.join(unknown)}.",
            do="Install a plugin that supplies it under that name or alias.",
        )
    return chosen


def _keys(component: type[Component], kind: str) -> set[str]:
    # a setting may go by its own name, by an alias, or with the slot in front (encoder_learned)
    keys = set()
    for name, info in component.Params.model_fields.items():
        choices = getattr(info.validation_alias, "choices", [])
        keys |= {name, f"{kind}_{name}", *(str(c) for c in choices)}
    return keys


def _params(component: type[Component], kind: str, meta: Mapping[str, Any]) -> Any:
    keys = _keys(component, kind)
    found = {k.removeprefix(f"{kind}_"): v for k, v in meta.items() if k in keys and v is not None}
    return component.Params.model_validate(found)


def _experiment(
    recorded: _Recorded, chosen: Mapping[str, Choice], registry: Registry, layout: torch.memory_format
) -> Experiment:
    meta = recorded.meta
    optimizer = meta["optimizer"]
    network = type("Network", (_RecordedNetwork,), {"entries": list(meta["layers"])})
    negatives = type("Negatives", (_RecordedNegatives,), {"recorded": recorded})
    base = resolve(_table(chosen, optimizer, recorded), registry)
    slots = {
        **base.slots,
        **chosen,
        "network": Choice(network, Params()),
        "negatives": Choice(negatives, Params()),
    }
    shape, classes = tuple(recorded.x.shape[2:]), int(meta["classes"])
    names = tuple(str(k) for k in range(classes))
    pixels = torch.zeros((1, *shape), dtype=torch.uint8)
    images = Images(pixels, torch.zeros(1, dtype=torch.int64), names, (0.0,) * shape[0], (1.0,) * shape[0])
    nothing = torch.zeros(0, dtype=torch.int64)
    split = Split(images, images, None, nothing, nothing)
    experiment = build(RunConfig(base.settings, slots), registry, split, recorded, layout)
    state = {k.removeprefix("init/"): torch.from_numpy(v) for k, v in recorded.arrays.items() if k.startswith("init/")}
    missing = {
        name: value for name, value in experiment.stack.named_state().items() if name.endswith("num_batches_tracked")
    }
    experiment.stack.load_named_state({**missing, **state})
    return experiment


def _table(chosen: Mapping[str, Choice], optimizer: Mapping[str, Any], recorded: _Recorded) -> dict[str, Any]:
    # network and negatives are the trajectory's own and replaced after; the rest is the baseline's
    table: dict[str, Any] = {**read_preset(BASE_PRESET), "probes": []}
    table.update({kind: choice.document() for kind, choice in chosen.items()})
    training = {
        "optimizer": optimizer["name"],
        "learning_rate": optimizer["lr"],
        "weight_decay": optimizer.get("weight_decay", 0.0),
        "momentum": optimizer.get("momentum", 0.0),
        "schedule": "constant",
        "epochs": 1,
    }
    precision = "fp64" if recorded.dtype == torch.float64 else "fp32"
    return {**table, "training": training, "device": "cpu", "precision": precision}


def _compare(
    result: Replay, recorded: _Recorded, experiment: Experiment, heard: _StepListener, tolerance: Tolerance
) -> None:
    arrays = recorded.arrays
    for key, name in (("loss", "loss"), ("goodness_pos", "goodness_positive"), ("goodness_neg", "goodness_negative")):
        if key in arrays:
            _judge(result, name, arrays[key], np.stack(heard.rows[key]), tolerance)
    state = experiment.stack.named_state()
    worst = 0.0
    for key, value in arrays.items():
        if key.startswith("final/"):
            name = key.removeprefix("final/")
            deviation = float(np.abs(state[name].cpu().numpy() - value).max())
            if deviation >= worst:
                worst, result.worst_weight = deviation, name
    result.deviations["weights"], result.excess["weights"] = worst, worst / tolerance.weights
    if "eval/goodness" in arrays:
        experiment.stack.eval()
        with torch.inference_mode():
            goodness = label_goodness(experiment.stack, torch.from_numpy(arrays["eval/x"]))  # [L, N, K]
        _judge(result, "evaluation_goodness", arrays["eval/goodness"], goodness.permute(2, 0, 1).numpy(), tolerance)


def _judge(result: Replay, name: str, expected: np.ndarray, got: np.ndarray, tolerance: Tolerance) -> None:
    if expected.shape != got.shape:
        raise FileError(f"{name} is recorded as {expected.shape}, the replay gives {got.shape}.", where=result.file)
    if not np.array_equal(np.isnan(expected), np.isnan(got)):
        result.deviations[name] = result.excess[name] = float("inf")  # other layers were updated than recorded
        return
    deviation = np.abs(np.nan_to_num(got - expected))
    allowed = tolerance.absolute + tolerance.relative * np.abs(np.nan_to_num(expected))
    result.deviations[name] = float(deviation.max(initial=0.0))
    result.excess[name] = float((deviation / allowed).max(initial=0.0))
