"""The run's optimizer, and the learning rate at every step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from ffprobe.config.settings import Training


def build_optimizer(parameters: Sequence[nn.Parameter], settings: Training) -> torch.optim.Optimizer:
    """An optimizer over ``parameters``; each update group has one, with moments of its own."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=settings.momentum, weight_decay=decay)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, lr=rate, weight_decay=decay)


def learning_rate(settings: Training, steps: Sequence[tuple[float, float]], done: int, total: int) -> float:
    """The learning rate of the next step.

    Args:
        settings: base rate and schedule.
        steps: the network's own schedule, (share of the run, factor) pairs (Trifecta, App. B, scaled to the run).
        done: optimizer steps done so far.
        total: optimizer steps of the whole run.
    """
    share = done / max(total, 1)
    if settings.lr_schedule == "constant":
        factor = 1.0
    elif settings.lr_schedule == "cosine":
        factor = settings.min_lr_fraction + (1 - settings.min_lr_fraction) * 0.5 * (1 + math.cos(math.pi * share))
    else:
        factor = next((f for at, f in reversed(list(steps)) if share >= at), 1.0)
    return settings.learning_rate * factor
