"""The networks of DeeperForward and CwComp in plain torch, with the keys of their recorded trajectories.

Imports nothing from ffprobe. Written from the formulas, float64, gradients by autograd; Adam, group and batch
normalization by hand. ``mistake`` introduces one error, to prove that a replay detects it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

Tensors = dict[str, torch.Tensor]


class Adam:
    """Adam for one layer's parameters, with weight decay: decoupled unless ``coupled``."""

    def __init__(self, decay: float = 0.0, coupled: bool = False) -> None:
        self.decay, self.coupled = decay, coupled
        self.count, self.first, self.second = 0, {}, {}  # type: ignore[var-annotated]

    def step(self, parameters: Tensors, gradients: Tensors, rate: float) -> None:
        """Change the parameters in place."""
        self.count += 1
        for name, gradient in gradients.items():
            value = parameters[name]
            if self.coupled:
                gradient = gradient + self.decay * value
            else:
                value -= rate * self.decay * value
            self.first[name] = 0.9 * self.first.get(name, 0.0) + 0.1 * gradient
            self.second[name] = 0.999 * self.second.get(name, 0.0) + 0.001 * gradient**2
            mean = self.first[name] / (1 - 0.9**self.count)
            root = (self.second[name] / (1 - 0.999**self.count)).sqrt()
            value -= rate * mean / (root + 1e-8)


def learn(state: Tensors, forward: Callable[[Tensors], tuple[Any, ...]]) -> tuple[tuple[Any, ...], Tensors]:
    """The values of ``forward``, the first of which is the loss, and the gradients of the layer's parameters."""
    leaves = {n: v.clone().requires_grad_() for n, v in state.items()}
    values = forward(leaves)
    gradients = torch.autograd.grad(values[0], list(leaves.values()))
    values = tuple(v.detach() for v in values)
    return values, dict(zip(leaves, gradients, strict=True))


def by_class(x: torch.Tensor, classes: int, power: int, interleaved: bool = False) -> torch.Tensor:
    """The mean over the channels of each class: ``[B, C, H, W]`` to ``[B, K]``."""
    size = x.shape[1] // classes
    groups = [x[:, k::classes] if interleaved else x[:, k * size : (k + 1) * size] for k in range(classes)]
    return torch.stack([(group**power).mean(dim=(1, 2, 3)) for group in groups], dim=1)


