"""GiorgiaD/PEPITA: PEPITA, and that code's backpropagation, feedback alignment and direct feedback alignment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ffprobe

RULES = {
    "pepita": "pepita",
    "backprop": "forward-forward",  # one group of all layers
    "feedback_alignment": "feedback-alignment",
    "direct_feedback_alignment": "direct-feedback-alignment",
}


class PepitaPeer(ffprobe.Peer):
    """Fully connected networks of both versions, numpy (one sample at a time) and the torch notebook (one batch).

    The last of the recorded layers, the one with softmax, is the learned head of the last hidden layer here. What is
    this code's alone: momentum has the learning rate inside (v = 0.9 v + lr grad, w = w - v); ``loss`` is what the code
    prints, the sum of absolute errors or, in the notebook, a cross entropy with softmax taken twice; dropout masks are
    recorded. Its script for convolutions applies another rule, with the opposite sign and divided by the batch twice
    (see the methods' notes); that is no method to offer, so its recordings are refused.
    """

    name = "peer-pepita"
    source = "github.com/GiorgiaD/PEPITA, commit 3fe03d8"

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self._hidden: list[Any] = []  # the recorded layers but the last, known from ``plan`` on
        self._rule = ""

    def claims(self, meta: Mapping[str, Any]) -> bool:
        """By the repository's name."""
        return meta.get("peer") == "GiorgiaD/PEPITA"

    def plan(self, trajectory: ffprobe.Trajectory) -> ffprobe.ReplayPlan:
        """One update group of all layers under the recorded rule."""
        import numpy as np

        meta, arrays = trajectory.meta, trajectory.arrays
        *hidden, output = meta["layers"]
        self._refuse(meta, hidden, output)
        self._hidden, self._rule = hidden, meta["rule"]
        last = len(hidden) - 1
        x = self._images(arrays["batch/x"], 2)
        wide = x.dtype == np.float64
        optimizer = meta["optimizer"]
        return ffprobe.ReplayPlan(
            layers=[
                ffprobe.LayerSpec("linear", layer["out_features"], bias=layer["bias"], activation=layer["activation"])
                for layer in hidden
            ],
            shape=x.shape[2:],
            classes=meta["classes"],
            components={
                "encoder": "no-label",
                "normalizer": "none",
                "goodness": {"name": "linear-head", "bias": output["bias"]},
                "loss": "cross-entropy",
                "scheduler": "whole",
                "rule": self._rule_of(meta, arrays),
            },
            training={"optimizer": "sgd", "learning_rate": optimizer["lr"], "momentum": optimizer["momentum"]},
            optimizer=lambda parameters: _rate_inside(parameters, optimizer["lr"], optimizer["momentum"]),
            inputs=x,
            labels=arrays["batch/y"],
            listen=[*(f"layers.{i}.linear" for i in range(len(hidden))), f"layers.{last}.goodness"],
            tolerance=ffprobe.Tolerance(1e-12, 0.0, 1e-12) if wide else ffprobe.Tolerance(5e-5, 0.0, 1e-5),
            tolerances={} if wide else {"step1": 1e-4, "eval": 1e-3},
        )

    def state(self, recorded: Mapping[str, Any]) -> dict[str, Any]:
        """The last layer is the last hidden layer's head; a feedback matrix lies where its error goes."""
        last = len(self._hidden)
        found = {}
        for name, value in recorded.items():
            index, _, rest = name.partition(".")
            if rest == "feedback.weight" and self._rule == "feedback_alignment":
                # recorded as [inputs, outputs]; here as the map's own weight
                place = f"{last - 1}.goodness.linear" if int(index) == last else f"{index}.linear"
                found[f"{place}.feedback"] = value.T.copy()
            elif rest == "feedback.weight":
                found[f"{int(index) - 1}.feedback"] = value
            elif index == str(last):
                found[f"{last - 1}.goodness.{rest}"] = value
            else:
                found[name] = value
        return found

    def observed(self, heard: ffprobe.ReplayRecord, trajectory: ffprobe.Trajectory) -> dict[str, Any]:
        """Losses, errors and hidden activations of every pass; logits and probabilities in evaluation."""
        import numpy as np

        arrays, labels = trajectory.arrays, trajectory.arrays["batch/y"]
        count = len(self._hidden)
        passes = range(2 if self._rule == "pepita" else 1)
        truth = np.eye(trajectory.meta["classes"], dtype=arrays["batch/x"].dtype)[labels]  # [T, B, K]
        outputs = [_softmax(heard.outputs(f"layers.{count - 1}.goodness", p)) for p in passes]
        error = np.stack([output - truth for output in outputs], axis=1)  # [T, passes, B, K]
        found = {"error": error, "loss": np.abs(error).sum(3).mean(2)}
        if "cross entropy" in str(trajectory.meta["loss"]):
            twice = np.take_along_axis(_softmax(outputs[0]), labels[..., None], axis=2)
            found["loss"] = -np.log(twice).mean(axis=1)  # [T, 1]
        if "hidden" in arrays:
            mask = arrays.get("batch/mask", np.ones((), arrays["batch/x"].dtype))
            found["hidden"] = np.stack([self._activated(heard, p) * mask for p in passes], axis=1)
        logits = heard.evaluate(self._images(arrays["eval/x"], 1))[-1]  # [N, K]
        return {**found, "eval/logits": logits, "eval/probabilities": _softmax(logits)}

    def _activated(self, heard: ffprobe.ReplayRecord, number: int) -> Any:
        # the maps' outputs are heard; what the code recorded is after the activation: [T, B, all hidden units]
        import numpy as np

        functions = {"relu": lambda a: np.maximum(a, 0), "tanh": np.tanh}
        pairs = enumerate(layer["activation"] for layer in self._hidden)
        return np.concatenate([functions[f](heard.outputs(f"layers.{i}.linear", number)) for i, f in pairs], axis=2)

    def _rule_of(self, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Any:
        if meta["rule"] != "pepita":
            return RULES[meta["rule"]]
        sign = meta.get("error_transform") == "sign"
        if "batch/mask" in arrays:
            return _with_masks(arrays["batch/mask"], [layer["out_features"] for layer in self._hidden], sign)
        return {"name": "pepita", "sign": sign}

    def _refuse(self, meta: Mapping[str, Any], hidden: Sequence[Any], output: Mapping[str, Any]) -> None:
        if any(layer["kind"] != "linear" for layer in (*hidden, output)):
            raise ffprobe.PluginError(
                "That code's script for convolutions applies another rule than PEPITA's: the convolution moves with "
                "the opposite sign, divided by the batch size twice, and the last layer uses the first pass's error.",
                hint="It is left out on purpose; ffprobe's pepita is the fully connected rule.",
            )
        problems = []
        if meta["rule"] not in RULES:
            problems.append(f"rule {meta['rule']!r}")
        if meta.get("error_transform", "identity") not in ("identity", "sign"):
            problems.append(f"error_transform {meta['error_transform']!r}")
        if not hidden:
            problems.append("a network without hidden layer")
        if output["activation"] != "softmax" or any(la["activation"] not in ("relu", "tanh") for la in hidden):
            problems.append(f"activations {[layer['activation'] for layer in (*hidden, output)]}")
        if not str(meta.get("schedule", "constant")).startswith("constant"):
            problems.append(f"schedule {meta['schedule']!r:.60}")
        if meta["optimizer"]["name"] != "sgd" or meta["optimizer"].get("weight_decay"):
            problems.append(f"optimizer {meta['optimizer']['name']!r} with weight decay")
        if problems:
            raise ffprobe.PluginError(f"A trajectory of GiorgiaD/PEPITA needs what is not here: {'; '.join(problems)}.")

    def _images(self, x: Any, leading: int) -> Any:
        # vectors as images of one row; a linear layer flattens them again
        return x if x.ndim == leading + 3 else x.reshape(*x.shape[:leading], 1, 1, -1)


def _softmax(logits: Any) -> Any:
    import numpy as np

    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _with_masks(recorded: Any, sizes: Sequence[int], signed: bool) -> type[ffprobe.Rule]:
    """The rule with recorded dropout masks ``[T, B, all hidden units]``, one batch after another."""
    import torch
    from ffprobe_plugins.rules.pepita import Pepita

    rows = iter(torch.from_numpy(recorded))

    class Recorded(Pepita):
        class Params(Pepita.Params):
            sign: bool = signed

        def masks(self, batch: int, hidden: list[int], like: torch.Tensor) -> list[torch.Tensor]:
            return list(next(rows).split(list(sizes), dim=1))

    return Recorded


def _rate_inside(parameters: Sequence[Any], rate: float, momentum: float) -> Any:
    """Momentum as this code has it: v = momentum v + lr grad, w = w - v; it differs where the rate changes."""
    import torch

    class RateInside(torch.optim.Optimizer):
        @torch.no_grad()
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is None:
                        continue
                    state = self.state[parameter]
                    change = group["lr"] * parameter.grad
                    if group["momentum"]:
                        change = change + group["momentum"] * state.get("v", torch.zeros_like(parameter))
                        state["v"] = change
                    parameter -= change

    return RateInside(parameters, {"lr": rate, "momentum": momentum})


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [PepitaPeer]
