"""Forward-Forward written plainly from the formulas, as a reference for ffprobe; imports nothing from ffprobe.

Channels first, pooling after ReLU, Adam by hand, one layer after the other, as a reader would write it from the papers
(Hinton 2022; Lee & Song 2023; Dooms et al. 2023, App. A and F). Run this file to record the trajectories that the
tests replay.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

HERE = Path(__file__).parent / "trajectories"


@dataclass(frozen=True)
class Case:
    """One method on one small network; the names are those of the trajectory format."""

    name: str
    image: tuple[int, int, int]
    layers: tuple[tuple[str, int, bool], ...]  # (conv3x3 or linear, width, maxpool)
    classes: int
    loss: str
    normalizer: str
    scheduler: str
    goodness: str = "mean_square"
    encoder: str = "channel"
    encoder_learned: bool = False
    tau: float | None = None
    alpha: float | None = None
    steps: int = 6
    batch: int = 6
    rate: float = 1e-3
    seed: int = 0


CONV = (("conv3x3", 5, True), ("conv3x3", 6, False), ("conv3x3", 7, True))
LINEAR = (("linear", 9, False), ("linear", 8, False), ("linear", 7, False), ("linear", 6, False))
CASES = (
    Case("symba-batchnorm-olu", (3, 8, 8), CONV, 4, "symba", "batchnorm", "olu", encoder_learned=True, alpha=4.0),
    Case(
        "symba-batchnorm-olu-even", (1, 9, 7), CONV[:2], 3, "symba", "batchnorm", "olu", encoder_learned=True, alpha=6.0
    ),
    Case("threshold-length-greedy", (1, 8, 8), CONV, 5, "fixed_threshold", "length", "greedy", tau=2.0),
    Case("threshold-rms-greedy-linear", (1, 6, 6), LINEAR, 10, "fixed_threshold", "rms", "greedy", tau=1.5),
    Case("symba-layernorm-greedy", (2, 8, 8), CONV, 4, "symba", "torch_layernorm", "greedy", alpha=4.0),
    Case("threshold-none-sum", (1, 8, 8), CONV, 3, "fixed_threshold", "none", "greedy", "sum_square", tau=3.0),
    Case(
        "symba-batchnorm-overlay-linear",
        (1, 5, 5),
        LINEAR,
        4,
        "symba",
        "batchnorm",
        "olu",
        encoder="overlay",
        alpha=4.0,
    ),
)


def adam(value: torch.Tensor, gradient: torch.Tensor, state: dict[str, Any], rate: float) -> None:
    """One step of Adam (Kingma & Ba 2015, Alg. 1) with betas 0.9 and 0.999 and epsilon 1e-8, in place."""
    state["k"] = state.get("k", 0) + 1
    state["m"] = 0.9 * state.get("m", torch.zeros_like(value)) + 0.1 * gradient
    state["v"] = 0.999 * state.get("v", torch.zeros_like(value)) + 0.001 * gradient**2
    mean = state["m"] / (1 - 0.9 ** state["k"])
    square = state["v"] / (1 - 0.999 ** state["k"])
    value -= rate * mean / (square.sqrt() + 1e-8)


class PlainNetwork:
    """The parameters by name, and the computation of each layer."""

    def __init__(self, case: Case) -> None:
        self.case = case
        generator = torch.Generator().manual_seed(case.seed)
        channels, height, width = case.image
        self.values: dict[str, torch.Tensor] = {}
        if case.encoder == "channel":
            embedding = torch.randn(case.classes, height * width, generator=generator, dtype=torch.float64)
            self.values["encoder.embedding"] = embedding
            channels += 1
        shape: tuple[int, ...] = (channels, height, width)
        for i, (kind, size, pool) in enumerate(case.layers):
            if kind == "linear" and len(shape) == 3:
                shape = (shape[0] * shape[1] * shape[2],)
            if case.normalizer == "batchnorm":
                self.values[f"{i}.normalizer.weight"] = torch.ones(shape[0], dtype=torch.float64)
                self.values[f"{i}.normalizer.bias"] = torch.zeros(shape[0], dtype=torch.float64)
                self.values[f"{i}.normalizer.running_mean"] = torch.zeros(shape[0], dtype=torch.float64)
                self.values[f"{i}.normalizer.running_var"] = torch.ones(shape[0], dtype=torch.float64)
            if case.normalizer == "torch_layernorm":
                self.values[f"{i}.normalizer.weight"] = torch.ones(shape, dtype=torch.float64)
                self.values[f"{i}.normalizer.bias"] = torch.zeros(shape, dtype=torch.float64)
            inputs = (shape[0], 3, 3) if kind == "conv3x3" else (shape[0],)
            bound = 1 / np.sqrt(np.prod(inputs))
            weight = torch.rand(size, *inputs, generator=generator, dtype=torch.float64)
            self.values[f"{i}.{'conv' if kind == 'conv3x3' else 'linear'}.weight"] = (2 * weight - 1) * bound
            if kind == "conv3x3":
                side = 2 if pool else 1
                shape = (size, shape[1] // side, shape[2] // side)
            else:
                shape = (size,)

    def encode(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        case = self.case
        if case.encoder == "channel":
            picture = self.values["encoder.embedding"][labels].view(-1, 1, *case.image[1:])
            return torch.cat([x, picture], dim=1)
        flat = x.flatten(1).clone()
        flat[:, : case.classes] = 0
        flat[torch.arange(len(x)), labels] = x.flatten(1).max(dim=1).values
        return flat.view_as(x)

    def normalize(self, i: int, x: torch.Tensor, training: bool) -> torch.Tensor:
        kind, v = self.case.normalizer, self.values
        dims = tuple(range(1, x.dim()))
        if kind == "none":
            return x
        if kind == "length":
            return x / (x.square().sum(dims, keepdim=True).sqrt() + 1e-4)
        if kind == "rms":
            return x / (x.square().mean(dims, keepdim=True).sqrt() + 1e-8)
        if kind == "torch_layernorm":
            mean = x.mean(dims, keepdim=True)
            spread = (x - mean).square().mean(dims, keepdim=True)
            return (x - mean) / (spread + 1e-5).sqrt() * v[f"{i}.normalizer.weight"] + v[f"{i}.normalizer.bias"]
        over = (0, *dims[1:])
        column = (1, -1, *([1] * (x.dim() - 2)))
        if training:
            mean, variance = x.mean(over), x.var(over, unbiased=False)
            count = x.numel() / x.shape[1]
            with torch.no_grad():
                v[f"{i}.normalizer.running_mean"].mul_(0.9).add_(0.1 * mean)
                v[f"{i}.normalizer.running_var"].mul_(0.9).add_(0.1 * variance * count / (count - 1))
        else:
            mean, variance = v[f"{i}.normalizer.running_mean"], v[f"{i}.normalizer.running_var"]
        x = (x - mean.view(column)) / (variance.view(column) + 1e-5).sqrt()
        return x * v[f"{i}.normalizer.weight"].view(column) + v[f"{i}.normalizer.bias"].view(column)

    def layer(self, i: int, x: torch.Tensor, training: bool) -> torch.Tensor:
        kind, _, pool = self.case.layers[i]
        if kind == "linear":
            return (self.normalize(i, x.flatten(1), training) @ self.values[f"{i}.linear.weight"].T).relu()
        x = functional.conv2d(self.normalize(i, x, training), self.values[f"{i}.conv.weight"], padding=1).relu()
        return functional.max_pool2d(x, 2) if pool else x

    def goodness(self, h: torch.Tensor) -> torch.Tensor:
        squares = h.flatten(1) ** 2
        return squares.mean(1) if self.case.goodness == "mean_square" else squares.sum(1)

    def loss(self, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
        if self.case.loss == "symba":
            return torch.log1p(torch.exp(-self.case.alpha * (positive - negative))).mean()
        tau = self.case.tau
        parts = torch.log1p(torch.exp(tau - positive)), torch.log1p(torch.exp(negative - tau))
        return torch.cat(parts).mean()

    def learned(self, i: int) -> list[str]:
        """The parameters of the layer with index i; the embedding belongs to the first layer."""
        own = [n for n in self.values if n.startswith(f"{i}.") and "running" not in n]
        return own + (["encoder.embedding"] if i == 0 and self.case.encoder_learned else [])


def record(case: Case) -> dict[str, np.ndarray]:
    """Train for a few steps and record everything."""
    network = PlainNetwork(case)
    depth = len(case.layers)
    generator = torch.Generator().manual_seed(case.seed + 1)
    x = torch.randn(case.steps, case.batch, *case.image, generator=generator, dtype=torch.float64)
    positive = torch.randint(case.classes, (case.steps, case.batch), generator=generator)
    shift = torch.randint(1, case.classes, (case.steps, case.batch), generator=generator)
    negative = (positive + shift) % case.classes
    kept = {f"init/{n}": v.numpy().copy() for n, v in network.values.items()}
    history = {k: np.full((case.steps, depth), np.nan) for k in ("loss", "goodness_pos", "goodness_neg")}
    moments: dict[tuple[int, str], dict[str, Any]] = {}
    for t in range(case.steps):
        h = network.encode(torch.cat([x[t], x[t]]), torch.cat([positive[t], negative[t]]))
        tracked: list[str] = []  # parameters in the graph that reaches h
        for i in range(depth):
            has_loss = case.scheduler == "greedy" or (i % 2 == 0) != (t % 2 == 0)
            own = network.learned(i)
            for n in own:
                network.values[n].requires_grad_(True)
            if i == 0 and "encoder.embedding" in own:  # the label channel with its graph
                h = network.encode(torch.cat([x[t], x[t]]), torch.cat([positive[t], negative[t]]))
            h = network.layer(i, h, training=True)
            if has_loss:
                g = network.goodness(h)
                loss = network.loss(g[: case.batch], g[case.batch :])
                # this loss also updates the layer before, but not the embedding, unless it is the first layer's loss
                names = own + [n for n in tracked if n != "encoder.embedding"]
                gradients = torch.autograd.grad(loss, [network.values[n] for n in names])
                history["loss"][t, i] = loss.item()
                history["goodness_pos"][t, i] = g[: case.batch].mean().item()
                history["goodness_neg"][t, i] = g[case.batch :].mean().item()
                h = h.detach()
                for n in {*names, *tracked}:
                    network.values[n].requires_grad_(False)
                for n, gradient in zip(names, gradients, strict=True):
                    adam(network.values[n], gradient, moments.setdefault((i, n), {}), case.rate)
                tracked = []
            else:
                tracked = own
        for value in network.values.values():
            value.requires_grad_(False)
    samples = torch.randn(5, *case.image, generator=generator, dtype=torch.float64)
    goodness = np.zeros((case.classes, depth, len(samples)))
    for k in range(case.classes):
        h = network.encode(samples, torch.full((len(samples),), k))
        for i in range(depth):
            h = network.layer(i, h, training=False)
            goodness[k, i] = network.goodness(h).numpy()
    kept |= {f"final/{n}": v.numpy().copy() for n, v in network.values.items()}
    kept |= {"batch/x": x.numpy(), "batch/y_pos": positive.numpy(), "batch/y_neg": negative.numpy()}
    kept |= {"eval/x": samples.numpy(), "eval/goodness": goodness, **history}
    kept["meta"] = np.array(json.dumps(meta(case)))
    return kept


def meta(case: Case) -> dict[str, object]:
    """The description of the case in the trajectory format."""
    layers = [
        {"kind": kind, "out_channels": size, "maxpool": pool}
        if kind == "conv3x3"
        else {"kind": kind, "out_features": size}
        for kind, size, pool in case.layers
    ]
    return {
        "peer": "ffprobe tests/reference/plain_forward_forward.py",
        "layers": layers,
        "image": list(case.image),
        "classes": case.classes,
        "loss": case.loss,
        "tau": case.tau,
        "alpha": case.alpha,
        "normalizer": case.normalizer,
        "scheduler": case.scheduler,
        "encoder": case.encoder,
        "encoder_learned": case.encoder_learned if case.encoder == "channel" else None,
        "goodness": case.goodness,
        "optimizer": {"name": "adam", "lr": case.rate},
    }


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for one in CASES:
        np.savez_compressed(HERE / f"{one.name}.npz", **record(one))
