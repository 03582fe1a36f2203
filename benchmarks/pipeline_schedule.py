"""Backpropagation on the layers of a network, in one process or by a schedule of ``torch.distributed.pipelining``.

The other side of ``benchmarks.pipeline``: what pipelining gives a method whose layers wait for a gradient from above.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe
from torch.nn import functional

from ffprobe.network.multiply_adds import multiply_adds
from ffprobe.network.network import LayeredNetwork
from ffprobe.training.experiment import Experiment

SCHEDULES = {"1f1b": Schedule1F1B, "gpipe": ScheduleGPipe}
MICRO_BATCHES = 4
"""Parts of a batch that follow each other through the stages; batch normalization uses the statistics of each."""


class _Contiguous(torch.autograd.Function):
    """The identity, with a contiguous gradient: torch's schedules send and receive contiguous tensors only."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return gradient.contiguous()


class Stage(nn.Module):
    """Some layers of a network, and the last layer's goodness if they end it.

    Args:
        network: the whole network, without shortcuts.
        start: index of the first layer, from 0.
        stop: index after the last layer.
    """

    def __init__(self, network: LayeredNetwork, start: int, stop: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(network.layer(index) for index in range(start, stop))
        self.ends = stop == network.depth

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map the input of the first layer to that of the layer after the last one, or to logits ``[B, K]``."""
        x = _Contiguous.apply(x) if x.requires_grad else x  # type: ignore[no-untyped-call]
        for part in self.parts:
            activation: torch.Tensor = part(x)
            x = part.pass_on(activation)  # type: ignore[operator]
        return self.parts[-1].goodness(activation) if self.ends else x.contiguous()  # type: ignore[operator, union-attr, no-any-return]


class BackpropagationLearner:
    """Trains a network by backpropagation from the cross entropy of its last layer's goodness.

    Args:
        made: an experiment of form ``class``, built for one process.
        schedule: a name of ``SCHEDULES``; empty for one process.
    """

    def __init__(self, made: Experiment, schedule: str) -> None:
        network = made.network
        if any(network.layer(index).spec.shortcut for index in range(network.depth)):
            raise SystemExit("the stages of this benchmark pass on one tensor, so the network must have no shortcuts")
        self.network, self.schedule = network, None
        self.starts = _starts(made, dist.get_world_size() if schedule else 1)
        rank = dist.get_rank() if schedule else 0
        self.first, self.last = rank == 0, rank == len(self.starts) - 1
        stage = Stage(network, self.starts[rank], [*self.starts, network.depth][rank + 1])
        self.stage = stage
        self.optimizer = torch.optim.Adam(stage.parameters(), lr=1e-4)
        if schedule:
            part = PipelineStage(stage, rank, len(self.starts), torch.device("cpu"))
            self.schedule = SCHEDULES[schedule](part, MICRO_BATCHES, loss_fn=functional.cross_entropy)

    def step(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """Learn from one batch, which every process gets whole."""
        self.optimizer.zero_grad(set_to_none=True)
        x = self.network.encode(images, None).detach() if self.first else None
        if self.schedule is None:
            functional.cross_entropy(self.stage(x), labels).backward()
        else:
            inputs = (x,) if self.first else ()
            more: dict[str, Any] = {"target": labels, "losses": []} if self.last else {}
            self.schedule.step(*inputs, **more)
        self.optimizer.step()


def _starts(made: Experiment, stages: int) -> list[int]:
    """The first layer of each stage, for stages of nearly equal multiply-adds."""
    costs = multiply_adds(made.network, made.split.train.shape)
    total, done, starts = sum(costs), 0.0, [0]
    for index, cost in enumerate(costs[:-1]):
        done += cost
        if len(starts) < stages and done >= total * len(starts) / stages:
            starts.append(index + 1)
    return starts
