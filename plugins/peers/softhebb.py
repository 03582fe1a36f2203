"""NeuromorphicComputing/SoftHebb: the demo, and the full implementation with its variants of competition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ffprobe_plugins.peers.tolerances import tolerances

import ffprobe

POOLS = {"none": ("none", 2, 2, 0), "max4": ("max", 4, 2, 1), "avg2": ("avg", 2, 2, 0), "max2": ("max", 2, 2, 0)}


class SoftHebbPeer(ffprobe.Peer):
    """Replays trajectories of NeuromorphicComputing/SoftHebb. In its demo, all blocks learn from one forward pass; in
    the full implementation only the recorded blocks do, and the others run in evaluation mode.

    Specific to this code: lebesgue_p other than 2 changes what the map computes, u = conv(x, sign(w) |w|^(p-1)), and
    the norm in the rates, but not the decay; every layer may have another rate, temperature and competition.
    """

    name = "peer-softhebb"
    source = "github.com/NeuromorphicComputing/SoftHebb, commit f425230"

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self._kept: dict[str, list[Any]] = {}  # arrays of each step, by recorded key

    def claims(self, meta: Mapping[str, Any]) -> bool:
        """Match the name of the repository."""
        return meta.get("peer") == "NeuromorphicComputing/SoftHebb"

    def plan(self, trajectory: ffprobe.Trajectory) -> ffprobe.ReplayPlan:
        """Plan ``soft-hebb`` with the recorded constants of each layer."""
        import numpy as np

        meta, arrays = trajectory.meta, trajectory.arrays
        self._refuse(meta)
        x = arrays["batch/x"]
        wide = x.dtype == np.float64
        limits = tolerances(meta, wide)
        if not wide:
            # running statistics may be large: what float32 resolves is relative to them
            for name, value in arrays.items():
                if ".running_" in name and name.startswith(("final/", "step1/")):
                    limits["tolerances"][name] = 2e-4 + 1e-5 * float(np.abs(value).max())
            limits["tolerances"]["trajectory"] = limits["tolerances"]["delta"] = 2e-4
        scheduler = _recorded_blocks(arrays["updated"]) if "updated" in arrays else "greedy"
        return ffprobe.ReplayPlan(
            layers=[_layer(layer) for layer in meta["layers"]],
            shape=x.shape[2:],
            classes=meta["classes"],
            components={
                "encoder": "no-label",
                "normalizer": {"name": "batchnorm", "affine": False, "epsilon": meta["normalizer"]["eps"]},
                "goodness": "mean-square",
                "negatives": "other-image",
                "evaluator": "one-pass",
                "scheduler": scheduler,
                "rule": _rule(meta, self._kept),
            },
            training={"learning_rate": 1.0},
            inputs=x,
            labels=arrays["batch/y"],
            **limits,
        )

    def observed(self, record: ffprobe.ReplayRecord, trajectory: ffprobe.Trajectory) -> dict[str, Any]:
        """Weights, changes, rates and winners of every step, and the features of the last block in evaluation mode."""
        import numpy as np
        import torch

        network = record.network
        network.eval()
        with torch.no_grad():
            *_, last = network.activations(torch.from_numpy(trajectory.arrays["eval/x"]), None)
        network.train()
        kept = {key: np.stack(values) for key, values in self._kept.items()}
        return {**kept, "updated": record.updated(), "eval/features": last.flatten(1).numpy()}

    def _refuse(self, meta: Mapping[str, Any]) -> None:
        problems, layers, normalizer = [], meta["layers"], meta["normalizer"]
        if any(la["kind"] != "conv2d" or la["bias"] or la["activation"]["name"] != "triangle" for la in layers):
            problems.append("layers other than convolutions without bias, with the triangle activation")
        if any(la.get("pool_after", "none") not in POOLS for la in layers):
            problems.append(f"pooling {[la['pool_after'] for la in layers]}")
        if normalizer["affine"] or normalizer["momentum"] != 0.1:
            problems.append("batch normalization with scale and offset, or another momentum")
        if problems:
            raise ffprobe.PluginError(f"The peer {self.name!r} does not support: {'; '.join(problems)}.")


def _layer(layer: Mapping[str, Any]) -> ffprobe.LayerSpec:
    from ffprobe_plugins.networks.softhebb import Triangle

    kind, kernel, stride, padding = POOLS[layer.get("pool_after", "none")]
    if layer.get("pool"):
        pool = layer["pool"]
        kind, kernel, stride, padding = pool["type"], pool["kernel_size"], pool["stride"], pool["padding"]
    activation = Triangle(layer["activation"]["power"], kind, kernel, stride, padding)  # type: ignore[arg-type]
    return ffprobe.LayerSpec(
        "conv",
        layer["out_channels"],
        activation=activation,
        kernel=layer["kernel"],
        stride=layer["stride"],
        padding=layer["padding"],
        padding_mode=layer["padding_mode"],
        groups=layer.get("groups", 1),
    )


def _recorded_blocks(updated: Any) -> type[ffprobe.UpdateScheduler]:
    """The blocks that learn in each step, bool ``[T, L]``."""

    class RecordedBlocks(ffprobe.UpdateScheduler):
        name = "recorded-blocks"

        def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
            row = updated[min(step, len(updated) - 1)]
            return [slice(i, i + 1) for i in range(depth) if row[i]]

    return RecordedBlocks


def _rule(meta: Mapping[str, Any], kept: dict[str, list[Any]]) -> type[ffprobe.Rule]:
    """``soft-hebb`` with constants of its own for each layer; appends the arrays of each step to ``kept``."""
    import torch
    from ffprobe_plugins.rules.soft_hebb import SoftHebb, SoftHebbLearner
    from torch import nn

    def of_layer(layer: Mapping[str, Any]) -> Any:
        return SoftHebb.Params(
            inverse_temperature=(layer["t_invert"],),
            rates=(layer["lr"],),
            softness=layer.get("softness", "softkrotov"),
            delta=layer.get("delta", 0.0),
            rank=layer.get("ranking_param", 2),
            adaptive=layer.get("adaptive_lr", True),
            power=layer.get("power_lr") or meta["rule"]["power_lr"],
            decay=layer.get("linear_decay_per_update", 0.0),
            start=0.0,
        )

    settings = [of_layer(layer) for layer in meta["layers"]]
    exponents = [layer.get("lebesgue_p", 2) for layer in meta["layers"]]

    class PowerConv(nn.Conv2d):
        exponent = 1.0

        def _conv_forward(self, input: Any, weight: Any, bias: Any) -> Any:
            return super()._conv_forward(input, weight.sign() * weight.abs() ** self.exponent, bias)

    class Learner(SoftHebbLearner):
        def response(self, index: int, u: torch.Tensor) -> torch.Tensor:
            self.params = settings[index]
            self.winners[index] = _wins(u, self.network.layer(index).spec.groups)
            return super().response(index, u)

        def rates(self, index: int) -> torch.Tensor:
            self.params = settings[index]
            return super().rates(index)

        def distances(self, weight: torch.Tensor) -> torch.Tensor:
            at = next(
                i for i in range(self.network.depth) if self.network.layer(i).weight.data_ptr() == weight.data_ptr()
            )
            return (weight.flatten(1).norm(p=exponents[at], dim=1) - 1).abs()

        def changes(self, images: torch.Tensor, learning: set[int]) -> dict[int, torch.Tensor]:
            self.winners: dict[int, torch.Tensor] = {}
            found = super().changes(images, learning)
            for index in range(self.network.depth):
                weight = self.network.layer(index).weight.detach()
                change = found.get(index, torch.zeros_like(weight))
                self._keep(f"delta/{index}.conv.weight", change)
                self._keep(f"lr/{index}", self.rates(index))
                self._keep(f"winners/{index}", self.winners.get(index, torch.zeros(len(weight), dtype=torch.int64)))
            return found

        def step(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> Any:
            yield from super().step(images, labels, step, epoch)
            for index in range(self.network.depth):
                self._keep(f"trajectory/{index}.conv.weight", self.network.layer(index).weight)

        def _keep(self, key: str, value: torch.Tensor) -> None:
            kept.setdefault(key, []).append(value.detach().numpy().copy())

    class OwnConstants(SoftHebb):
        class Params(SoftHebb.Params):
            start: float = 0.0

        def learner(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
            for index, exponent in enumerate(exponents):
                if exponent != 2:
                    conv = setup.network.layer(index).conv
                    conv.__class__ = PowerConv
                    conv.exponent = exponent - 1
            return Learner(setup, settings[0])

    return OwnConstants


def _wins(u: Any, groups: int) -> Any:
    # how often each channel has the largest u of its group, int64 [O]
    import torch

    channels = u.shape[1] // groups
    best = u.reshape(len(u), groups, channels, -1).argmax(dim=2)  # [B, groups, positions]
    offset = torch.arange(groups)[None, :, None] * channels
    return torch.bincount((best + offset).flatten(), minlength=u.shape[1])


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [SoftHebbPeer]
