"""The training of anokland/local-loss, written plainly from a description of its arithmetic.

Imports nothing from ffprobe. Float64; gradients by autograd, everything else by hand. ``mistake`` introduces one error.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

Tensors = dict[str, torch.Tensor]

SLOPE = 0.01
LENGTH = 3  # steps per epoch


def local_loss(
    kind: str = "predsim",
    *,
    conv: bool = True,
    image: tuple[int, ...] = (3, 6, 6),
    widths: tuple[int, ...] = (5, 6),
    units: tuple[int, ...] = (7,),
    pools: tuple[int, ...] = (2, 0),
    decoder: int = 40,
    beta: float = 0.99,
    alpha: float = 0.0,
    unsupervised: str = "none",
    bio: bool = False,
    detach: bool = True,
    normalized: bool = True,
    adam: bool = False,
    slope: float = SLOPE,
    rate: float = 0.05,
    decay: float = 1e-3,
    classes: int = 4,
    steps: int = 9,
    batch: int = 6,
    seed: int = 0,
    mistake: str = "",
) -> dict[str, np.ndarray]:
    """A trajectory; ``kind`` is backprop, pred, sim or predsim."""
    random = torch.Generator().manual_seed(seed)
    terms = {"pred": {"pred": 1.0}, "sim": {"sim": 1.0}, "predsim": {"pred": 1 - beta, "sim": beta}}.get(kind, {})
    blocks = _blocks(image, widths if conv else (), units, pools, decoder)
    scale = 1 - beta if kind == "predsim" else 1.0
    p = _start(blocks, terms, bio, unsupervised, normalized, kind == "backprop", classes, random)
    fixed = {name for name in p if name.endswith(("running_mean", "running_var", "feedback", "projection.weight"))}
    x = torch.randn(steps, batch, *image, generator=random, dtype=torch.float64)
    y = torch.randint(classes, (steps, batch), generator=random)
    test = torch.randn(5, *image, generator=random, dtype=torch.float64)
    kept = {f"init/{name}": value.numpy().copy() for name, value in p.items()}
    history: dict[str, list[Any]] = {k: [] for k in ("loss", "global_loss", "logits", "lr", "eval/logits")}
    moments: dict[str, Any] = {}
    first: dict[str, np.ndarray] = {}

    def update(names: list[str], gradients: Any, lr: float) -> None:
        for name, g in zip(names, gradients, strict=True):
            if g is None:
                continue
            first.setdefault(f"first_grad/{name}", g.numpy().copy())
            value = p[name].data
            if adam:
                m, v, k = moments.get(name, (0.0, 0.0, 0))
                m, v, k = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2, k + 1
                moments[name] = (m, v, k)
                value -= lr * (m / (1 - 0.9**k)) / ((v / (1 - 0.999**k)).sqrt() + 1e-8)
            else:
                g = g + (0 if mistake == "no weight decay" else decay) * value
                moments[name] = 0.9 * moments[name] + g if name in moments else g
                value -= lr * moments[name]

    def block(i: int, h: torch.Tensor, training: bool) -> torch.Tensor:
        one = blocks[i]
        if "side" in one:
            z = torch.nn.functional.conv2d(h, p[f"{i}.conv.weight"], p[f"{i}.conv.bias"], padding=1)
        else:
            z = h @ p[f"{i}.linear.weight"].T + p[f"{i}.linear.bias"]
        if normalized:
            z = _batchnorm(z, p, f"{i}.normalizer.", training)
        return torch.where(z > 0, z, slope * z)

    def below(i: int, h: torch.Tensor) -> torch.Tensor:
        # the input of the block after i
        if blocks[i]["pool"]:
            h = torch.nn.functional.max_pool2d(h, 2)
        return h.flatten(1) if i + 1 == len(blocks) or "side" not in blocks[i + 1] else h

    def local(i: int, h: torch.Tensor, given: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        one, hot = blocks[i], torch.eye(classes, dtype=torch.float64)[labels]
        pooled = _average(h, one, mistake) if "side" in one else h
        supervised = torch.zeros((), dtype=torch.float64)
        if "pred" in terms and bio:
            d, b, back = (p[f"{i}.head.{n}"] for n in ("weight", "bias", "feedback"))
            flat = pooled.flatten(1)
            z = (flat @ d.T + b).detach()
            bits = (hot @ p[f"{i}.target_projection.weight"].T > 0).double()
            slope_z = (torch.sigmoid(z) - bits) / z.numel()
            if mistake == "slope at 0":
                slope_z = torch.where(z == 0, 0.0 * bits - bits / z.numel(), slope_z)
            # the gradients of D and d are the usual ones; that of the block passes through the fixed matrix
            through = d.detach() if mistake == "true weights" else back
            carrier = (flat.detach() @ d.T + b + flat @ through.T) * slope_z
            value = (torch.log1p(torch.exp(-z.abs())) + z.clamp(min=0) - z * bits).mean()
            supervised = supervised + terms["pred"] * (value + carrier.sum() - carrier.sum().detach())
        elif "pred" in terms:
            z = pooled.flatten(1) @ p[f"{i}.head.weight"].T + p[f"{i}.head.bias"]
            supervised = supervised - terms["pred"] * torch.log_softmax(z, 1)[torch.arange(batch), labels].mean()
        own = None
        if "sim" in terms or unsupervised == "sim":
            own = pooled if bio else _similarity_map(h, p[f"{i}.sim.weight"])
        if "sim" in terms:
            target = hot @ p[f"{i}.target_projection.weight"].T if bio else hot
            gap = _similar(own, mistake) - _similar(target.detach(), mistake)
            weight = (1 - terms["sim"]) if mistake == "beta" else terms["sim"]
            supervised = supervised + weight * (gap**2).mean()
        extra = torch.zeros((), dtype=torch.float64)
        if unsupervised == "sim":
            extra = ((_similar(own, mistake) - _similar(given.detach(), mistake)) ** 2).mean()
        elif f"{i}.reconstruction.weight" in p:
            r, bias = p[f"{i}.reconstruction.weight"], p[f"{i}.reconstruction.bias"]
            z = torch.nn.functional.conv_transpose2d(h, r, bias, padding=1) if "side" in one else h @ r.T + bias
            extra = ((torch.where(z > 0, z, slope * z) - given.detach()) ** 2).mean()
        return alpha * extra + (1 - alpha) * supervised

    def output(h: torch.Tensor) -> torch.Tensor:
        return h @ p["output.weight"].T + p["output.bias"]

    learned = [name for name in p if name not in fixed]
    for t in range(steps):
        lr = rate * 0.25 ** sum(m <= t // LENGTH for m in (1, 2))
        for name in learned:
            p[name].requires_grad_(True)
        h, losses, together = (x[t] if "side" in blocks[0] else x[t].flatten(1)), [], detach and kind != "backprop"
        for i in range(len(blocks)):
            given = h.detach() if together else h
            activation = block(i, given, True)
            if kind != "backprop":
                loss = local(i, activation, given, y[t])
                losses.append(loss)
                if together:
                    names = [n for n in learned if n.startswith(f"{i}.")]
                    gradients = torch.autograd.grad(loss, [p[n] for n in names], allow_unused=True)
                    update(names, gradients, lr)
            h = below(i, activation)
        logits = output(h.detach() if together else h)
        found = -torch.log_softmax(logits, 1)[torch.arange(batch), y[t]].mean()
        glob = (1.0 if mistake == "global loss not scaled" else scale) * found
        names = [n for n in learned if n.startswith("output")] if together else learned
        gradients = torch.autograd.grad(sum(losses, glob) if not together else glob, [p[n] for n in names])
        update(names, gradients, lr)
        for name in learned:
            p[name].requires_grad_(False)
        history["loss"].append([v.item() for v in losses] or [found.item()])
        history["global_loss"].append(glob.item())
        history["logits"].append(logits.detach().numpy())
        history["lr"].append(lr)
        if t == 0:
            kept |= {f"step1/{name}": value.numpy().copy() for name, value in p.items()}
        if (t + 1) % LENGTH == 0:
            h = test if "side" in blocks[0] else test.flatten(1)
            for i in range(len(blocks)):
                h = below(i, block(i, h, False))
            history["eval/logits"].append(output(h).numpy())
    kept |= {f"final/{name}": value.numpy().copy() for name, value in p.items()}
    kept |= {**first, "batch/x": x.numpy(), "batch/y": y.numpy(), "eval/x": test.numpy()}
    kept |= {key: np.array(value) for key, value in history.items()}
    optimizer: dict[str, Any] = {"name": "adam", "lr": rate, "weight_decay": 0.0}
    if not adam:
        optimizer = {"name": "sgd", "lr": rate, "weight_decay": decay, "momentum": 0.9}
    loss = {"name": f"{kind}-bio" if bio else kind, "per_layer": True, "terms": terms}
    loss |= {"alpha": alpha, "unsupervised": unsupervised}
    if kind == "backprop":
        loss = {"name": "backprop: cross entropy of the output layer", "per_layer": False}
    meta = {
        "peer": "anokland/local-loss",
        "image": list(image),
        "classes": classes,
        "layers": [_described(i, one) for i, one in enumerate(blocks)],
        "output": {"kind": "linear", "bias": True},
        "activation": {"name": "leakyrelu" if slope else "relu", "negative_slope": slope},
        "normalizer": {"name": "batchnorm", "eps": 1e-5} if normalized else "none",
        "loss": loss,
        "global_loss": {"scale": scale},
        "detach": detach,
        "optimizer": optimizer,
        "schedule": {"name": "steps", "epoch_length": LENGTH, "milestones": [1, 2], "factor": 0.25},
        "noise_parameters": [],
    }
    return {**kept, "meta": np.array(json.dumps(meta))}


def _blocks(
    image: tuple[int, ...], widths: tuple[int, ...], units: tuple[int, ...], pools: tuple[int, ...], decoder: int
) -> list[dict[str, Any]]:
    found, before, side = [], image[0], image[1]
    for width, pool in zip(widths, pools, strict=False):
        window, count = _window(width, side, decoder)
        found.append({"in": before, "out": width, "side": side, "pool": pool, "window": window, "count": count})
        before, side = width, side // 2 if pool else side
    before *= side**2
    for width in units:
        found.append({"in": before, "out": width, "pool": 0, "count": width})
        before = width
    return found


def _window(channels: int, side: int, most: int) -> tuple[list[list[int]], int]:
    """Kernel, padding and output size of the pooling of square maps, and the number of inputs of the head."""
    kh = kw = 1
    high = wide = side
    while channels * high * wide > most and kh < side:
        kh *= 2
        high = -(-side // kh)
        if channels * high * wide > most:
            kw *= 2
            wide = -(-side // kw)
    padding = [kh * (high - side // kh) // 2, kw * (wide - side // kw) // 2]
    high, wide = ((side + 2 * a - k) // k + 1 for a, k in zip(padding, (kh, kw), strict=True))
    return [[kh, kw], padding, [high, wide]], channels * high * wide


def _average(h: torch.Tensor, one: dict[str, Any], mistake: str) -> torch.Tensor:
    (kh, kw), (a, b), (high, wide) = one["window"]
    h = torch.nn.functional.pad(h, (b, b, a, a))
    found = torch.zeros(*h.shape[:2], high, wide, dtype=h.dtype)
    for r in range(high):
        for c in range(wide):
            part = h[:, :, r * kh : (r + 1) * kh, c * kw : (c + 1) * kw].flatten(2)
            found[:, :, r, c] = part.amax(2) if mistake == "head pools the maximum" else part.mean(2)
    return found


def _start(
    blocks: list[dict[str, Any]],
    terms: dict[str, float],
    bio: bool,
    unsupervised: str,
    normalized: bool,
    backprop: bool,
    classes: int,
    random: torch.Generator,
) -> Tensors:
    def draw(*shape: int) -> torch.Tensor:
        fan = int(np.prod(shape[1:])) if len(shape) > 1 else 10
        return torch.randn(*shape, generator=random, dtype=torch.float64) * fan**-0.5

    p: Tensors = {}
    for i, one in enumerate(blocks):
        n, maps = one["out"], "side" in one
        p[f"{i}.{'conv' if maps else 'linear'}.weight"] = draw(n, one["in"], 3, 3) if maps else draw(n, one["in"])
        p[f"{i}.{'conv' if maps else 'linear'}.bias"] = draw(n)
        if normalized:
            p[f"{i}.normalizer.weight"] = torch.ones(n, dtype=torch.float64)
            p[f"{i}.normalizer.bias"] = torch.zeros(n, dtype=torch.float64)
            p[f"{i}.normalizer.running_mean"] = torch.zeros(n, dtype=torch.float64)
            p[f"{i}.normalizer.running_var"] = torch.ones(n, dtype=torch.float64)
        if "pred" in terms:
            outputs = 11 if bio else classes
            p[f"{i}.head.weight"] = torch.zeros(outputs, one["count"], dtype=torch.float64)
            p[f"{i}.head.bias"] = torch.zeros(outputs, dtype=torch.float64) if bio else draw(outputs)
            if bio:
                p[f"{i}.head.feedback"] = draw(outputs, one["count"])
        if bio:
            p[f"{i}.target_projection.weight"] = draw(11, classes)
        if ("sim" in terms or unsupervised == "sim") and not bio:
            p[f"{i}.sim.weight"] = draw(n, n, 3, 3) if maps else draw(n, n)
        same = i > 0 and maps == ("side" in blocks[i - 1])  # neither the first block of maps nor the first linear one
        if unsupervised == "recon" and same:
            p[f"{i}.reconstruction.weight"] = draw(n, one["in"], 3, 3) if maps else draw(one["in"], n)
            p[f"{i}.reconstruction.bias"] = draw(one["in"])
    last = blocks[-1]["out"]
    p["output.weight"] = draw(classes, last) if backprop else torch.zeros(classes, last, dtype=torch.float64)
    p["output.bias"] = draw(classes)
    return p


def _described(i: int, one: dict[str, Any]) -> dict[str, Any]:
    if "side" not in one:
        return {"name": str(i), "kind": "linear", "in_features": one["in"], "out_features": one["out"], "bias": True}
    found = {"name": str(i), "kind": "conv2d", "in_channels": one["in"], "out_channels": one["out"], "bias": True}
    found |= {"kernel": 3, "stride": 1, "padding": 1, "maxpool_after": one["pool"]}
    return {**found, "head_avgpool": {"kernel": one["window"][0], "padding": one["window"][1]}}


def _batchnorm(z: torch.Tensor, p: Tensors, prefix: str, training: bool) -> torch.Tensor:
    axes = [0, 2, 3] if z.dim() == 4 else [0]
    mean, var = p[f"{prefix}running_mean"], p[f"{prefix}running_var"]
    if training:
        count = z.numel() / z.shape[1]
        now, spread = z.mean(axes), z.var(axes, unbiased=False)
        p[f"{prefix}running_mean"] = (0.9 * mean + 0.1 * now).detach()
        p[f"{prefix}running_var"] = (0.9 * var + 0.1 * spread * count / (count - 1)).detach()
        mean, var = now, spread
    shape = (1, -1, 1, 1) if z.dim() == 4 else (1, -1)
    z = (z - mean.view(shape)) / (var.view(shape) + 1e-5).sqrt()
    return z * p[f"{prefix}weight"].view(shape) + p[f"{prefix}bias"].view(shape)


def _similarity_map(h: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.conv2d(h, q, padding=1) if h.dim() == 4 else h @ q.T


def _similar(x: torch.Tensor, mistake: str) -> torch.Tensor:
    if x.dim() == 4 and x.shape[1] > 3 and x.shape[2] > 1:
        centred = x - x.mean((2, 3), keepdim=True)
        if mistake == "mean over positions":
            x = x.mean((2, 3))
        elif mistake == "deviation over channels":
            x = ((x - x.mean(1, keepdim=True)) ** 2).mean(1).sqrt()
        else:
            square = (centred**2).sum((2, 3)) / (x.shape[2] * x.shape[3] - 1)
            # the derivative is zero where nothing deviates
            x = torch.where(square > 0, square.clamp(min=1e-300).sqrt(), 0.0 * square)
    x = x.flatten(1)
    if mistake != "not centred":
        x = x - x.mean(1, keepdim=True)
    square = (x**2).sum(1, keepdim=True)
    x = x / (1e-8 + torch.where(square > 0, square.clamp(min=1e-300).sqrt(), 0.0 * square))
    return (x @ x.T).clamp(-1, 1)