def deeperforward(
    layers: Sequence[dict[str, Any]],
    optimizer: str = "adamw",
    decay: float = 5e-4,
    classes: int = 4,
    shape: tuple[int, int, int] = (2, 8, 8),
    steps: int = 6,
    seed: int = 0,
    mistake: str = "",
) -> dict[str, np.ndarray]:
    """Train every layer alone, with a cosine schedule over three epochs of two steps each.

    ``layers`` sets out, kernel, stride, bias, avgpool, shortcut_in, shortcut_out where it is not 3, 1, False, 0, none.
    """
    random = torch.Generator().manual_seed(seed)
    full, weights, width, stored = [], [], shape[0], 0  # stored: channels of the shortcut
    for index, layer in enumerate(layers):
        kernel = layer.get("kernel", 3)
        entry = {
            "name": str(index),
            "kind": "conv2d",
            "in_channels": width,
            "out_channels": layer["out"],
            "kernel": kernel,
            "stride": layer.get("stride", 1),
            "padding": kernel // 2,
            "bias": layer.get("bias", False),
            "avgpool_before": layer.get("avgpool", 0),
            "shortcut_in": layer.get("shortcut_in", "none"),
            "shortcut_out": layer.get("shortcut_out", "none"),
        }
        own = {"conv.weight": normal(random, layer["out"], width, kernel, kernel) * (2 / (layer["out"] * 9)) ** 0.5}
        if entry["bias"]:
            own["conv.bias"] = normal(random, layer["out"]) * 0.1
        width = layer["out"] + (stored if entry["shortcut_in"] == "concat" else 0)
        stored = width if entry["shortcut_out"] != "none" else stored
        full.append(entry)
        weights.append(own)
    x, y = normal(random, steps, 8, *shape) + 0.5, torch.randint(classes, (steps, 8), generator=random)
    test, truth = normal(random, 12, *shape) + 0.5, torch.randint(classes, (12,), generator=random)
    kept = snapshot("init", weights)
    optimizers = [Adam(decay, mistake == "coupled decay") for _ in layers]
    losses, rates = np.zeros((steps, len(layers))), []

    def run(index: int, h: torch.Tensor, own: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
        entry = full[index]
        h = functional.avg_pool2d(h, 2) if entry["avgpool_before"] else h
        r = functional.conv2d(h, own["conv.weight"], own.get("conv.bias"), entry["stride"], entry["padding"]).relu()
        goodness = by_class(r, classes, 2 if mistake == "squared" else 1, mistake == "interleaved")
        groups = r.reshape(len(r), 1 if mistake == "one group" else classes, -1)
        spread = ((groups - groups.mean(2, keepdim=True)) ** 2).mean(2, keepdim=True)
        return goodness, ((groups - groups.mean(2, keepdim=True)) / (spread + 1e-5).sqrt()).reshape(r.shape)

    def join(index: int, out: torch.Tensor, s: Any) -> tuple[torch.Tensor, Any]:
        entry, before = full[index], out
        if entry["shortcut_in"] == "add":
            out = out + s
        elif entry["shortcut_in"] == "concat":
            out = torch.cat([out, s], dim=1)
        if entry["shortcut_out"] != "none":
            s = before if mistake == "stored before the addition" and before.shape == out.shape else out
            s = functional.avg_pool2d(s, 2) if entry["shortcut_out"] == "avgpool2" else s
        return out, s

    def standard(images: torch.Tensor) -> torch.Tensor:
        flat = images.flatten(1)
        flat = (flat - flat.mean(1, keepdim=True)) / (flat.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
        return images if mistake == "no layer norm on the input" else flat.view_as(images)

    for t in range(steps):
        low = 0.0 if mistake == "no floor" else 0.002
        rates.append(low + (0.02 - low) * (1 + math.cos(math.pi * (t // 2) / 3)) / 2)
        h, s = standard(x[t]), None
        for i, own in enumerate(weights):

            def objective(leaves: Tensors, i: int = i, h: torch.Tensor = h, t: int = t) -> tuple[Any, ...]:
                goodness, out = run(i, h, leaves)
                return functional.cross_entropy(goodness, y[t]), out

            (loss, out), gradients = learn(own, objective)
            losses[t, i] = loss
            if t == 0:
                kept |= {f"first_grad/{i}.{n}": g.numpy().copy() for n, g in gradients.items()}
            optimizers[i].step(own, gradients, rates[-1])
            if mistake == "passed on after the update":
                out = run(i, h, own)[1]
            h, s = join(i, out, s)
        if t == 0:
            kept |= snapshot("step1", weights)
    h, s, goodness = standard(test), None, []
    for i, own in enumerate(weights):
        g, out = run(i, h, own)
        goodness.append(g.numpy())
        h, s = join(i, out, s)
    tried = [
        (int((sum(goodness[a : b + 1]).argmax(1) == truth.numpy()).sum()), a, b)  # type: ignore[attr-defined]
        for b in range(len(layers))
        for a in range(b + 1)
    ]
    right, start, end = max(tried, key=lambda result: result[0])  # the first of the best
    meta = {
        "peer": "BasitHussain5/project_1",
        "method": "DeeperForward",
        "classes": classes,
        "layers": full,
        "input_normalizer": {"name": "layernorm", "affine": False, "eps": 1e-5},
        "normalizer": {"name": "groupnorm", "groups": classes, "affine": False, "eps": 1e-5},
        "goodness": {"name": "group_mean"},
        "loss": {"name": "cross_entropy"},
        "optimizer": {"name": optimizer, "lr": 0.02, "weight_decay": decay},
        "schedule": {"name": "cosine", "t_max_epochs": 3, "lr_min": 0.002, "epoch_length": 2},
        "prediction": {"default_start": 1, "default_end": len(layers) - 1},
    }
    found = {"eval/x": test, "eval/y": truth, "batch/x": x, "batch/y": y}
    kept |= {key: value.numpy() for key, value in found.items()}
    kept |= {"loss": losses, "lr": np.array(rates), "eval/goodness": np.stack(goodness)}
    kept |= {"eval/logits": sum(goodness[1:]), "eval/prune_start": np.array(start), "eval/prune_end": np.array(end)}
    kept |= {"eval/prune_accuracy": np.array(right / 12), **snapshot("final", weights)}
    return {**kept, "meta": np.array(json.dumps(meta))}


def cwcomp(
    widths: tuple[int, ...] = (6, 12, 6, 18),
    loss: str = "CwC",
    windows: tuple[tuple[int, int], ...] = ((0, 4), (0, 9), (0, 9), (0, 9)),
    divisors: tuple[int, ...] = (1, 1, 1, 1),
    split: bool = True,
    classes: int = 6,
    head_from: int = 0,
    epochs: tuple[int, ...] = (0, 0, 1, 3, 4, 5),
    seed: int = 0,
    mistake: str = "",
) -> dict[str, np.ndarray]:
    """CFSE (``split``) or FFCNN with windows, class groups and head."""
    random = torch.Generator().manual_seed(seed)
    steps, batch, shape = len(epochs), 7, (2, 8, 8)
    counts = [classes // d for d in divisors]
    groups = [counts[i] if split and i % 2 else 1 for i in range(len(widths))]
    inputs = (shape[0], *widths)
    weights, running = [], []
    for i, width in enumerate(widths):
        weights.append(
            {
                "conv.weight": normal(random, width, inputs[i] // groups[i], 3, 3) * 0.3,
                "conv.bias": normal(random, width) * 0.1,
                "normalizer.weight": 1 + normal(random, width) * 0.1,
                "normalizer.bias": normal(random, width) * 0.1,
            }
        )
        running.append({"running_mean": torch.zeros(width).double(), "running_var": torch.ones(width).double()})
    side = 8 // 2 ** (len(widths) // 2)
    head = {"weight": normal(random, classes, widths[-1] * side**2) * 0.1, "bias": normal(random, classes) * 0.1}
    x, y = normal(random, steps, batch, *shape), torch.randint(classes, (steps, batch), generator=random)
    test = normal(random, 5, *shape)

    def state(prefix: str) -> dict[str, np.ndarray]:
        found = {**snapshot(prefix, weights), **statistics(prefix)}
        return found | {f"{prefix}/head.{n}": v.numpy().copy() for n, v in head.items()}

    def statistics(prefix: str) -> dict[str, np.ndarray]:
        return {f"{prefix}/{i}.normalizer.{n}": v.numpy().copy() for i, r in enumerate(running) for n, v in r.items()}

    def run(i: int, h: torch.Tensor, own: Tensors, training: bool = True) -> torch.Tensor:
        z = functional.conv2d(h, own["conv.weight"], own["conv.bias"], padding=1, groups=groups[i]).relu()
        z = functional.max_pool2d(z, 2) if i % 2 else z
        mean, spread = running[i]["running_mean"], running[i]["running_var"]
        if training:
            mean, spread = z.mean(dim=(0, 2, 3)), z.var(dim=(0, 2, 3), correction=0)
            many = z.numel() / z.shape[1]
            running[i]["running_mean"] = 0.9 * running[i]["running_mean"] + 0.1 * mean.detach()
            unbiased = spread.detach() * many / (many - 1)
            running[i]["running_var"] = 0.9 * running[i]["running_var"] + 0.1 * unbiased
        epsilon = 1e-5 if mistake == "epsilon of 1e-5" else 1e-4
        z = (z - mean[:, None, None]) / (spread[:, None, None] + epsilon).sqrt()
        return z * own["normalizer.weight"][:, None, None] + own["normalizer.bias"][:, None, None]

    def read(out: torch.Tensor, i: int) -> torch.Tensor:
        return by_class(out.relu() if mistake == "relu before goodness" else out, counts[i], 2)

    def objective(g: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        rows = torch.arange(len(g))
        true = g[rows, target]
        competing = -torch.log_softmax(g, 1)[rows, target].mean()
        wrong = (g.sum(1) - true) / (g.shape[1] - 1)
        if mistake == "wrong goodness over all classes":
            wrong = g.mean(1)
        apart = torch.cat([torch.log1p((2 - true).exp()), torch.log1p((wrong - 2).exp())]).mean()
        held = g.clamp(-50, 50)
        cwc = -torch.log((held[rows, target].exp() + 1e-9) / (held.exp().sum(1) + 1e-9)).mean()
        share = 0.5 if mistake == "half and half" else 0.28
        return {"CwC": cwc, "CwC_CE": competing, "PvN": apart, "CWG": share * competing + (1 - share) * apart}[loss]

    kept = state("init")
    optimizers = [Adam() for _ in widths]
    losses, updated = np.zeros((steps, len(widths))), np.zeros((steps, len(widths)), dtype=bool)
    goodness, head_loss = np.zeros((steps, len(widths), batch, classes)), np.zeros(steps)
    average, soft = [], []
    for t, epoch in enumerate(epochs):
        h = x[t]
        for i, own in enumerate(weights):
            if not windows[i][0] <= epoch < windows[i][1]:
                if mistake != "idle layers keep their statistics":
                    h = run(i, h, own)
                else:
                    saved = dict(running[i])
                    h = run(i, h, own)
                    running[i].update(saved)
                continue
            target = y[t] % counts[i] if mistake == "labels taken modulo" else y[t] // divisors[i]

            def local(leaves: Tensors, i: int = i, h: torch.Tensor = h, target: torch.Tensor = target) -> Any:
                out = run(i, h, leaves)
                g = read(out, i)
                return objective(g, target), out, g

            (value, out, g), gradients = learn(own, local)
            if not any(updated[:, i]):
                kept |= {f"first_grad/{i}.{n}": v.numpy().copy() for n, v in gradients.items()}
            losses[t, i], updated[t, i] = value, True
            goodness[t, i, :, : counts[i]] = g
            optimizers[i].step(own, gradients, 0.01)
            h = out
        if epoch >= head_from:

            def softmax_head(leaves: Tensors, h: torch.Tensor = h, t: int = t) -> tuple[Any, ...]:
                logits = h.flatten(1) @ leaves["weight"].T + leaves["bias"]
                twice = logits if mistake == "softmax once" else logits.softmax(1)
                return (-torch.log_softmax(twice, 1)[torch.arange(batch), y[t]].mean(),)

            (value,), gradients = learn(head, softmax_head)
            head_loss[t] = value
            if "first_grad/head.weight" not in kept:
                kept |= {f"first_grad/head.{n}": v.numpy().copy() for n, v in gradients.items()}
            for name, gradient in gradients.items():
                head[name] -= 0.01 * gradient
        if t == 0:
            kept |= statistics("train_only_step1")
        h = x[t]
        for i, own in enumerate(weights):
            h = run(i, h, own, training=mistake != "no second pass")
        average.append(read(h, len(widths) - 1).argmax(1).numpy())
        soft.append((h.flatten(1) @ head["weight"].T + head["bias"]).argmax(1).numpy())
        if t == 0:
            kept |= state("step1")
    h, evaluated = test, np.zeros((len(widths), len(test), classes))
    for i, own in enumerate(weights):
        h = run(i, h, own, training=False)
        evaluated[i, :, : counts[i]] = read(h, i)
    constants = {"CwC": {"eps": 1e-9, "clamp": 50}, "PvN": {"tau": 2.0}, "CWG": {"w": 0.28, "tau": 2.0}}
    meta = {
        "peer": "andreaspapac/CwComp",
        "classes": classes,
        "layers": [
            {
                "name": str(i),
                "kind": "conv2d",
                "in_channels": inputs[i],
                "out_channels": width,
                "kernel": 3,
                "stride": 1,
                "padding": 1,
                "groups": groups[i],
                "bias": True,
                "maxpool": 2 if i % 2 else 0,
                "classes": counts[i],
                "label_divisor": divisors[i],
                "epochs_from": windows[i][0],
                "epochs_to_exclusive": windows[i][1],
            }
            for i, width in enumerate(widths)
        ],
        "normalizer": {"name": "batchnorm2d", "eps": 1e-4},
        "loss": {"name": loss, "constants": constants.get(loss, {})},
        "optimizer": {"name": "adam", "lr": 0.01, "weight_decay": 0.0},
        "head": {"epochs_from": head_from, "optimizer": {"lr": 0.01, "momentum": 0.0, "weight_decay": 0.0}},
        "noise_parameters": [],
    }
    kept |= {"loss": losses, "updated": updated, "goodness": goodness, "head_loss": head_loss}
    kept |= {"head_updated": np.array(epochs) >= head_from, "batch/epoch": np.array(epochs)}
    kept |= {"train_prediction/avg": np.stack(average), "train_prediction/softmax": np.stack(soft)}
    kept |= {"batch/x": x.numpy(), "batch/y": y.numpy(), "batch/y_neg": y.numpy(), "eval/x": test.numpy()}
    kept |= {"eval/y": y.numpy()[0, :5], "eval/goodness": evaluated, **state("final")}
    kept["eval/probabilities"] = (h.flatten(1) @ head["weight"].T + head["bias"]).softmax(1).numpy()
    return {**kept, "meta": np.array(json.dumps(meta))}


def normal(random: torch.Generator, *shape: int) -> torch.Tensor:
    """Samples from N(0, 1), float64."""
    return torch.randn(*shape, generator=random, dtype=torch.float64)


def snapshot(prefix: str, weights: list[Tensors]) -> dict[str, np.ndarray]:
    """The parameters of every layer, by their recorded names."""
    return {f"{prefix}/{i}.{n}": v.numpy().copy() for i, own in enumerate(weights) for n, v in own.items()}
