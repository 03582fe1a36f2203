"""PEPITA, backpropagation, feedback alignment and direct feedback alignment in plain numpy, with the keys of the
recorded trajectories of GiorgiaD/PEPITA; imports nothing from ffprobe.

Written from the formulas (Dellaferrera & Kreiman 2022; Lillicrap et al. 2016; Nokland 2016), one sample at a time.
``mistake`` introduces one error, to prove that a replay detects it.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """One rule on one small network."""

    name: str
    rule: str  # pepita, backprop, feedback_alignment, direct_feedback_alignment
    sizes: tuple[int, ...]  # inputs, hidden ..., classes
    activation: str = "relu"
    sign: bool = False
    keep: float = 1.0
    momentum: float = 0.9
    rate: float = 0.1
    steps: int = 7
    batch: int = 6
    seed: int = 0
    dtype: str = "float64"
    mistake: str = ""

    @property
    def notebook(self) -> bool:
        """Whether this is the torch version, which is recorded with other keys."""
        return self.dtype == "float32"


CASES = (
    Case("pepita", "pepita", (15, 8, 4)),
    Case("pepita-deep-tanh", "pepita", (9, 12, 7, 5, 3), "tanh", momentum=0.0, rate=0.05, seed=1),
    Case("pepita-sign", "pepita", (20, 9, 6, 4), sign=True, seed=2),
    Case("pepita-sign-dropout", "pepita", (12, 16, 9, 5), sign=True, keep=0.6, seed=9),
    Case("pepita-dropout", "pepita", (12, 16, 5), keep=0.75, seed=3),
    Case("pepita-notebook", "pepita", (12, 10, 8, 5), keep=0.8, seed=4, dtype="float32"),
    Case("backprop", "backprop", (13, 11, 6, 4), "tanh", seed=5),
    Case("fa", "feedback_alignment", (13, 11, 6, 8, 4), seed=6),
    Case("dfa", "direct_feedback_alignment", (13, 11, 6, 8, 4), seed=7),
    Case("dfa-shallow", "direct_feedback_alignment", (10, 7, 3), "tanh", momentum=0.0, rate=0.2, seed=8),
)

MISTAKES = (
    (CASES[0], "output learns from the first error"),
    (CASES[1], "inputs of the first pass"),
    (CASES[0], "error subtracted"),
    (CASES[2], "no sign"),
    (CASES[4], "no mask in the second pass"),
    (CASES[0], "no momentum"),
    (CASES[6], "no derivative"),
    (CASES[7], "true weights"),
    (CASES[8], "no derivative"),
    (CASES[8], "sum over the batch"),
)


class PlainNetwork:
    """Weights ``[out, in]``, fixed matrices ``[in, ...]``, velocities."""

    def __init__(self, case: Case) -> None:
        self.case = case
        random = np.random.default_rng(case.seed)
        sizes = case.sizes

        def uniform(rows: int, columns: int, inputs: int) -> np.ndarray:
            bound = np.sqrt(6 / inputs)
            return random.uniform(-bound, bound, (rows, columns)).astype(case.dtype)

        self.weights = [uniform(b, a, a) for a, b in itertools.pairwise(sizes)]
        self.fixed: dict[str, np.ndarray] = {}
        if case.rule == "pepita":
            scale = 0.005 if case.sign else 0.05
            self.fixed["feedback.weight"] = (uniform(sizes[0], sizes[-1], sizes[0]) * scale).astype(case.dtype)
        elif case.rule != "backprop":
            for i in range(1, len(self.weights)):
                columns = sizes[i + 1] if case.rule == "feedback_alignment" else sizes[-1]
                self.fixed[f"{i}.feedback.weight"] = uniform(sizes[i], columns, sizes[i])
        self.velocity = [np.zeros_like(w) for w in self.weights]

    def act(self, a: np.ndarray) -> np.ndarray:
        return np.maximum(a, 0) if self.case.activation == "relu" else np.tanh(a)

    def slope(self, h: np.ndarray) -> np.ndarray:
        if self.case.mistake == "no derivative":
            return np.ones_like(h)
        return (h > 0).astype(h.dtype) if self.case.activation == "relu" else 1 - h**2

    def forward(self, x: np.ndarray, masks: list[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
        """The input of each layer and the logits, for one sample."""
        given = [x]
        for weight, mask in zip(self.weights[:-1], masks, strict=True):
            given.append(self.act(weight @ given[-1]) * mask)
        return given, self.weights[-1] @ given[-1]

    def learn(self, xs: np.ndarray, ys: np.ndarray, mask: np.ndarray) -> tuple[list[Any], list[Any]]:
        """Train on one batch; return errors ``[passes][B]`` and hidden activations of each pass, before the update."""
        case, changes = self.case, [np.zeros_like(w) for w in self.weights]
        passes = 2 if case.rule == "pepita" else 1
        errors: list[Any] = [[] for _ in range(passes)]
        hidden: list[Any] = [[] for _ in range(passes)]
        cuts = np.cumsum(case.sizes[1:-2])
        for x, y, row in zip(xs, ys, mask, strict=True):
            masks = np.split(row, cuts)
            truth = np.eye(case.sizes[-1], dtype=case.dtype)[y]
            given, logits = self.forward(x, masks)
            error = softmax(logits) - truth
            errors[0].append(error)
            hidden[0].append(np.concatenate(given[1:]))
            if case.rule == "pepita":
                sent = np.sign(error) if case.sign and case.mistake != "no sign" else error
                shift = self.fixed["feedback.weight"] @ sent
                masks2 = [np.ones_like(m) for m in masks] if "no mask" in case.mistake else masks
                given2, logits2 = self.forward(x - shift if "subtracted" in case.mistake else x + shift, masks2)
                error2 = softmax(logits2) - truth
                errors[1].append(error2)
                hidden[1].append(np.concatenate(given2[1:]))
                deltas = [a - b for a, b in zip(given[1:], given2[1:], strict=True)]
                deltas.append(error if "first error" in case.mistake else error2)
                inputs = given if "inputs of the first" in case.mistake else given2
            else:
                deltas, inputs = self.deltas(error, given), given
            for change, delta, inp in zip(changes, deltas, inputs, strict=True):
                change += np.outer(delta, inp)
        for i, change in enumerate(changes):
            step = case.rate * change / (1 if "sum over" in case.mistake else len(xs))
            momentum = 0.0 if case.mistake == "no momentum" else case.momentum
            self.velocity[i] = (momentum * self.velocity[i] + step).astype(case.dtype)
            self.weights[i] = (self.weights[i] - self.velocity[i]).astype(case.dtype)
        return errors, hidden

    def deltas(self, error: np.ndarray, given: list[np.ndarray]) -> list[np.ndarray]:
        """The error of each layer, first layer first, propagated back as the rule defines."""
        found = [error]
        for i in range(len(self.weights) - 1, 0, -1):
            if self.case.rule == "direct_feedback_alignment":
                sent = self.fixed[f"{i}.feedback.weight"] @ error
            elif self.case.rule == "feedback_alignment" and self.case.mistake != "true weights":
                sent = self.fixed[f"{i}.feedback.weight"] @ found[0]
            else:
                sent = self.weights[i].T @ found[0]
            found.insert(0, sent * self.slope(given[i]))
        return found

    def state(self) -> dict[str, np.ndarray]:
        """All parameters and fixed matrices, by the names of the trajectory."""
        return {**{f"{i}.linear.weight": w.copy() for i, w in enumerate(self.weights)}, **self.fixed}


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def record(case: Case) -> dict[str, np.ndarray]:
    """Train for a few steps and record everything."""
    network = PlainNetwork(case)
    random = np.random.default_rng(case.seed + 100)
    units = sum(case.sizes[1:-1])
    x = random.normal(size=(case.steps, case.batch, case.sizes[0])).astype(case.dtype)
    y = random.integers(case.sizes[-1], size=(case.steps, case.batch))
    mask = ((random.random((case.steps, case.batch, units)) < case.keep) / case.keep).astype(case.dtype)
    kept: dict[str, np.ndarray] = {f"init/{n}": v for n, v in network.state().items()}
    errors, hidden = [], []
    for t in range(case.steps):
        error, activity = network.learn(x[t], y[t], mask[t])
        errors.append(error)
        hidden.append(activity)
        if t == 0:
            kept |= {f"step1/{n}": v for n, v in network.state().items()}
    weights = {n: v for n, v in network.state().items() if "feedback" not in n}
    kept |= {f"final/{n}": v for n, v in weights.items()}
    error_array = np.array(errors, dtype=case.dtype)  # [T, passes, B, K]
    kept |= {"batch/x": x, "batch/y": y, "error": error_array, "hidden": np.array(hidden, dtype=case.dtype)}
    if case.keep < 1:
        kept["batch/mask"] = mask
    kept["loss"] = np.abs(error_array).sum(3).mean(2)
    if case.notebook:
        output = error_array[:, 0] + np.eye(case.sizes[-1])[y]
        kept["loss"] = -np.log(np.take_along_axis(softmax(output), y[..., None], 2)).mean(1).astype(case.dtype)
        side = case.sizes[0] // 3
        kept["batch/x"] = x.reshape(case.steps, case.batch, 3, 1, side)
    samples = random.normal(size=(5, case.sizes[0])).astype(case.dtype)
    ones = [np.ones(n, dtype=case.dtype) for n in case.sizes[1:-1]]
    logits = np.array([network.forward(s, ones)[1] for s in samples])
    shown = samples.reshape(5, *kept["batch/x"].shape[2:])
    kept |= {"eval/x": shown, "eval/y": np.zeros(5, dtype=np.int64)}
    kept |= {"eval/logits": logits, "eval/probabilities": softmax(logits)}
    kept["meta"] = np.array(json.dumps(meta(case)))
    return kept


def meta(case: Case) -> dict[str, object]:
    """The description of the case in the format of that code's trajectories."""
    names = [*[case.activation] * (len(case.sizes) - 2), "softmax"]
    pairs = zip(case.sizes[:-1], case.sizes[1:], names, strict=True)
    return {
        "peer": "GiorgiaD/PEPITA",
        "rule": case.rule,
        "error_transform": "sign" if case.sign else "identity",
        "classes": case.sizes[-1],
        "layers": [
            {"name": str(i), "kind": "linear", "in_features": a, "out_features": b, "bias": False, "activation": f}
            for i, (a, b, f) in enumerate(pairs)
        ],
        "optimizer": {"name": "sgd", "lr": case.rate, "momentum": case.momentum, "weight_decay": 0.0},
        "loss": "cross entropy with the softmax output as logits" if case.notebook else "sum of absolute errors",
        "schedule": "constant eta",
    }
