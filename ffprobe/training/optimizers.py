"""The optimizer of a run, and its learning rate at every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ffprobe.config.settings import Training


def build_optimizer(parameters: Sequence[nn.Parameter], settings: Training) -> torch.optim.Optimizer:
    """Build an optimizer for ``parameters``; each update group has its own, with its own moments."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        nesterov = settings.nesterov and settings.momentum > 0
        sgd = _kind(torch.optim.SGD, settings)
        return sgd(parameters, lr=rate, momentum=settings.momentum, weight_decay=decay, nesterov=nesterov)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return _kind(kind, settings)(parameters, lr=rate, weight_decay=decay)


def clipped(kind: type[torch.optim.Optimizer], largest: float) -> type[torch.optim.Optimizer]:
    """An optimizer of this kind that scales its gradients g to g * min(1, largest / (|g| + 1e-6)) before each step.

    The norm is that of all parameters of the optimizer together, so that one update group is clipped as a whole. The
    scaled gradients stay in ``.grad``, where probes read them.
    """

    class Clipped(kind):  # type: ignore[misc, valid-type]
        def step(self, closure: Any = None) -> Any:
            parameters = [parameter for group in self.param_groups for parameter in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, largest)
            return super().step(closure)

    Clipped.__name__ = Clipped.__qualname__ = f"Clipped{kind.__name__}"
    return Clipped


def _kind(kind: Any, settings: Training) -> Any:
    return clipped(kind, settings.gradient_clip) if settings.gradient_clip else kind


def learning_rate(settings: Training, steps: Sequence[tuple[float, float]], done: int, total: int) -> float:
    """The learning rate of the next step.

    Args:
        settings: base learning rate and schedule.
        steps: the network's own schedule, (fraction of the run, factor) pairs (Trifecta, App. B, scaled to the run).
        done: number of optimizer steps completed so far.
        total: number of optimizer steps of the whole run.
    """
    share, warmup = done / max(total, 1), settings.warmup_fraction
    if share < warmup:
        # the first step moves the weights, too: a rate of 0 would waste it
        return settings.learning_rate * (share + 1 / total) / (warmup + 1 / total)
    share = (share - warmup) / (1 - warmup)
    lowest = settings.min_lr_fraction
    if settings.lr_schedule == "constant":
        factor = 1.0
    elif settings.lr_schedule == "cosine":
        factor = lowest + (1 - lowest) * 0.5 * (1 + math.cos(math.pi * share))
    elif settings.lr_schedule == "linear":
        factor = lowest + (1 - lowest) * (1 - share)
    else:
        factor = next((f for at, f in reversed(list(steps)) if share >= at), 1.0)
    return settings.learning_rate * factor
