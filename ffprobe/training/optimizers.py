"""The optimizer of a run, and its learning rate at every step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from ffprobe.config.settings import Training


def build_optimizer(parameters: Sequence[nn.Parameter], settings: Training) -> torch.optim.Optimizer:
    """Build an optimizer for ``parameters``; each update group has its own, with its own moments."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=settings.momentum, weight_decay=decay)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, lr=rate, weight_decay=decay)


def learning_rate(settings: Training, steps: Sequence[tuple[float, float]], done: int, total: int) -> float:
    """The learning rate of the next step.

    Args:
        settings: base learning rate and schedule.
        steps: the network's own schedule, (fraction of the run, factor) pairs (Trifecta, App. B, scaled to the run).
        done: number of optimizer steps completed so far.
        total: number of optimizer steps of the whole run.
    """
    share = done / max(total, 1)
    if settings.lr_schedule == "constant":
        factor = 1.0
    elif settings.lr_schedule == "cosine":
        factor = settings.min_lr_fraction + (1 - settings.min_lr_fraction) * 0.5 * (1 + math.cos(math.pi * share))
    else:
        factor = next((f for at, f in reversed(list(steps)) if share >= at), 1.0)
    return settings.learning_rate * factor
