"""Trajectories that name their own components, one name per slot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ffprobe.components.base import Component
from ffprobe.components.network import LayerSpec
from ffprobe.components.peer import Peer, ReplayPlan, ReplayRecord, Trajectory
from ffprobe.errors import PluginError
from ffprobe.plugin.registry import Registry

SLOTS = ("normalizer", "goodness", "loss", "scheduler", "encoder")
# keys of meta beside the slots; any other key is part of the method and must be known
DESCRIPTIVE = {"peer", "layers", "image", "classes", "optimizer", "updated_layers_at_step_t", *SLOTS}


class NamedComponents(Peer):
    """The format for trajectories that were recorded for a replay; it needs no other peer.

    ``meta`` has an entry for each of ``SLOTS``: a component's name or one of its ``aliases``. Constants have the names
    of the settings that they set. Batches are ``batch/x`` ``[T, B, C, H, W]``, or ``[B, C, H, W]`` for one full batch,
    ``batch/y_pos`` and ``batch/y_neg``; ``eval/goodness`` is ``[K, L, N]``.
    """

    name = "named-components"

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self.registry = registry

    def claims(self, meta: Mapping[str, Any]) -> bool:
        """Always True; ``plan`` names everything that it does not know."""
        return True

    def plan(self, trajectory: Trajectory) -> ReplayPlan:
        """The plan with the components that ``meta`` names."""
        meta, arrays = trajectory.meta, trajectory.arrays
        components = self._components(meta)
        optimizer = meta["optimizer"]
        x = arrays["batch/x"]
        x = x if x.ndim == 5 else x[None]  # [T, B, C, H, W]
        if x.ndim != 5:
            raise ValueError(f"batch/x must be [T, B, C, H, W] or [B, C, H, W], not {list(x.shape[1:])}")
        steps = np.arange(len(arrays["loss"])) % len(x)
        labels, negatives = (arrays[f"batch/{key}"].reshape(len(x), -1) for key in ("y_pos", "y_neg"))
        return ReplayPlan(
            layers=[_layer(entry) for entry in meta["layers"]],
            shape=tuple(x.shape[2:]),
            classes=int(meta["classes"]),
            components=components,
            training={
                "optimizer": optimizer["name"],
                "learning_rate": optimizer["lr"],
                "weight_decay": optimizer.get("weight_decay", 0.0),
                "momentum": optimizer.get("momentum", 0.0),
            },
            inputs=x[steps],
            labels=labels[steps],
            negatives=negatives[steps],
        )

    def observed(self, record: ReplayRecord, trajectory: Trajectory) -> dict[str, Any]:
        """Losses, goodness in training and goodness in evaluation."""
        steps = record.steps
        quantities: dict[str, Any] = {
            "loss": record.losses(),
            "goodness_pos": np.stack([step.positive for step in steps]),
            "goodness_neg": np.stack([step.negative for step in steps]),
        }
        if "eval/goodness" in trajectory.arrays:
            quantities["eval/goodness"] = record.evaluate(trajectory.arrays["eval/x"]).transpose(2, 0, 1)
        return quantities

    def _components(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        source = meta.get("peer") or meta.get("method") or "an unnamed peer"
        if any(not isinstance(meta.get(kind, ""), str) for kind in SLOTS):
            raise PluginError(
                f"No installed peer supports the code of {source}.",
                hint="Install a plugin with an ffprobe.Peer for it, or name components in the trajectory's meta.",
            )
        unknown = []
        chosen: dict[str, dict[str, Any]] = {}
        known: set[str] = set()
        for kind in SLOTS:
            # a component may be described as "name: formula" or "name, comment"
            alias = str(meta.get(kind, "")).split(":")[0].split(",")[0].strip()
            name = self.registry.by_alias(kind, alias)
            if name is None:
                unknown.append(f"{kind} {alias or '(not named)'!r}")
                continue
            keys = _keys(self.registry.component(kind, name), kind)
            known |= keys
            settings = {k.removeprefix(f"{kind}_"): v for k, v in meta.items() if k in keys and v is not None}
            chosen[kind] = {**settings, "name": name}
        for key, value in meta.items():
            if key not in DESCRIPTIVE and key not in known and value is not None and not unknown:
                unknown.append(f"{key} {value!r:.60}")
        if unknown:
            raise PluginError(
                f"A trajectory of {source} needs components that are not installed: {'; '.join(unknown)}.",
                hint="Install a plugin that provides them under that name or alias.",
            )
        return chosen


def _layer(entry: Mapping[str, Any]) -> LayerSpec:
    if entry["kind"] == "conv3x3":
        return LayerSpec("conv", int(entry["out_channels"]), 2 if entry["maxpool"] else 1, bool(entry.get("bias")))
    if entry["kind"] == "linear":
        return LayerSpec("linear", int(entry["out_features"]), bias=bool(entry.get("bias")))
    raise PluginError(f"The trajectory has a layer of the unknown kind {entry['kind']!r}.")


def _keys(component: type[Component], kind: str) -> set[str]:
    # a setting may have its own name, an alias, or the slot as prefix (encoder_learned)
    keys = set()
    for name, info in component.Params.model_fields.items():
        choices = getattr(info.validation_alias, "choices", [])
        keys |= {name, f"{kind}_{name}", *(str(c) for c in choices)}
    return keys
