"""The networks of mohammadpz/pytorch_forward_forward and loeweX/Forward-Forward, written plainly from descriptions.

Imports nothing from ffprobe. Float64; gradients by autograd, everything else by hand. ``mistake`` introduces one error.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import torch


def pezeshki(
    sizes: tuple[int, ...] = (20, 12, 9, 7), classes: int = 4, each: int = 15, seed: int = 0, mistake: str = ""
) -> dict[str, np.ndarray]:
    """Train the layers one after another on the full batch, with Adam at 0.03 and threshold 1.5."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(10, sizes[0], generator=random, dtype=torch.float64)
    y = torch.randint(classes, (10,), generator=random)
    wrong = (y + torch.randint(1, classes, (10,), generator=random)) % classes
    weights, biases = _layers(sizes, random)
    kept = _state("init", weights, biases)

    def overlay(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        found = images.clone()
        found[:, :classes] = 0
        top = images.amax(1) if mistake == "own maximum" else images.max()
        found[torch.arange(len(images)), labels] = top
        return found

    def layer(i: int, h: torch.Tensor) -> torch.Tensor:
        length = (h**2).sum(1, keepdim=True).sqrt() + (0 if mistake == "no epsilon" else 1e-4)
        return torch.relu(h / length @ weights[i].T + biases[i])

    good, bad = overlay(x, y), overlay(x, wrong)
    for i in range(len(weights)):
        moments = [[torch.zeros_like(p), torch.zeros_like(p)] for p in (weights[i], biases[i])]
        for k in range(1, each + 1):
            parameters = [p.requires_grad_() for p in (weights[i], biases[i])]
            gaps = torch.cat([1.5 - (layer(i, good) ** 2).mean(1), (layer(i, bad) ** 2).mean(1) - 1.5])
            gradients = torch.autograd.grad(torch.log1p(gaps.exp()).mean(), parameters)
            for p, g, m in zip(parameters, gradients, moments, strict=True):
                p.requires_grad_(False)
                m[0] = 0.9 * m[0] + 0.1 * g
                m[1] = 0.999 * m[1] + 0.001 * g**2
                p -= 0.03 * (m[0] / (1 - 0.9**k)) / ((m[1] / (1 - 0.999**k)).sqrt() + 1e-8)
        good, bad = layer(i, good), layer(i, bad)
    goodness = np.zeros((classes, len(weights), len(x)))
    for label in range(classes):
        h = overlay(x, torch.full((len(x),), label))
        for i in range(len(weights)):
            h = layer(i, h)
            goodness[label, i] = (h**2).mean(1).numpy()
    meta = {
        "peer": "mohammadpz/pytorch_forward_forward",
        "layers": [{"kind": "linear", "out_features": n, "bias": True} for n in sizes[1:]],
        "classes": classes,
        "loss": "fixed_threshold",
        "tau": 1.5,
        "steps_per_layer": each,
        "optimizer": {"name": "adam", "lr": 0.03},
    }
    kept |= {"batch/x": x.numpy(), "batch/y_pos": y.numpy(), "batch/y_neg": wrong.numpy()}
    kept |= {"eval/x": x.numpy(), "eval/goodness": goodness, **_state("final", weights, biases)}
    return {**kept, "meta": np.array(json.dumps(meta))}


def loewe(
    widths: tuple[int, ...] = (9, 12, 7), classes: int = 5, steps: int = 9, seed: int = 0, mistake: str = ""
) -> dict[str, np.ndarray]:
    """Train with SGD on the sum of the layers' losses with peer normalization, and a head on the neutral input."""
    random = torch.Generator().manual_seed(seed)
    shape, batch = (2, 4, 4), 6
    sizes = (32, *widths)
    weights, biases = _layers(sizes, random)
    head = torch.randn(classes, sum(widths[1:]), generator=random, dtype=torch.float64) * 0.1
    kept = {**_state("init", weights, biases), "init/head.weight": head.numpy().copy()}
    x = torch.randn(steps, batch, *shape, generator=random, dtype=torch.float64)
    y = torch.randint(classes, (steps, batch), generator=random)
    wrong = (y + torch.randint(1, classes, (steps, batch), generator=random)) % classes
    rates = {"lr": 0.01, "momentum": 0.8, "weight_decay": 0.02}
    head_rates = {"lr": 0.05, "momentum": 0.7, "weight_decay": 0.1}
    velocity: dict[str, torch.Tensor] = {}
    running = [torch.full((n,), 0.5, dtype=torch.float64) for n in widths]
    history: dict[str, list[Any]] = {"loss": [], "peer_loss": [], "head_loss": []}

    def sgd(name: str, value: torch.Tensor, gradient: torch.Tensor, how: dict[str, float]) -> None:
        gradient = gradient + (0 if mistake == "no weight decay" else how["weight_decay"]) * value
        velocity[name] = how["momentum"] * velocity[name] + gradient if name in velocity else gradient
        value -= how["lr"] * velocity[name]

    def rms(h: torch.Tensor) -> torch.Tensor:
        return h / ((h**2).mean(1, keepdim=True).sqrt() + 1e-8)

    def overlay(images: torch.Tensor, labels: Any) -> torch.Tensor:
        # the first pixels of every channel
        found = images.flatten(2).clone()
        one_hot = torch.eye(classes, dtype=torch.float64)
        share = torch.full_like(one_hot[:1], 1 / classes) if labels is None else one_hot[labels]
        found[:, :, :classes] = share[:, None]
        return found.flatten(1)

    for t in range(steps):
        h, features = rms(overlay(x[t], None)), []
        for i in range(len(widths)):
            h = rms(torch.relu(h @ weights[i].T + biases[i]))
            if i > 0:
                features.append(h)
        feature = torch.cat(features, 1)
        head.requires_grad_()
        chosen = torch.log_softmax(feature @ head.T, 1)[torch.arange(batch), y[t]]
        head_loss = -chosen.mean()
        (gradient,) = torch.autograd.grad(head_loss, head)
        head.requires_grad_(False)
        sgd("head", head, gradient, head_rates)
        h = rms(overlay(torch.cat([x[t], x[t]]), torch.cat([y[t], wrong[t]])))
        losses, peer = [], 0.0
        updates = []
        for i, width in enumerate(widths):
            z = h @ weights[i].T + biases[i]
            a = torch.relu(z)
            leaf = a.detach().requires_grad_()  # the derivative of the activation is left out: dL/dz = dL/da
            logits = (leaf**2).sum(1) - width
            own = torch.nn.functional.softplus(torch.cat([-logits[:batch], logits[batch:]])).mean()
            mean = 0.9 * running[i] + 0.1 * leaf[:batch].mean(0)
            extra = ((mean.mean() - mean) ** 2).mean()
            running[i] = mean.detach()
            weight = 0.0 if mistake == "no peer normalization" else 0.3
            (delta,) = torch.autograd.grad(own + weight * extra, leaf)
            delta = delta * (z > 0) if mistake == "plain relu" else delta
            updates.append((delta.T @ h, delta.sum(0)))
            losses.append(own.item())
            peer += extra.item()
            h = rms(a)
        for i, (dw, db) in enumerate(updates):
            sgd(f"{i}.w", weights[i], dw, rates)
            sgd(f"{i}.b", biases[i], db, rates)
        for key, value in zip(history, (losses, peer, head_loss.item()), strict=True):
            history[key].append(value)
    meta = {
        "peer": "loeweX/Forward-Forward",
        "layers": [{"kind": "linear", "out_features": n, "bias": True} for n in widths],
        "image": list(shape),
        "classes": classes,
        "regularizer": {"name": "peer_normalization", "weight": 0.3, "momentum": 0.9},
        "optimizer": {"name": "sgd", **rates},
        "head": {"optimizer": head_rates},
    }
    kept |= {"batch/x": x.numpy(), "batch/y_pos": y.numpy(), "batch/y_neg": wrong.numpy()}
    kept |= {key: np.array(value) for key, value in history.items()}
    kept |= {**_state("final", weights, biases), "final/head.weight": head.numpy()}
    return {**kept, "meta": np.array(json.dumps(meta))}


def _layers(sizes: tuple[int, ...], random: torch.Generator) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    weights, biases = [], []
    for a, b in itertools.pairwise(sizes):
        weights.append(torch.randn(b, a, generator=random, dtype=torch.float64) * a**-0.5)
        biases.append(torch.randn(b, generator=random, dtype=torch.float64) * 0.1)
    return weights, biases


def _state(prefix: str, weights: list[torch.Tensor], biases: list[torch.Tensor]) -> dict[str, np.ndarray]:
    found = {f"{prefix}/{i}.linear.weight": w.detach().numpy().copy() for i, w in enumerate(weights)}
    return found | {f"{prefix}/{i}.linear.bias": b.detach().numpy().copy() for i, b in enumerate(biases)}
