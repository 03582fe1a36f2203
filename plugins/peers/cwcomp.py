"""andreaspapac/CwComp, channel-wise competitive learning with epoch windows, class groups and a softmax head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ffprobe

LOSSES = {"CwC": "cwc", "CwC_CE": "cross-entropy", "PvN": "pvn", "CWG": "cwg"}
CONSTANTS = {"eps": "epsilon", "clamp": "bound", "tau": "threshold", "w": "weight"}


class CwCompPeer(ffprobe.Peer):
    """Replays trajectories of andreaspapac/CwComp: every layer is trained alone within its window of epochs, with a
    head beside the last layer.

    Specific to this code: every layer runs forward in training mode in every step, also outside its window; after each
    step, the batch is predicted again with the new weights, still in training mode, so running statistics are updated
    twice per step; the head's probabilities are used as logits, so softmax is applied twice; a layer with fewer classes
    has goodness for groups of neighbouring classes, and its loss counts groups instead of classes.
    """

    name = "peer-cwcomp"
    source = "github.com/andreaspapac/CwComp, commit 254960a"

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self._kept: dict[str, Any] = {}  # statistics of the first step, before its second forward pass

    def claims(self, meta: Mapping[str, Any]) -> bool:
        """Match the name of the repository."""
        return meta.get("peer") == "andreaspapac/CwComp"

    def plan(self, trajectory: ffprobe.Trajectory) -> ffprobe.ReplayPlan:
        """Plan ``group-square`` after batch normalization, ``layer-windows``, and a rule with this code's head."""
        import numpy as np

        meta, arrays = trajectory.meta, trajectory.arrays
        self._refuse(meta)
        x, optimizer, depth = arrays["batch/x"], meta["optimizer"], len(meta["layers"])
        windows = [[layer["epochs_from"], layer["epochs_to_exclusive"]] for layer in meta["layers"]]
        wide = x.dtype == np.float64
        return ffprobe.ReplayPlan(
            layers=[_layer(layer, meta["loss"]) for layer in meta["layers"]],
            shape=x.shape[2:],
            classes=meta["classes"],
            components={
                "encoder": "no-label",
                "normalizer": {"name": "batchnorm", "position": "activation", "epsilon": meta["normalizer"]["eps"]},
                "goodness": "group-square",
                "loss": {"name": LOSSES[meta["loss"]["name"]], **_constants(meta["loss"])},
                "scheduler": {"name": "layer-windows", "windows": windows},
                "rule": _with_head(meta["head"], self._kept),
            },
            training={
                "optimizer": optimizer["name"],
                "learning_rate": optimizer["lr"],
                "weight_decay": optimizer["weight_decay"],
            },
            inputs=x,
            labels=arrays["batch/y"],
            epochs=arrays["batch/epoch"].tolist(),
            record_outputs=["head", *(f"layers.{i}.goodness" for i in range(depth))],
            tolerance=ffprobe.Tolerance(1e-9, 0.0, 1e-7) if wide else ffprobe.Tolerance(5e-5, 0.0, 2e-4),
            tolerances={
                "first_grad": 2e-5,
                "step1": 1e-4,
                "train_only_step1": 1e-4,
                **dict.fromkeys(("eval", "goodness"), 1e-7 if wide else 1e-3),
                **dict.fromkeys(("updated", "head_updated", "train_prediction"), 0.0),
            },
            ignored={
                f"{first}/{name}": "a bias before batch normalization has no gradient; Adam amplifies rounding noise"
                for name in meta.get("noise_parameters", [])
                for first in ("final", "step1", "first_grad")
            },
        )

    def observed(self, record: ffprobe.ReplayRecord, trajectory: ffprobe.Trajectory) -> dict[str, Any]:
        """Losses and goodness of updated layers, the head's loss, predictions in training, and evaluation."""
        import numpy as np

        meta, arrays = trajectory.meta, trajectory.arrays
        classes, labels = meta["classes"], arrays["batch/y"]
        updated, depth = record.updated(), len(meta["layers"])
        goodness = np.zeros((*labels.shape[:1], depth, labels.shape[1], classes), arrays["batch/x"].dtype)
        for t, step in enumerate(record.steps):
            for i in np.flatnonzero(updated[t]):
                goodness[t, i] = _by_group(step.outputs[f"layers.{i}.goodness"][0], meta["layers"][i])
        # the head is called in training if it learns, and always in the second pass
        learned = arrays["batch/epoch"] >= meta["head"]["epochs_from"]
        first, second = (_softmax(record.outputs("head", call)) for call in (0, -1))
        twice = np.log(_softmax(first))  # log of softmax of softmax
        head_loss = -np.take_along_axis(twice, labels[..., None], axis=2)[..., 0].mean(axis=1)
        last = record.outputs(f"layers.{depth - 1}.goodness", -1)
        quantities = {
            "loss": np.where(updated, record.losses(), 0.0),
            "updated": updated,
            "goodness": goodness,
            "head_loss": np.where(learned, head_loss, 0.0),
            "head_updated": learned,
            "train_prediction/avg": last.argmax(axis=2),
            "train_prediction/softmax": second.argmax(axis=2),
            **{f"train_only_step1/{name}": value for name, value in self._kept["statistics"].items()},
        }
        if "eval/x" not in arrays:
            return quantities
        evaluated = record.evaluate(arrays["eval/x"])
        by_group = [_by_group(g, layer) for g, layer in zip(evaluated, meta["layers"], strict=True)]
        return {
            **quantities,
            "eval/goodness": np.stack(by_group),
            "eval/probabilities": _softmax(self._kept["head"](arrays["eval/x"])),
        }

    def _refuse(self, meta: Mapping[str, Any]) -> None:
        problems, layers, classes = [], meta["layers"], meta["classes"]
        if any((la["kind"], la["kernel"], la["stride"], la["padding"]) != ("conv2d", 3, 1, 1) for la in layers):
            problems.append("layers other than 3x3 convolutions")
        if any(la["classes"] * la["label_divisor"] != classes or la["out_channels"] % la["classes"] for la in layers):
            problems.append("classes or channels that cannot be split into equal groups")
        if any(la["epochs_from"] >= la["epochs_to_exclusive"] for la in layers):
            problems.append("a layer that never learns")
        if layers[-1]["classes"] != classes:
            problems.append("a last layer with fewer classes")
        if meta["loss"]["name"] not in LOSSES:
            problems.append(f"loss {meta['loss']['name']!r}")
        if meta["optimizer"]["name"] not in ("adam", "adamw", "sgd"):
            problems.append(f"optimizer {meta['optimizer']['name']!r}")
        if problems:
            raise ffprobe.PluginError(f"The peer {self.name!r} does not support: {'; '.join(problems)}.")


