"""ChenxiangMA/AugLocal: auxiliary networks of AugLocal, DGL, InfoPro and PredSim on residual networks, and backprop."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ffprobe_plugins.peers.tolerances import tolerances

import ffprobe

KINDS = {
    "DGL": "P c n r c n r c n r P f l b r l b r l",
    "InfoPro": "c n r P f l r l",
    "PredSim": "p f l",
}
"""The modules of each rule's auxiliary network, by the letters below; AugLocal's has any number of blocks."""
LETTERS = {
    "adaptive average pool": "P",
    "average pool": "p",
    "conv2d": "c",
    "batchnorm2d": "n",
    "batchnorm1d": "b",
    "relu": "r",
    "flatten": "f",
    "linear": "l",
    "basicblock": "B",
}
RULES = ("AugLocal", "DGL", "InfoPro", "PredSim", "BP")


class AugLocalPeer(ffprobe.Peer):
    """Replays trajectories of ChenxiangMA/AugLocal: a stem and basic blocks, each of which may end a local module with
    an auxiliary network.

    Specific to this code: the weights of the two terms change from module to module, not from layer to layer; one
    optimizer steps for all modules after their backward passes, which is the same as one optimizer for each.
    """

    name = "peer-auglocal"
    source = "github.com/ChenxiangMA/AugLocal, commit 98c90d6"

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self._rule = ""
        self._ends: list[int] = []  # indices of the layers that end a module; ``plan`` sets them
        self._depth = 0

    def claims(self, meta: Mapping[str, Any]) -> bool:
        """Match the name of the repository."""
        return meta.get("peer") == "ChenxiangMA/AugLocal"

    def plan(self, trajectory: ffprobe.Trajectory) -> ffprobe.ReplayPlan:
        """Plan local modules, each with its auxiliary network as goodness."""
        import numpy as np

        meta, arrays = trajectory.meta, trajectory.arrays
        self._rule, self._depth = meta["rule"], len(meta["layers"])
        self._ends = [i for i, layer in enumerate(meta["layers"]) if "aux" in layer]
        self._ends = [*(i for i in self._ends if i < self._depth - 1), self._depth - 1]
        self._refuse(meta)
        x, optimizer = arrays["batch/x"], meta["optimizer"]
        recorded = [f"layers.{i}.goodness" for i in self._ends]
        inside = {"InfoPro": "loss", "PredSim": "loss.map"}
        if self._rule in inside:
            recorded += [f"layers.{i}.{inside[self._rule]}" for i in self._ends[:-1]]
        return ffprobe.ReplayPlan(
            layers=[self._layer(meta, i) for i in range(self._depth)],
            shape=x.shape[2:],
            classes=meta["classes"],
            components={
                "encoder": "no-label",
                "normalizer": "none",
                "goodness": {"name": "linear-head", "average": 1},
                "loss": "cross-entropy",
                "scheduler": {"name": "local-modules", "ends": [i + 1 for i in self._ends]},
                "rule": "forward-forward",
            },
            training={
                "optimizer": "sgd",
                "learning_rate": optimizer["lr"],
                "momentum": optimizer["momentum"],
                "nesterov": optimizer.get("nesterov", False),
                "weight_decay": optimizer["weight_decay"],
            },
            inputs=x,
            labels=arrays["batch/y"],
            record_outputs=recorded,
            **tolerances(meta, x.dtype == np.float64),
        )

    def state(self, recorded: Mapping[str, Any]) -> dict[str, Any]:
        """Assign auxiliary networks to goodness, decoders to the loss, and the output to the last layer's head."""
        state = {}
        for name, value in recorded.items():
            index, _, rest = name.partition(".")
            part, _, inner = rest.partition(".")
            if index == "output":
                state[f"{self._depth - 1}.goodness.linear.{rest}"] = value
            elif part == "aux" and self._rule == "PredSim":
                state[f"{index}.goodness.linear.{inner.partition('.')[2]}"] = value
            elif part == "aux":
                state[f"{index}.goodness.{inner}"] = value
            elif part == "decoder":
                state[f"{index}.loss.{'map.weight' if self._rule == 'PredSim' else inner}"] = value
            else:
                state[f"{index}.module.{rest}"] = value
        return state

    def observed(self, record: ffprobe.ReplayRecord, trajectory: ffprobe.Trajectory) -> dict[str, Any]:
        """The loss of each module and its two terms, logits in training and logits in evaluation."""
        import numpy as np

        arrays = trajectory.arrays
        quantities = {
            "loss": record.losses()[:, self._ends],
            "logits": record.outputs(f"layers.{self._depth - 1}.goodness"),
            "eval/logits": record.evaluate(arrays["eval/x"])[-1],
        }
        if len(self._ends) > 1:
            terms = [self._terms(record, trajectory, i) for i in self._ends[:-1]]
            quantities["loss_parts"] = np.stack(terms, axis=1)  # [T, modules - 1, 2]
        return quantities

    def _terms(self, record: ffprobe.ReplayRecord, trajectory: ffprobe.Trajectory, layer: int) -> Any:
        # the unweighted terms of one module in every step, [T, 2]
        import torch
        from ffprobe_plugins.losses.predsim import similarity_matrix
        from torch.nn import functional

        meta, arrays = trajectory.meta, trajectory.arrays
        rows = []
        for step, labels in enumerate(torch.from_numpy(arrays["batch/y"])):
            outputs = record.steps[step].outputs
            logits = torch.from_numpy(outputs[f"layers.{layer}.goodness"][0])
            extra = logits.new_zeros(())
            if self._rule == "InfoPro":
                x = torch.from_numpy(arrays["batch/x"][step])
                decoded = torch.from_numpy(outputs[f"layers.{layer}.loss"][0])
                extra = functional.binary_cross_entropy(decoded, _in_range(meta, x))
            if self._rule == "PredSim":
                own = similarity_matrix(torch.from_numpy(outputs[f"layers.{layer}.loss.map"][0]))
                truth = functional.one_hot(labels, meta["classes"]).to(own.dtype)
                extra = (own - similarity_matrix(truth)).square().mean()
            rows.append(torch.stack([extra, functional.cross_entropy(logits, labels)]))
        return torch.stack(rows).numpy()

    def _layer(self, meta: Mapping[str, Any], index: int) -> ffprobe.LayerSpec:
        from ffprobe_plugins.losses.cross_entropy import CrossEntropy
        from ffprobe_plugins.networks.residual_blocks import BasicBlock, Stem

        layer = meta["layers"][index]
        kind: Any = Stem if layer["kind"] == "stem" else BasicBlock
        ends = index in self._ends[:-1]
        return ffprobe.LayerSpec(
            "module",
            factory=partial(_made, kind, layer["out"], layer["stride"]),
            goodness=self._goodness(layer) if ends else None,
            loss=self._loss(meta, self._ends.index(index)) if ends else CrossEntropy(),
        )

    def _goodness(self, layer: Mapping[str, Any]) -> ffprobe.Goodness:
        from ffprobe_plugins.goodness.auxiliary_blocks import AuxiliaryBlocks
        from ffprobe_plugins.goodness.dgl_head import DGLHead
        from ffprobe_plugins.goodness.infopro_head import InfoProHead
        from ffprobe_plugins.goodness.local_classifier import LocalClassifier

        aux = layer["aux"]
        if self._rule == "DGL":
            return DGLHead(DGLHead.Params(pooled=aux[0]["to"], hidden=aux[12]["out"]))
        if self._rule == "InfoPro":
            return InfoProHead(InfoProHead.Params(channels=aux[0]["out"], hidden=aux[5]["out"]))
        if self._rule == "PredSim":
            return LocalClassifier(LocalClassifier.Params(inputs=aux[2]["in"]))
        blocks = tuple((part["out"], part["stride"]) for part in aux if part["kind"] == "basicblock")
        normalized = any(part["kind"] == "batchnorm1d" for part in aux)
        return AuxiliaryBlocks(AuxiliaryBlocks.Params(blocks=blocks, normalized=normalized))

    def _loss(self, meta: Mapping[str, Any], module: int) -> ffprobe.Loss:
        from ffprobe_plugins.losses.infopro import InfoPro
        from ffprobe_plugins.losses.predsim import PredSim

        modules, loss = len(self._ends), meta["loss"]
        share = module / (modules - 2) if modules > 2 else 0.0
        extra, local = ((1 - share) * a + share * b for a, b in (loss["ixx"], loss["ixy"]))
        if self._rule == "InfoPro":
            layer = meta["layers"][self._ends[module]]

            class Unlimited(InfoPro):
                def target(self, images: Any) -> Any:
                    return _in_range(meta, images)

            settings = Unlimited.Params(
                reconstruction=(extra, extra),
                classification=(local, local),
                width=layer["decoder"][0]["out"],
            )
            return Unlimited(settings)

        class Weighted(PredSim):
            class Params(PredSim.Params):
                beta: float = 0.0

        return Weighted(Weighted.Params(beta=extra if self._rule == "PredSim" else 0.0, pred=local))

    def _refuse(self, meta: Mapping[str, Any]) -> None:
        problems, layers, optimizer = [], meta["layers"], meta["optimizer"]
        if self._rule not in RULES:
            problems.append(f"rule {self._rule!r}")
        if any(layer["kind"] not in ("stem", "basicblock") for layer in layers):
            problems.append(f"layers of kind {sorted({layer['kind'] for layer in layers})}")
        for part in (part for layer in layers for part in (layer, *layer.get("aux", ()))):
            changes = part.get("stride") != 1 or part.get("in") != part.get("out")
            if part["kind"] == "basicblock" and part.get("shortcut_conv") != changes:
                problems.append(f"the shortcut of block {part.get('name', part.get('index'))}")
        for layer in (layer for layer in layers if "aux" in layer):
            kinds = " ".join(LETTERS.get(part["kind"], "?") for part in layer["aux"])
            expected = KINDS.get(self._rule)
            known = kinds == expected if expected else kinds.replace("B ", "") in ("P f l", "P f b l")
            if not known:
                problems.append(f"the auxiliary network {kinds!r} of layer {layer['name']}")
        if optimizer["name"] not in ("sgd", "sgd nesterov"):
            problems.append(f"the optimizer {optimizer['name']!r}")
        normalizer = meta["normalizer"]
        if (normalizer["eps"], normalizer["momentum"]) != (1e-5, 0.1):
            problems.append("other constants of batch normalization")
        if meta.get("schedule", "constant") != "constant":
            problems.append(f"schedule {meta['schedule']!r}")
        if problems:
            raise ffprobe.PluginError(f"The peer {self.name!r} does not support: {'; '.join(problems)}.")


def _made(kind: Any, width: int, stride: int, shape: ffprobe.Shape) -> Any:
    return kind(shape[0], width, stride)


def _in_range(meta: Mapping[str, Any], images: Any) -> Any:
    # this code does not limit the image to [0, 1]
    mean, std = (images.new_tensor(meta[key])[:, None, None] for key in ("image_mean", "image_std"))
    return images * std + mean


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [AugLocalPeer]
