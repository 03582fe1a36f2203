"""anokland/local-loss, with pred, sim, predsim, bio variants, unsupervised terms, and backpropagation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ffprobe

NAMES = {
    "head.weight": ("goodness.linear.weight",),
    "head.bias": ("goodness.linear.bias",),
    "sim.weight": ("loss.map.weight",),
    "reconstruction.weight": ("loss.reconstruction.weight",),
    "reconstruction.bias": ("loss.reconstruction.bias",),
}
BIO_NAMES = {
    "head.weight": ("goodness.weight",),
    "head.bias": ("goodness.bias",),
    "head.feedback": ("goodness.feedback",),
}


class LocalLossPeer(ffprobe.Peer):
    """Replays trajectories of anokland/local-loss: blocks with one loss each, and an output layer that learns from
    their detached output.

    The output layer is one more layer here, a linear map with its own cross entropy. ``greedy`` then gives this code's
    order of updates, ``whole`` its backpropagation and ``summed-losses`` its option not to detach. Specific to this
    code: a layer without a local classifier (`sim` alone) has a goodness of 0; the reconstruction of a layer's input,
    act(R h + r); a learning rate that falls at milestones; logits after every epoch.

    In the bio variant, this code has one random projection of the label for classifier and similarities; here, they are
    two buffers with the same values.
    """

    name = "peer-local-loss"
    source = "github.com/anokland/local-loss, commit 7b3b40b"

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self._depth = 0  # number of blocks, without the output layer; ``plan`` sets this and the following
        self._backprop = self._bio = False
        self._targets: tuple[str, ...] = ()
        self._read: list[Any] = []

    def claims(self, meta: Mapping[str, Any]) -> bool:
        """Match the name of the repository."""
        return meta.get("peer") == "anokland/local-loss"

    def plan(self, trajectory: ffprobe.Trajectory) -> ffprobe.ReplayPlan:
        """Plan greedy blocks and the output layer."""
        meta, arrays = trajectory.meta, trajectory.arrays
        self._depth = len(meta["layers"])
        self._backprop = not meta["loss"]["per_layer"]
        self._bio = "bio" in meta["loss"]["name"].replace("-", " ").split()
        self._refuse(meta)
        steps, rates = len(arrays["batch/x"]), self._rates(meta, len(arrays["batch/x"]))
        optimizer, wide = meta["optimizer"], arrays["batch/x"].dtype.name == "float64"
        detached = self._backprop or meta.get("detach", True)
        goodness, losses = self._local(meta, arrays)
        self._read = []
        evaluations = arrays["eval/logits"].shape[0] if "eval/logits" in arrays else 0
        length = steps // evaluations if evaluations else 0
        return ffprobe.ReplayPlan(
            layers=[*(self._block(meta, i, losses) for i in range(self._depth)), self._output(meta)],
            shape=arrays["batch/x"].shape[2:],
            classes=meta["classes"],
            components={
                "encoder": "no-label",
                "normalizer": {"name": "batchnorm", "position": "preactivation", "epsilon": meta["normalizer"]["eps"]}
                if "init/0.normalizer.weight" in arrays
                else "none",
                "goodness": goodness,
                "loss": "cross-entropy",
                "scheduler": "whole" if self._backprop else "greedy",
                "rule": _reading(detached, length, arrays.get("eval/x"), self._read),
            },
            training={
                "optimizer": optimizer["name"],
                "learning_rate": optimizer["lr"],
                "momentum": optimizer.get("momentum", 0.0),
                "weight_decay": optimizer.get("weight_decay", 0.0),
            },
            inputs=arrays["batch/x"],
            labels=arrays["batch/y"],
            rates=rates,
            record_outputs=[f"layers.{self._depth}.goodness"],
            **self._tolerances(meta, wide),
        )

    def state(self, recorded: Mapping[str, Any]) -> dict[str, Any]:
        """Assign heads to goodness, similarity maps to the loss, and the output to the last layer."""
        state = {}
        names = BIO_NAMES if self._bio else NAMES
        for name, value in recorded.items():
            index, _, rest = name.partition(".")
            if index == "output":
                state[f"{self._depth}.linear.{rest}"] = value
            elif rest == "target_projection.weight":
                state.update({f"{index}.{target}": value for target in self._targets})
            else:
                state.update({f"{index}.{target}": value for target in names.get(rest, (rest,))})
        return state

    def observed(self, record: ffprobe.ReplayRecord, trajectory: ffprobe.Trajectory) -> dict[str, Any]:
        """Losses of blocks and output, logits in training, logits after every epoch."""
        import numpy as np

        losses = record.losses()
        quantities = {
            "loss": losses[:, self._depth :] if self._backprop else losses[:, : self._depth],
            "global_loss": losses[:, self._depth],
            "logits": record.outputs(f"layers.{self._depth}.goodness"),
            "lr": np.array([step.rate for step in record.steps]),
        }
        return {**quantities, "eval/logits": np.stack(self._read)} if self._read else quantities

    def _local(self, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> tuple[Any, list[Any]]:
        # the goodness of all blocks, and the loss of each block
        terms = meta["loss"].get("terms", {})
        if self._backprop:
            return _silent(), [None] * self._depth
        pooled = {"inputs": _inputs(meta)}
        pred, beta = float(terms.get("pred", 0.0)), float(terms.get("sim", 0.0))
        classifier: Any = _silent()
        if self._bio:
            bits = next(v.shape[0] for n, v in arrays.items() if n.endswith("target_projection.weight"))
            if pred:
                classifier = {"name": "random-code", "bits": bits, **pooled}
            self._targets = (*(["goodness.projection"] if pred else []), *(["loss.projection"] if beta else []))
            bio = {"beta": beta, "pred": pred, "bits": bits, **pooled}
            return classifier, [_loss("predsim_bio", bio)] * self._depth
        if pred:
            classifier = {"name": "local-classifier", **pooled}
        weights = {"beta": beta, "pred": pred}
        unsupervised, alpha = meta["loss"].get("unsupervised", "none"), float(meta["loss"].get("alpha", 0.0))
        if unsupervised == "none":
            # alpha scales the other terms even without an unsupervised term
            weights = {name: (1 - alpha) * value for name, value in weights.items()}
            return classifier, [_loss("predsim", weights)] * self._depth
        if unsupervised == "sim":
            return classifier, [_loss("predsim", {**weights, "alpha": alpha, "unsupervised": "sim"})] * self._depth
        return classifier, [
            _reconstructing(
                {**weights, "alpha": alpha},
                layer,
                meta["activation"],
                f"init/{i}.reconstruction.weight" in arrays,
            )
            for i, layer in enumerate(meta["layers"])
        ]

    def _block(self, meta: Mapping[str, Any], index: int, losses: list[Any]) -> ffprobe.LayerSpec:
        layer = meta["layers"][index]
        width = layer["out_channels"] if "kernel" in layer else layer["out_features"]
        return ffprobe.LayerSpec(
            "conv" if "kernel" in layer else "linear",
            width,
            bias=layer["bias"],
            activation=_activation(meta["activation"]),
            kernel=layer.get("kernel", 1),
            stride=layer.get("stride", 1),
            output_max_pool=max(1, layer.get("maxpool_after") or 1),
            loss=losses[index],
        )

    def _output(self, meta: Mapping[str, Any]) -> ffprobe.LayerSpec:
        from ffprobe_plugins.normalizers.none import NoNormalizer

        return ffprobe.LayerSpec(
            "linear",
            meta["classes"],
            bias=meta["output"]["bias"],
            activation="none",
            goodness=_logits()(),
            loss=_scaled(float(meta["global_loss"]["scale"]))(),
            normalizer=NoNormalizer(),
        )

    def _rates(self, meta: Mapping[str, Any], steps: int) -> list[float]:
        schedule, rate = meta.get("schedule") or {"name": "constant"}, meta["optimizer"]["lr"]
        if schedule["name"] == "constant":
            return [rate] * steps
        epochs = [t // schedule["epoch_length"] for t in range(steps)]
        return [rate * schedule["factor"] ** sum(m <= e for m in schedule["milestones"]) for e in epochs]

    def _tolerances(self, meta: Mapping[str, Any], wide: bool) -> dict[str, Any]:
        noise = meta.get("noise_parameters", [])
        adaptive = meta["optimizer"]["name"] != "sgd"
        blurred = 5e-2 if adaptive and noise else 1e-3
        named = {"loss": 5e-7 if wide and not self._backprop else 1e-9, "eval": 1e-7, "logits": 1e-7, "lr": 1e-12}
        if not wide:
            final = 2e-4 if adaptive else 1e-5
            named = {"step1": 1e-4, "first_grad": 2e-5, "eval/logits": blurred, "final": final, "lr": 1e-12}
        why = "a bias before batch normalization: its gradient is rounding noise, which Adam amplifies"
        behind = "it depends on the bias before it, which is rounding noise"
        ignored = {}
        for first in ("final", "step1", "first_grad"):
            for name in noise:
                ignored[f"{first}/{name}"] = why
                ignored[f"{first}/{name.partition('.')[0]}.normalizer.running_mean"] = behind
        flat = ffprobe.Tolerance(1e-9, 0.0, 1e-7) if wide else ffprobe.Tolerance(5e-5, 0.0, 2e-4)
        return {"tolerance": flat, "tolerances": named, "ignored": ignored}

    def _refuse(self, meta: Mapping[str, Any]) -> None:
        loss, problems = meta["loss"], []
        terms = loss.get("terms", {})
        if set(terms) - {"pred", "sim"} or (not self._backprop and not terms):
            problems.append(f"loss terms {terms}")
        if loss.get("unsupervised", "none") not in ("none", "sim", "recon"):
            problems.append(f"unsupervised loss {loss['unsupervised']!r}")
        if self._bio and (loss.get("unsupervised", "none") != "none" or loss.get("alpha")):
            problems.append("unsupervised terms in the bio variant")
        if meta["activation"]["name"] not in ("relu", "leakyrelu"):
            problems.append(f"activation {meta['activation']['name']!r}")
        if meta["optimizer"]["name"] not in ("sgd", "adam"):
            problems.append(f"optimizer {meta['optimizer']['name']!r}")
        if (meta.get("schedule") or {"name": "constant"})["name"] not in ("constant", "steps"):
            problems.append(f"schedule {meta['schedule']['name']!r}")
        if problems:
            raise ffprobe.PluginError(f"The peer {self.name!r} does not support: {'; '.join(problems)}.")


def _activation(recorded: Mapping[str, Any]) -> Any:
    from torch.nn import functional

    slope = recorded.get("negative_slope", 0.0)
    if slope == 0:
        return "relu"
    return "leaky-relu" if slope == 0.01 else lambda x: functional.leaky_relu(x, slope)


def _loss(module: str, settings: Mapping[str, Any]) -> ffprobe.Loss:
    from ffprobe_plugins.losses import predsim, predsim_bio

    loss: Any = predsim.PredSim if module == "predsim" else predsim_bio.PredSimBio
    return loss(loss.Params(**settings))


def _inputs(meta: Mapping[str, Any]) -> int:
    """The setting ``inputs`` of the local classifiers, the maximum number of values after pooling.

    Pooling stops at the first size that is small enough, and the largest size that occurs is small enough for every
    layer.
    """
    sides, largest = list(meta["image"][1:]), 1
    for layer in meta["layers"]:
        if "kernel" not in layer:
            break
        window = layer.get("head_avgpool") or {"kernel": [1, 1], "padding": [0, 0]}
        sides = [(n + 2 * layer["padding"] - layer["kernel"]) // layer["stride"] + 1 for n in sides]
        count = layer["out_channels"]
        for side, kernel, padding in zip(sides, window["kernel"], window["padding"], strict=True):
            count *= (side + 2 * padding - kernel) // kernel + 1
        largest = max(largest, count)
        sides = [side // max(1, layer.get("maxpool_after") or 1) for side in sides]
    return largest


def _silent() -> type[ffprobe.Goodness]:
    """A goodness of 0, for a layer without a local classifier."""
    from torch import nn

    class Zero(nn.Module):
        def __init__(self, classes: int) -> None:
            super().__init__()
            self.classes = classes

        def forward(self, activation: Any) -> Any:
            return activation.new_zeros(len(activation), self.classes)

    class Silent(ffprobe.Goodness):
        name = "no-classifier"
        form = "class"

        def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
            return Zero(classes)

    return Silent


def _logits() -> type[ffprobe.Goodness]:
    from torch import nn

    class Logits(ffprobe.Goodness):
        name = "activation-as-logits"
        form = "class"

        def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
            return nn.Identity()

    return Logits


def _scaled(scale: float) -> type[ffprobe.Loss]:
    from torch.nn import functional

    class Scaled(ffprobe.Loss):
        name = "scaled-cross-entropy"
        form = "class"

        def __call__(self, goodness: Any, labels: Any, context: ffprobe.LossContext) -> Any:
            return scale * functional.cross_entropy(goodness, labels)

    return Scaled


def _reconstructing(
    settings: Mapping[str, Any], layer: Mapping[str, Any], activation: Mapping[str, Any], present: bool
) -> ffprobe.Loss:
    """The loss with the mean of (act(R h + r) - input)^2 as the unsupervised term; 0 for a layer without R."""
    from ffprobe_plugins.losses.predsim import PredSim
    from torch import nn
    from torch.nn import functional

    slope = activation.get("negative_slope", 0.0)

    class Reconstructing(PredSim):
        class Params(PredSim.Params):
            unsupervised: str = "recon"  # type: ignore[assignment]

        def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module | None:
            module: Any = super().build(shape, classes) or nn.Module()
            if present and len(shape) == 3:
                module.reconstruction = nn.ConvTranspose2d(
                    shape[0], layer["in_channels"], layer["kernel"], layer["stride"], layer["padding"]
                )
            elif present:
                module.reconstruction = nn.Linear(shape[0], layer["in_features"])
            return module

        def unsupervised(self, own: Any, context: ffprobe.LossContext) -> Any:
            if not present:
                return context.activation.new_zeros(())
            module: Any = context.module
            assert context.input is not None
            reconstruction = functional.leaky_relu(module.reconstruction(context.activation), slope)
            return (reconstruction - context.input.view_as(reconstruction)).square().mean()

    return Reconstructing(Reconstructing.Params(**settings))


def _reading(detached: bool, length: int, x: Any, read: list[Any]) -> type[ffprobe.Rule]:
    """The rule, which stores the output logits for ``x`` in ``read`` after every ``length`` steps."""
    import torch
    from ffprobe_plugins.rules.summed_losses import SummedLearner

    base: Any = ffprobe.GroupLearner if detached else SummedLearner

    class Learner(base):
        def step(self, images: Any, labels: Any, step: int, epoch: int) -> Any:
            yield from super().step(images, labels, step, epoch)
            if length and (step + 1) % length == 0:
                self.network.eval()
                with torch.inference_mode():
                    read.append(self.network(torch.from_numpy(x))[-1].numpy())
                self.network.train()

    class ReadingRule(ffprobe.Rule):
        name = "local-losses" if detached else "summed-losses"

        def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
            return Learner(setup)

    return ReadingRule


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LocalLossPeer]
