"""jsalbert/biotorch: feedback alignment, direct feedback alignment, and the three kinds of sign-symmetric feedback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ffprobe_plugins.peers.tolerances import tolerances

import ffprobe

MAGNITUDES = {"usf": "uniform", "frsf": "fixed", "brsf": "batch"}


class BioTorchPeer(ffprobe.Peer):
    """Replays trajectories of jsalbert/biotorch: networks of convolutions and linear maps, one loss on the last layer.

    The last recorded layer is the learned head of the last hidden layer here. Specific to this code: in direct feedback
    alignment, a convolution repeats the error over all positions of its output and sends it through a kernel; here that
    is one matrix from the error to the layer's input, as ``direct-feedback-alignment`` has it. Feedback matrices of the
    first layer are recorded, but send nothing.
    """

    name = "peer-biotorch"
    source = "github.com/jsalbert/biotorch, commit 74fad0d"

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self._mode = ""
        self._layers: list[Any] = []  # all recorded layers; ``plan`` sets them
        self._shapes: list[Any] = []  # of their inputs, without the batch dimension

    def claims(self, meta: Mapping[str, Any]) -> bool:
        """Match the name of the repository."""
        return meta.get("peer") == "jsalbert/biotorch"

    def plan(self, trajectory: ffprobe.Trajectory) -> ffprobe.ReplayPlan:
        """Plan one update group of all layers with the recorded rule."""
        import numpy as np

        meta, arrays = trajectory.meta, trajectory.arrays
        self._mode, self._layers = meta["mode"], list(meta["layers"])
        self._refuse(meta)
        self._shapes = _input_shapes(self._layers, arrays["batch/x"].shape[2:])
        *hidden, output = self._layers
        x, optimizer = arrays["batch/x"], meta["optimizer"]
        x = x if x.ndim == 5 else x.reshape(*x.shape[:2], 1, 1, -1)
        return ffprobe.ReplayPlan(
            layers=[_spec(layer) for layer in hidden],
            shape=x.shape[2:],
            classes=meta["classes"],
            components={
                "encoder": "no-label",
                "normalizer": "none",
                "goodness": {"name": "linear-head", "bias": output["bias"]},
                "loss": "cross-entropy",
                "scheduler": "whole",
                "rule": self._rule(meta, arrays),
            },
            training={
                "optimizer": "sgd",
                "learning_rate": optimizer["lr"],
                "momentum": optimizer["momentum"],
                "weight_decay": optimizer["weight_decay"],
            },
            inputs=x,
            labels=arrays["batch/y"],
            record_outputs=[f"layers.{len(hidden) - 1}.goodness"],
            **tolerances(meta, x.dtype == np.float64),
        )

    def state(self, recorded: Mapping[str, Any]) -> dict[str, Any]:
        """Assign the last layer to the head, and each feedback matrix to the map or the layer that uses it."""
        last = len(self._layers) - 1
        state = {}
        for name, value in recorded.items():
            index, _, rest = name.partition(".")
            at = int(index)
            module = f"{last - 1}.goodness.linear" if at == last else f"{at}.{rest.partition('.')[0]}"
            if rest != "feedback.weight":
                state[f"{module}.{rest.partition('.')[2]}"] = value
            elif at and self._mode == "dfa":
                state[f"{at - 1}.feedback"] = self._sent(at, value)
            elif at:
                kind = "conv" if self._layers[at]["kind"] == "conv2d" else "linear"
                state[f"{module if at == last else f'{at}.{kind}'}.feedback"] = value
        return state

    def observed(self, record: ffprobe.ReplayRecord, trajectory: ffprobe.Trajectory) -> dict[str, Any]:
        """The loss, logits in training and logits in evaluation."""
        x = trajectory.arrays["eval/x"]
        last = len(self._layers) - 2
        return {
            "loss": record.losses()[:, last:],
            "logits": record.outputs(f"layers.{last}.goodness"),
            "eval/logits": record.evaluate(x if x.ndim == 4 else x.reshape(len(x), 1, 1, -1))[-1],
        }

    def _sent(self, index: int, feedback: Any) -> Any:
        # the matrix [values of the input, K] that takes the error e to the input of layer ``index``
        import torch

        matrix, layer = torch.from_numpy(feedback.copy()), self._layers[index]
        if layer["kind"] == "linear":
            return feedback.T.copy()
        shape, classes = self._shapes[index], len(matrix)
        out = [_size(side, layer) for side in shape[1:]]
        errors = torch.eye(classes, dtype=matrix.dtype)[:, :, None, None].expand(-1, -1, *out)
        sent = torch.nn.grad.conv2d_input((classes, *shape), matrix, errors, layer["stride"], layer["padding"])
        return sent.flatten(1).T.contiguous().numpy()

    def _rule(self, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Any:
        if self._mode == "fa":
            return "feedback-alignment"
        if self._mode == "dfa":
            return "direct-feedback-alignment"
        start = "xavier" if "xavier" in str(meta.get("variant")) else "torch"
        if self._mode == "brsf":
            return _recorded_magnitudes(arrays, len(self._layers) - 1)
        return {"name": "sign-symmetry", "magnitude": MAGNITUDES[self._mode], "start": start}

    def _refuse(self, meta: Mapping[str, Any]) -> None:
        problems, layers, optimizer = [], self._layers, meta["optimizer"]
        if self._mode not in ("fa", "dfa", *MAGNITUDES):
            problems.append(f"mode {self._mode!r}")
        if meta.get("gradient_clip"):
            problems.append("clipping of gradients")
        if len(layers) < 2 or layers[-1]["kind"] != "linear" or layers[-1]["activation"] != "none":
            problems.append("an output layer that is not linear, or a network without a hidden layer")
        if any(la["kind"] not in ("conv2d", "linear") or la.get("groups", 1) != 1 for la in layers):
            problems.append(f"layers of kind {sorted({la['kind'] for la in layers})}")
        if any(la.get("pool_after", "none") not in ("none", "max") for la in layers):
            problems.append("pooling other than a maximum over 2x2 pixels")
        if any(la["activation"] not in ("relu", "tanh", "none") for la in layers):
            problems.append(f"activations {[la['activation'] for la in layers]}")
        if optimizer["name"] != "sgd" or optimizer.get("nesterov"):
            problems.append(f"the optimizer {optimizer['name']!r}")
        if problems:
            raise ffprobe.PluginError(f"The peer {self.name!r} does not support: {'; '.join(problems)}.")


def _spec(layer: Mapping[str, Any]) -> ffprobe.LayerSpec:
    pool = 2 if layer.get("pool_after") == "max" else 1
    if layer["kind"] == "linear":
        return ffprobe.LayerSpec("linear", layer["out_features"], bias=layer["bias"], activation=layer["activation"])
    return ffprobe.LayerSpec(
        "conv",
        layer["out_channels"],
        pool,
        layer["bias"],
        activation=layer["activation"],
        kernel=layer["kernel"],
        stride=layer["stride"],
        padding=layer["padding"],
    )


def _size(side: int, layer: Mapping[str, Any]) -> int:
    return (side + 2 * layer["padding"] - layer["kernel"]) // layer["stride"] + 1


def _input_shapes(layers: list[Any], shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    shapes = []
    for layer in layers:
        shapes.append(shape)
        if layer["kind"] == "linear":
            shape = (layer["out_features"],)
        else:
            halved = 2 if layer.get("pool_after") == "max" else 1
            shape = (layer["out_channels"], *(_size(side, layer) // halved for side in shape[1:]))
    return shapes


def _recorded_magnitudes(arrays: Mapping[str, Any], last: int) -> type[ffprobe.Rule]:
    """``sign-symmetry`` with the recorded magnitudes ``[T, ...]`` of every map, one per forward pass."""
    import torch
    from ffprobe_plugins.rules.sign_symmetry import SignSymmetry

    rows = {i: iter(torch.from_numpy(arrays[f"batch/magnitude/{i}"])) for i in range(1, last + 1)}

    class Recorded(SignSymmetry):
        class Params(SignSymmetry.Params):
            magnitude: str = "batch"  # type: ignore[assignment]

        def magnitude(self, name: str, weight: torch.Tensor) -> torch.Tensor:
            index = last if ".goodness." in name else int(name.split(".")[1])
            return next(rows[index])

    return Recorded


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [BioTorchPeer]
