"""The best epoch of a run by validation accuracy: when to stop, and which weights to keep."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch


class BestEpoch:
    """Follows the validation accuracy of a run.

    Only validation images decide. Equal accuracy is no improvement, so the earliest of equal epochs is kept.

    Args:
        patience: number of evaluations without an improvement after which the run stops; 0: it never stops early.
        keep: whether to keep the weights of the best evaluated epoch.

    Attributes:
        epoch: number of the best epoch, from 1; 0 before the first evaluation.
        accuracy: its validation accuracy by the run's evaluator, in [0, 1].
        since: number of evaluations since then.
    """

    def __init__(self, patience: int = 0, keep: bool = False) -> None:
        self.patience, self.keep = patience, keep
        self.epoch, self.accuracy, self.since = 0, -math.inf, 0
        self._weights: dict[str, torch.Tensor] | None = None

    @property
    def active(self) -> bool:
        """Whether the run needs to follow its accuracy at all."""
        return self.keep or self.patience > 0

    @property
    def stops(self) -> bool:
        """Whether the run should stop now."""
        return 0 < self.patience <= self.since

    def update(self, epoch: int, accuracy: float, network: torch.nn.Module) -> None:
        """Take in an evaluation.

        Args:
            epoch: number of epochs done.
            accuracy: validation accuracy, in [0, 1]; NaN is no improvement.
            network: its current weights are copied if they are the best and are kept.
        """
        if accuracy > self.accuracy:
            self.epoch, self.accuracy, self.since = epoch, accuracy, 0
            if self.keep:
                self._weights = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
        else:
            self.since += 1

    def restore(self, network: torch.nn.Module) -> None:
        """Give a network the weights of the best epoch, running statistics included."""
        if self._weights is not None:
            network.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"epoch": self.epoch, "accuracy": self.accuracy, "since": self.since, "weights": self._weights}

    def load_state_dict(self, state: Mapping[str, Any], network: torch.nn.Module) -> None:
        """Continue from a checkpoint.

        Args:
            state: from ``state_dict``.
            network: the network of the run, whose weights those in the state must fit.

        Raises:
            ValueError: the state is not that of this network; the message says what differs.
        """
        epoch, accuracy, since, weights = (state.get(name) for name in ("epoch", "accuracy", "since", "weights"))
        if type(epoch) is not int or type(accuracy) is not float or type(since) is not int:
            raise ValueError("'best' has no epoch, accuracy and number of evaluations")
        if weights is not None:
            known = {name: (value.shape, value.dtype) for name, value in network.state_dict().items()}
            if not isinstance(weights, Mapping) or known != {
                name: (getattr(value, "shape", None), getattr(value, "dtype", None)) for name, value in weights.items()
            }:
                raise ValueError("'best.weights' are not those of this network")
        self.epoch, self.accuracy, self.since = epoch, accuracy, since
        self._weights = None if weights is None else dict(weights)
