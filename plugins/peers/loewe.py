"""loeweX/Forward-Forward, with full-gradient ReLU, peer normalization and a linear head on the neutral input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ffprobe


class LoewePeer(ffprobe.Peer):
    """Replays trajectories of loeweX/Forward-Forward: linear layers with one SGD for the sum of all losses, and a head
    that reads all layers but the first.

    SGD on a sum of losses that share no parameter equals one SGD per layer, so ordinary greedy updates reproduce it.
    Specific to this code: a ReLU that passes gradients where it is silent; the threshold of a layer is its width; the
    loss of a layer includes peer normalization, weight * mean((mean(m) - m)^2), where m is the running mean of the
    positives' activations for each unit (initially 0.5, the old value detached); the head is trained with cross entropy
    on the normalized activations of the neutral input, from before the step.
    """

    name = "peer-loewe"
    source = "github.com/loeweX/Forward-Forward"

    def claims(self, meta: Mapping[str, Any]) -> bool:
        """Match the name of the repository."""
        return meta.get("peer") == "loeweX/Forward-Forward"

    def plan(self, trajectory: ffprobe.Trajectory) -> ffprobe.ReplayPlan:
        """Plan greedy updates with this code's activation, loss and head."""
        meta, arrays = trajectory.meta, trajectory.arrays
        if any(layer["kind"] != "linear" for layer in meta["layers"]):
            raise ffprobe.PluginError(f"The peer {self.name!r} supports only linear layers.")
        regularizer, optimizer = meta.get("regularizer") or {"weight": 0.0, "momentum": 0.0}, meta["optimizer"]
        depth = len(meta["layers"])
        return ffprobe.ReplayPlan(
            layers=[
                ffprobe.LayerSpec("linear", layer["out_features"], bias=layer["bias"], activation=_full_gradient_relu)
                for layer in meta["layers"]
            ],
            shape=arrays["batch/x"].shape[2:],
            classes=meta["classes"],
            components={
                "encoder": {"name": "pixel-overlay", "value": 1.0},
                "normalizer": {"name": "rms", "epsilon": 1e-8},
                "goodness": "sum-square",
                "loss": _width_threshold(regularizer["weight"], regularizer["momentum"]),
                "scheduler": "greedy",
                **({"rule": _with_head(meta["head"]["optimizer"])} if meta.get("head") else {}),
            },
            training={
                "optimizer": optimizer["name"],
                "learning_rate": optimizer["lr"],
                "momentum": optimizer["momentum"],
                "weight_decay": optimizer["weight_decay"],
            },
            inputs=arrays["batch/x"],
            labels=arrays["batch/y_pos"],
            negatives=arrays["batch/y_neg"],
            record_outputs=[
                *(["head"] if meta.get("head") else []),
                *(f"layers.{i}" for i in range(depth)),
                *(f"layers.{i}.goodness" for i in range(depth)),
            ],
        )

    def observed(self, record: ffprobe.ReplayRecord, trajectory: ffprobe.Trajectory) -> dict[str, Any]:
        """Each layer's loss without peer normalization, the sum of peer normalization, and the head's loss."""
        import numpy as np

        meta, labels = trajectory.meta, trajectory.arrays["batch/y_pos"]
        steps, batch = labels.shape
        losses, peer = [], np.zeros(steps)
        regularizer = meta.get("regularizer") or {"momentum": 0.0}
        for i, layer in enumerate(meta["layers"]):
            # the head's forward pass calls the layers before the learner does, so the last call is the learner's
            logits = record.outputs(f"layers.{i}.goodness", -1).astype(np.float64) - layer["out_features"]
            signed = np.concatenate([-logits[:, :batch], logits[:, batch:]], axis=1)
            losses.append(np.logaddexp(0, signed).mean(axis=1))
            mean = np.full(layer["out_features"], 0.5)
            for t, activation in enumerate(record.outputs(f"layers.{i}", -1)[:, :batch].mean(axis=1)):
                mean = regularizer["momentum"] * mean + (1 - regularizer["momentum"]) * activation
                peer[t] += np.square(mean.mean() - mean).mean()
        quantities = {"loss": np.stack(losses, axis=1), "peer_loss": peer}
        if not meta.get("head"):
            return quantities
        logits = record.outputs("head").astype(np.float64)
        logits = logits - logits.max(axis=2, keepdims=True)
        true = np.take_along_axis(logits, labels[..., None], axis=2)[..., 0]
        head = (np.log(np.exp(logits).sum(axis=2)) - true).mean(axis=1)
        return {**quantities, "head_loss": head}


def _full_gradient_relu(x: Any) -> Any:
    return x + (x.relu() - x).detach()


def _rms(x: Any) -> Any:
    return x / (x.square().mean(dim=1, keepdim=True).sqrt() + 1e-8)


def _width_threshold(weight: float, momentum: float) -> type[ffprobe.Loss]:
    import torch
    from torch import nn
    from torch.nn import functional

    class Running(nn.Module):
        def __init__(self, units: int) -> None:
            super().__init__()
            self.register_buffer("mean", torch.full((units,), 0.5), persistent=False)

    class WidthThreshold(ffprobe.Loss):
        name = "width-threshold-with-peer-normalization"

        def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
            return Running(shape[0])

        def __call__(self, positive: Any, negative: Any, context: ffprobe.LossContext) -> torch.Tensor:
            width = context.activation.shape[1]
            own = functional.softplus(torch.cat([width - positive, negative - width])).mean()
            module: Any = context.module
            fresh = context.activation[: len(positive)].mean(dim=0)
            mean = momentum * module.mean + (1 - momentum) * fresh
            module.mean = mean.detach()
            return own + weight * (mean.mean() - mean).square().mean()

    return WidthThreshold


def _with_head(settings: Mapping[str, Any]) -> type[ffprobe.Rule]:
    import torch
    from torch import nn
    from torch.nn import functional

    class Learner(ffprobe.GroupLearner):
        def __init__(self, setup: ffprobe.LearnerSetup) -> None:
            super().__init__(setup)
            network = setup.network
            units = sum(network.layer(i).output_shape[0] for i in range(1, network.depth))
            network.head = nn.Linear(units, setup.classes, bias=False).to(next(network.parameters()))
            self.head_optimizer = torch.optim.SGD(network.head.parameters(), **settings)

        def step(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> Any:
            with torch.no_grad():
                activations = list(self.network.activations(images, None))[1:]
                features = torch.cat([_rms(activation) for activation in activations], dim=1)
            loss = functional.cross_entropy(self.network.head(features), labels)
            loss.backward()
            self.head_optimizer.step()
            self.head_optimizer.zero_grad(set_to_none=True)
            yield from super().step(images, labels, step, epoch)

    class WithHead(ffprobe.Rule):
        name = "forward-forward-with-head"

        def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
            return Learner(setup)

    return WithHead


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LoewePeer]
