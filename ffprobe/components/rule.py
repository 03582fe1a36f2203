"""How weights change: the rule, the learner that it builds, and the updates that the learner reports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ffprobe.components.base import Component
from ffprobe.components.process_group import ProcessGroup

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ffprobe.components.loss import Loss
    from ffprobe.components.negatives import Negatives
    from ffprobe.components.scheduler import UpdateScheduler


@dataclass(frozen=True)
class Update:
    """What a rule reports after it changed weights.

    Attributes:
        layers: the layers whose weights changed.
        loss_layer: the layer that the loss sits on.
        loss: scalar tensor, detached.
        positive: mean goodness of the positives on that layer, scalar tensor, detached; None when there is none.
        negative: the same of the negatives.
    """

    layers: range
    loss_layer: int
    loss: torch.Tensor
    positive: torch.Tensor | None = None
    negative: torch.Tensor | None = None


class Learner(ABC):
    """A rule at work on one network; what ``Rule.build`` returns."""

    @abstractmethod
    def step(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> Iterator[Update]:
        """Learn from one batch; yield after every change of weights, before gradients are cleared.

        Args:
            images: float ``[B, C, H, W]``, normalized and augmented.
            labels: int64 ``[B]``.
            step: optimizer steps done before, from 0, over the whole run.
            epoch: from 0.
        """

    @abstractmethod
    def set_learning_rate(self, rate: float) -> None:
        """Use this learning rate from the next step on."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that decides how learning goes on: nested dicts and lists of tensors and plain numbers."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict()``'s answer."""


@dataclass(frozen=True)
class LearnerSetup:
    """What lies before a rule: the network and everything chosen to teach it.

    Attributes:
        network: the ``LayeredNetwork`` of encoder and layers (``ffprobe.LayeredNetwork``).
        loss: the local objective.
        scheduler: which layers learn together.
        negatives: which wrong label a positive is held against.
        generator: the run's stream for negatives.
        optimizer: builds the run's optimizer over a list of parameters.
        groups: every update group that the scheduler will ever ask for, shortest first.
        autocast: returns a fresh context manager for forward passes in the run's precision.
        classes: the number of classes.
        process_group: the processes that share each batch; of one, unless torchrun started more.
    """

    network: Any
    loss: Loss
    scheduler: UpdateScheduler
    negatives: Negatives
    generator: torch.Generator
    optimizer: Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer]
    groups: tuple[tuple[int, int], ...]
    autocast: Callable[[], Any]
    classes: int
    process_group: ProcessGroup = field(default_factory=ProcessGroup)


class Rule(Component):
    """How weights change.

    What a rule keeps fixed beside the weights (random feedback) it leaves in the network as buffers, under names with a
    part ``feedback``, so that it is saved with the network. Building a rule on a network that already has them must
    keep them; what it draws, it draws from torch's global generator.

    Attributes:
        shares_batches: whether its learners get their gradients from ``setup.process_group.backward``, so that several
            processes can share each batch (``torchrun``); where it is False, such a run is refused.
    """

    kind = "rule"
    shares_batches: ClassVar[bool] = False

    @abstractmethod
    def build(self, setup: LearnerSetup) -> Learner:
        """A learner for the network on this bench."""
