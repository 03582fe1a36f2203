"""Zhaoxian-Wu/ffa-theory: its Trifecta, SFF, prototype cosine, strictly local FFA and SymBa, and grouped layers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ffprobe_plugins.peers.tolerances import tolerances

import ffprobe

METHODS = {
    "ffa-theory's port of Trifecta": "trifecta",
    "ffa-theory's SFF (scalable forward-forward)": "sff",
    "ffa-theory's distance-forward (prototype-cosine)": "prototype",
    "ffa-theory's strictly local FFA": "strict",
    "ffa-theory's strictly local SymBa": "strict",
    "grouped local cross entropy (locality sweep)": "grouped",
}


class FFATheoryPeer(ffprobe.Peer):
    """Replays trajectories of Zhaoxian-Wu/ffa-theory, the code of "The Price of Locality": six methods on small
    convolutional networks.

    Its Trifecta is not the published one. No optimizer holds the parameters of the layer before, so no loss updates
    that layer (here ``alternating`` instead of ``olu``), and turns change by the epoch, beginning with the
    layers that the published code trains second.

    Specific to this code: the last block of its Trifecta averages to 4x4 positions after ReLU; all blocks run forward
    in every step, also above the last one that is trained; the label overlay replaces the first values of the flattened
    image (``pixel-overlay`` writes into every channel).
    """

    name = "peer-ffa-theory"
    source = "github.com/Zhaoxian-Wu/ffa-theory, commit a914d23"

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self._method = ""
        self._ends: list[int] = []  # the last layer of each group; all layers but for grouped layers
        self._norms: list[Any] = []  # gradient norms before clipping, one for each update

    def claims(self, meta: Mapping[str, Any]) -> bool:
        """Match the name of the repository."""
        return meta.get("peer") == "Zhaoxian-Wu/ffa-theory"

    def plan(self, trajectory: ffprobe.Trajectory) -> ffprobe.ReplayPlan:
        """Plan the method that ``meta`` names."""
        import numpy as np

        meta, arrays = trajectory.meta, trajectory.arrays
        self._refuse(meta)
        self._method, depth = METHODS[meta["method"]], len(meta["layers"])
        self._ends = [b - 1 for _, b in meta["groups"]] if self._method == "grouped" else list(range(depth))
        x, optimizer = arrays["batch/x"], meta["optimizer"]
        rates = arrays["lr"] if "lr" in arrays else np.full(len(x), optimizer["lr"])
        clip = meta["clip"]["max_norm"] if meta.get("clip") else 0.0
        return ffprobe.ReplayPlan(
            layers=[_layer(layer) for layer in meta["layers"]],
            shape=x.shape[2:],
            classes=meta["classes"],
            components={**self._components(meta), "rule": _rule(self._norms)},
            training={
                "optimizer": "adam",
                "weight_decay": optimizer["weight_decay"],
                "gradient_clip": clip,
            },
            inputs=x,
            labels=arrays["batch/y"],
            negatives=arrays.get("batch/y_neg"),
            rates=[float(rate) for rate in rates],
            epochs=arrays["batch/epoch"].tolist() if "batch/epoch" in arrays else None,
            record_outputs=[name for i in self._ends for name in (f"layers.{i}", f"layers.{i}.goodness")],
            **tolerances(meta, x.dtype == np.float64),
        )

    def state(self, recorded: Mapping[str, Any]) -> dict[str, Any]:
        """Assign heads to the goodness of their layer, or of the last layer of their group."""
        state = {}
        for name, value in recorded.items():
            if name.startswith("group"):
                group, _, rest = name.removeprefix("group").partition(".head.")
                state[f"{self._ends[int(group)]}.goodness.{rest}"] = value
            else:
                state[name.replace(".head.", ".goodness.")] = value
        return state

    def observed(self, record: ffprobe.ReplayRecord, trajectory: ffprobe.Trajectory) -> dict[str, Any]:
        """Losses, logits or goodness in training, gradient norms, and evaluation."""
        import numpy as np

        meta, arrays = trajectory.meta, trajectory.arrays
        quantities: dict[str, Any] = {
            "loss": record.losses()[:, self._ends],
            "lr": np.array([step.rate for step in record.steps]),
            "updated": record.updated(),
        }
        evaluated = record.evaluate(arrays["eval/x"])  # [L, N, K]
        if self._method in ("trifecta", "strict"):
            goodness = np.stack([self._goodness(record, i) for i in self._ends], axis=1)  # [T, L, 2B]
            halves = goodness.reshape(*goodness.shape[:2], 2, -1)
            quantities |= {"goodness": halves, "eval/goodness": evaluated.transpose(2, 0, 1)}
            means = halves.mean(axis=3)
            quantities |= {"goodness_pos": means[..., 0], "goodness_neg": means[..., 1]}
            last = re.search(r"last (\d+) blocks", meta.get("prediction", ""))
            quantities["eval/prediction"] = evaluated[-int(last[1]) if last else 0 :].sum(axis=0).argmax(axis=1)
            if "grad_norm" in arrays:
                quantities["grad_norm"] = np.array(self._norms).reshape(len(record.steps), -1)
            return quantities
        logits = [record.outputs(f"layers.{i}.goodness") for i in self._ends]
        quantities["logits"] = np.stack(logits, axis=1)
        if self._method == "grouped":
            return {**quantities, "eval/logits": evaluated[-1]}
        return {**quantities, "eval/logits": evaluated, "eval/ensemble": evaluated.mean(axis=0)}

    def _goodness(self, record: ffprobe.ReplayRecord, layer: int) -> Any:
        # its Trifecta reports the goodness of all blocks, also of those without a loss: mean of squares, [T, 2B]
        if self._method == "strict":
            return record.outputs(f"layers.{layer}.goodness")
        activation = record.outputs(f"layers.{layer}")
        return (activation**2).reshape(*activation.shape[:2], -1).mean(axis=2)

    def _components(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        head, normalizer = meta.get("head", {}), _normalizer(meta)
        if self._method in ("trifecta", "strict"):
            symba = meta["loss"]["name"] == "symba"
            loss: Any = {"name": "symba", "alpha": meta["loss"]["alpha"]} if symba else "midpoint"
            shared = {"normalizer": normalizer, "loss": loss}
            if self._method == "strict":
                square = {"name": "perceptron-square", "width": head["width"]}
                return {**shared, "encoder": _flat_overlay(), "goodness": square, "scheduler": "greedy"}
            return {
                **shared,
                "encoder": {"name": "label-channel", "learned": meta["encoder"]["learned"]},
                "goodness": "mean-square",
                # block i learns in epoch e if (i even) xor (e + 1 even): even blocks in epoch 0
                "scheduler": {"name": "alternating", "alternate_every": "epoch"} if meta["olu"] else "greedy",
            }
        goodness: Any = "convolutional-head"
        scheduler: Any = "greedy"
        if self._method == "prototype":
            goodness = {"name": "prototype-cosine", "tau": head["tau"], "dimensions": head["embed_dim"]}
        if self._method == "grouped":
            goodness = {"name": "factored-head", "features": head["features"]}
            scheduler = {"name": "blocks", "size": meta["layers_per_block"]}
        return {
            "encoder": "no-label",
            "normalizer": normalizer,
            "goodness": goodness,
            "loss": "cross-entropy",
            "scheduler": scheduler,
        }

    def _refuse(self, meta: Mapping[str, Any]) -> None:
        problems, layers, optimizer = [], meta["layers"], meta["optimizer"]
        if meta.get("method") not in METHODS:
            raise ffprobe.PluginError(f"The peer {self.name!r} does not support the method {meta.get('method')!r}.")
        if any((la["kind"], la["kernel"] % 2, la["stride"]) != ("conv2d", 1, 1) for la in layers):
            problems.append("layers other than convolutions with an odd kernel and stride 1")
        elif any(la["padding"] != la["kernel"] // 2 for la in layers):
            problems.append("another padding")
        if any(la["pool_after"] not in ("none", "max", "avg4") for la in layers):
            problems.append(f"pooling {[la['pool_after'] for la in layers]}")
        if optimizer["name"] != "adam" or optimizer["betas"] != [0.9, 0.999] or optimizer["eps"] != 1e-8:
            problems.append(f"the optimizer {optimizer['name']!r} with betas {optimizer['betas']}")
        normalizer = meta.get("normalizer", "none")
        if isinstance(normalizer, Mapping) and normalizer["name"] not in ("batchnorm2d", "channel layernorm"):
            problems.append(f"the normalizer {normalizer['name']!r}")
        elif isinstance(normalizer, Mapping) and normalizer.get("momentum", 0.1) != 0.1:
            problems.append("another momentum of batch normalization")
        if "strictly" in meta["method"] and isinstance(normalizer, Mapping) and normalizer["name"] == "batchnorm2d":
            # this code runs positives and negatives in two passes there, each with its own batch statistics
            problems.append("batch normalization of positives and negatives in separate passes")
        size, groups = meta.get("layers_per_block", 1), meta.get("groups", [])
        if groups and groups != [[a, min(a + size, len(layers))] for a in range(0, len(layers), size)]:
            problems.append(f"groups {groups}")
        if problems:
            raise ffprobe.PluginError(f"The peer {self.name!r} does not support: {'; '.join(problems)}.")


def _layer(layer: Mapping[str, Any]) -> ffprobe.LayerSpec:
    return ffprobe.LayerSpec(
        "conv",
        layer["out_channels"],
        2 if layer["pool_after"] == "max" else 1,
        layer["bias"],
        activation=_averaged_relu if layer["pool_after"] == "avg4" else "relu",
        kernel=layer["kernel"],
    )


def _averaged_relu(x: Any) -> Any:
    from torch.nn import functional

    return functional.adaptive_avg_pool2d(x.relu(), 4)


def _normalizer(meta: Mapping[str, Any]) -> Any:
    normalizer = meta.get("normalizer", "none")
    if not isinstance(normalizer, Mapping):
        return "none"
    position = "preactivation" if normalizer["where"] == "between conv and relu" else "input"
    if normalizer["name"] == "channel layernorm":
        return {"name": "layernorm", "over": "channels", "position": position}
    return {"name": "batchnorm", "position": position, "epsilon": normalizer["eps"]}


def _flat_overlay() -> type[ffprobe.Encoder]:
    import torch
    from torch import nn
    from torch.nn import functional

    class Overlay(nn.Module):
        def __init__(self, classes: int) -> None:
            super().__init__()
            self.classes = classes

        def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            label = functional.one_hot(labels, self.classes).to(images.dtype)
            return torch.cat([label, images.flatten(1)[:, self.classes :]], dim=1).view_as(images)

        def neutral(self, images: torch.Tensor) -> torch.Tensor:
            raise NotImplementedError("this code has no neutral label")

    class FlatOverlay(ffprobe.Encoder):
        name = "overlay-of-flattened-image"
        learned = False

        def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
            return Overlay(classes)

    return FlatOverlay


def _rule(norms: list[Any]) -> type[ffprobe.Rule]:
    """Forward-Forward's rule; it runs all layers in every step and appends the norms of the gradients to ``norms``."""
    from dataclasses import replace

    import torch

    class Norms(ffprobe.ProcessGroup):
        def backward(self, loss: Any, parameters: Sequence[Any], means: Sequence[Any] = ()) -> list[Any]:
            values = super().backward(loss, parameters, means)
            squares = [p.grad.square().sum() for p in parameters if p.grad is not None]
            norms.append(float(torch.stack(squares).sum().sqrt()))
            return values

    class Learner(ffprobe.GroupLearner):
        def __init__(self, setup: ffprobe.LearnerSetup) -> None:
            super().__init__(replace(setup, process_group=Norms()))

        def _batch(self, images: Any, labels: Any) -> Any:
            self.batch = super()._batch(images, labels)
            return self.batch

        def _update_idle_normalizer(self, inputs: dict[int, Any]) -> None:
            network, index = self.network, max(inputs, default=0)
            with torch.no_grad():
                x = inputs[index] if index else network.encode(*self.batch)
                for layer in range(index, network.depth):
                    x = network.pass_on(layer, network.layer(layer)(x), inputs)

    class AllLayers(ffprobe.Rule):
        name = "forward-forward-all-layers"

        def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
            return Learner(setup)

    return AllLayers


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [FFATheoryPeer]
