"""GiorgiaD/PEPITA, with PEPITA, backpropagation, feedback alignment and direct feedback alignment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ffprobe

RULES = {
    "pepita": "pepita",
    "backprop": "forward-forward",  # one group of all layers
    "feedback_alignment": "feedback-alignment",
    "direct_feedback_alignment": "direct-feedback-alignment",
}


class PepitaPeer(ffprobe.Peer):
    """Replays trajectories of GiorgiaD/PEPITA: fully connected networks of both versions, numpy (one sample at a time)
    and the torch notebook (one batch).

    The last recorded layer, the one with softmax, is the learned head of the last hidden layer here. Specific to this
    code: momentum contains the learning rate (v = 0.9 v + lr grad, w = w - v); ``loss`` is the value that the code
    prints, which is the sum of absolute errors or, in the notebook, a cross entropy with softmax applied twice; dropout
    masks are recorded. Its script for convolutions applies another rule, with the opposite sign and divided by the
    batch size twice (see the notes on methods). ffprobe does not offer that rule, so its recordings are refused.
    """

    name = "peer-pepita"
    source = "github.com/GiorgiaD/PEPITA, commit 3fe03d8"

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self._hidden: list[Any] = []  # all recorded layers but the last; set by ``plan``
        self._rule = ""

    def claims(self, meta: Mapping[str, Any]) -> bool:
        """Match the name of the repository."""
        return meta.get("peer") == "GiorgiaD/PEPITA"

    def plan(self, trajectory: ffprobe.Trajectory) -> ffprobe.ReplayPlan:
        """Plan one update group of all layers with the recorded rule."""
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
            record_outputs=[*(f"layers.{i}.linear" for i in range(len(hidden))), f"layers.{last}.goodness"],
            tolerance=ffprobe.Tolerance(1e-12, 0.0, 1e-12) if wide else ffprobe.Tolerance(5e-5, 0.0, 1e-5),
            tolerances={} if wide else {"step1": 1e-4, "eval": 1e-3},
        )

    def state(self, recorded: Mapping[str, Any]) -> dict[str, Any]:
        """Assign the last layer to the last hidden layer's head, and each feedback matrix to the map that uses it."""
        last = len(self._hidden)
        state = {}
        for name, value in recorded.items():
            index, _, rest = name.partition(".")
            if rest == "feedback.weight" and self._rule == "feedback_alignment":
                # recorded as [inputs, outputs]; here it has the shape of the map's weight
                module = f"{last - 1}.goodness.linear" if int(index) == last else f"{index}.linear"
                state[f"{module}.feedback"] = value.T.copy()
            elif rest == "feedback.weight":
                state[f"{int(index) - 1}.feedback"] = value
            elif index == str(last):
                state[f"{last - 1}.goodness.{rest}"] = value
            else:
                state[name] = value
        return state

    def observed(self, record: ffprobe.ReplayRecord, trajectory: ffprobe.Trajectory) -> dict[str, Any]:
        """Losses, errors and hidden activations of every pass; logits and probabilities in evaluation."""
        import numpy as np

        arrays, labels = trajectory.arrays, trajectory.arrays["batch/y"]
        count = len(self._hidden)
        passes = range(2 if self._rule == "pepita" else 1)
        truth = np.eye(trajectory.meta["classes"], dtype=arrays["batch/x"].dtype)[labels]  # [T, B, K]
        outputs = [_softmax(record.outputs(f"layers.{count - 1}.goodness", p)) for p in passes]
        error = np.stack([output - truth for output in outputs], axis=1)  # [T, passes, B, K]
        quantities = {"error": error, "loss": np.abs(error).sum(3).mean(2)}
        if "cross entropy" in str(trajectory.meta["loss"]):
            twice = np.take_along_axis(_softmax(outputs[0]), labels[..., None], axis=2)
            quantities["loss"] = -np.log(twice).mean(axis=1)  # [T, 1]
        if "hidden" in arrays:
            mask = arrays.get("batch/mask", np.ones((), arrays["batch/x"].dtype))
            quantities["hidden"] = np.stack([self._activated(record, p) * mask for p in passes], axis=1)
        logits = record.evaluate(self._images(arrays["eval/x"], 1))[-1]  # [N, K]
        return {**quantities, "eval/logits": logits, "eval/probabilities": _softmax(logits)}

    def _activated(self, record: ffprobe.ReplayRecord, number: int) -> Any:
        # the code recorded its values after the activation function: [T, B, all hidden units]
        import numpy as np

        functions: dict[str, Callable[[Any], Any]] = {"relu": lambda a: np.maximum(a, 0), "tanh": np.tanh}
        pairs = enumerate(layer["activation"] for layer in self._hidden)
        return np.concatenate([functions[f](record.outputs(f"layers.{i}.linear", number)) for i, f in pairs], axis=2)

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
                "The peer 'peer-pepita' does not support convolutions: that script applies another rule than PEPITA, "
                "with the opposite sign, divided by the batch size twice, and with the first error in the last layer.",
                hint="Replay a recording of a fully connected network; ffprobe's rule 'pepita' covers only those.",
            )
        problems = []
        if meta["rule"] not in RULES:
            problems.append(f"rule {meta['rule']!r}")
        if meta.get("error_transform", "identity") not in ("identity", "sign"):
            problems.append(f"error_transform {meta['error_transform']!r}")
        if not hidden:
            problems.append("a network without a hidden layer")
        if output["activation"] != "softmax" or any(la["activation"] not in ("relu", "tanh") for la in hidden):
            problems.append(f"activations {[layer['activation'] for layer in (*hidden, output)]}")
        if not str(meta.get("schedule", "constant")).startswith("constant"):
            problems.append(f"schedule {meta['schedule']!r:.60}")
        if meta["optimizer"]["name"] != "sgd" or meta["optimizer"].get("weight_decay"):
            problems.append(f"optimizer {meta['optimizer']['name']!r} with weight decay")
        if problems:
            raise ffprobe.PluginError(f"The peer {self.name!r} does not support: {'; '.join(problems)}.")

    def _images(self, x: Any, leading: int) -> Any:
        # vectors become images of one row; a linear layer flattens them again
        return x if x.ndim == leading + 3 else x.reshape(*x.shape[:leading], 1, 1, -1)


def _softmax(logits: Any) -> Any:
    import numpy as np

    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _with_masks(recorded: Any, sizes: Sequence[int], signed: bool) -> type[ffprobe.Rule]:
    """The rule with recorded dropout masks ``[T, B, all hidden units]``, one per batch."""
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
    """This code's momentum: v = momentum v + lr grad, w = w - v; it differs when the learning rate changes."""
    import torch

    class RateInside(torch.optim.Optimizer):
        @torch.no_grad()
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
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