def _constants(loss: Mapping[str, Any]) -> dict[str, Any]:
    return {CONSTANTS[name]: value for name, value in loss["constants"].items()}


def _layer(layer: Mapping[str, Any], loss: Mapping[str, Any]) -> ffprobe.LayerSpec:
    together = layer["label_divisor"]
    components: dict[str, Any] = {}
    if together > 1:
        from ffprobe_plugins.goodness.group_square import GroupSquare

        components = {
            "goodness": GroupSquare(GroupSquare.Params(together=together)),
            "loss": _between_groups(loss, together),
        }
    pool = layer["maxpool"] or 1
    return ffprobe.LayerSpec("conv", layer["out_channels"], pool, layer["bias"], groups=layer["groups"], **components)


def _by_group(goodness: Any, layer: Mapping[str, Any]) -> Any:
    """``[B, K]`` as the code records it: one value for each group, then zeros."""
    import numpy as np

    values = np.zeros_like(goodness)
    values[:, : layer["classes"]] = goodness[:, :: layer["label_divisor"]]
    return values


def _softmax(logits: Any) -> Any:
    import numpy as np

    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _between_groups(loss: Mapping[str, Any], together: int) -> ffprobe.Loss:
    from ffprobe_plugins.losses.cross_entropy import CrossEntropy
    from ffprobe_plugins.losses.cwc import CwC
    from ffprobe_plugins.losses.cwg import CWG
    from ffprobe_plugins.losses.pvn import PvN

    kind: Any = {"CwC": CwC, "CwC_CE": CrossEntropy, "PvN": PvN, "CWG": CWG}[loss["name"]]
    inner = kind(kind.Params(**_constants(loss)))

    class BetweenGroups(ffprobe.Loss):
        name = "between-groups"
        form = "class"

        def __call__(self, goodness: Any, labels: Any, context: ffprobe.LossContext) -> Any:
            return inner(goodness[:, ::together], labels // together, context)

    return BetweenGroups()


def _with_head(settings: Mapping[str, Any], kept: dict[str, Any]) -> type[ffprobe.Rule]:
    """Forward-Forward's rule with this code's order of a step; stores in ``kept`` what only the learner can see."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Learner(ffprobe.GroupLearner):
        def __init__(self, setup: ffprobe.LearnerSetup) -> None:
            super().__init__(setup)
            network = setup.network
            features = torch.Size(network.layer(network.depth - 1).output_shape).numel()
            network.head = nn.Linear(features, setup.classes).to(next(network.parameters()))
            options = settings["optimizer"]
            self.head_optimizer = torch.optim.SGD(
                network.head.parameters(), options["lr"], options["momentum"], weight_decay=options["weight_decay"]
            )
            kept["head"] = self.logits

        def step(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> Any:
            network = self.network
            self.head_optimizer.zero_grad(set_to_none=True)
            self.images = images
            yield from super().step(images, labels, step, epoch)
            if epoch >= settings["epochs_from"]:
                probabilities = network.head(self.last.flatten(1)).softmax(dim=1)
                functional.cross_entropy(probabilities, labels).backward()
                self.head_optimizer.step()  # gradients stay until the next step, for observers
            if step == 0:
                state = network.named_state().items()
                kept["statistics"] = {n: v.detach().numpy().copy() for n, v in state if ".running_" in n}
            with torch.no_grad():
                *_, last = network.activations(images, None)
                network.layer(network.depth - 1).goodness(last)
                network.head(last.flatten(1))

        def _update_idle_normalizer(self, inputs: dict[int, torch.Tensor]) -> None:
            # all layers run in every step; the head reads the activation of the last layer
            network = self.network
            index = max(inputs, default=0)
            with torch.no_grad():
                x = inputs[index] if index else network.encode(self.images, None)
                for layer in range(index, network.depth):
                    x = network.pass_on(layer, network.layer(layer)(x), inputs)
            self.last = x

        def logits(self, images: Any) -> Any:
            network = self.network
            mode = network.training
            network.eval()
            with torch.no_grad():
                *_, last = network.activations(torch.from_numpy(images), None)
                logits = network.head(last.flatten(1)).numpy()
            network.train(mode)
            return logits

    class WithHead(ffprobe.Rule):
        name = "cwcomp"

        def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
            return Learner(setup)

    return WithHead


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [CwCompPeer]
