"""Learning rules, the learners that they build, and the updates that a learner reports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    """The report of a learner after one change of weights.

    Attributes:
        layers: indices of the layers whose weights changed, from 0.
        loss_layer: index of the layer that the loss was computed on, from 0.
        loss: the loss before the update, scalar tensor, detached.
        positive: mean goodness of the positives on that layer, scalar tensor, detached; None if there is none.
        negative: mean goodness of the negatives on that layer, as ``positive``.
        changes: for a rule without gradients: the direction in which it moved each parameter of these layers, by
            parameter, detached, in the parameter's shape and before the learning rate. It takes the place of the
            negative gradient. Empty for a rule that leaves its gradients, or its estimates of them, in ``.grad``.
    """

    layers: range
    loss_layer: int
    loss: torch.Tensor
    positive: torch.Tensor | None = None
    negative: torch.Tensor | None = None
    changes: Mapping[torch.Tensor, torch.Tensor] = field(default_factory=dict, compare=False, repr=False, kw_only=True)

    def gradient(self, parameter: torch.Tensor) -> torch.Tensor | None:
        """What the update followed downwards at this parameter: minus its reported change, or its gradient; None if the
        update left it as it was.
        """
        change = self.changes.get(parameter)
        return parameter.grad if change is None else -change


class Learner(ABC):
    """Trains one network by one rule; returned by ``Rule.build``."""

    @abstractmethod
    def step(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> Iterator[Update]:
        """Learn from one batch.

        Args:
            images: float ``[B, *shape]``, normalized and augmented. With several processes, this process's shard.
            labels: the true labels, int64 ``[B]``.
            step: number of optimizer steps completed before this one, from 0, over the whole run.
            epoch: index of the epoch, from 0.

        Yields:
            An ``Update`` after every change of weights, before the gradients are cleared. A rule without gradients
            reports its ``changes`` instead.
        """

    @abstractmethod
    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate for the following steps; at 0 no weight may change."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All state that affects further learning, as nested dicts and lists of tensors and plain numbers."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that ``state_dict()`` returned; the next steps are then bit-identical."""


@dataclass(frozen=True)
class LearnerSetup:
    """Everything that a learning rule needs to build its learner.

    Attributes:
        network: the ``ffprobe.LayeredNetwork``: encoder and layers.
        loss: the local objective.
        scheduler: decides which layers learn together.
        negatives: chooses the negatives.
        generator: the run's random generator for negatives, on the CPU.
        optimizer: builds the run's optimizer for a list of parameters.
        groups: every update group (a, b) that the scheduler will request: layers a to b - 1, shortest first.
        autocast: returns a new context manager for forward passes in the run's precision.
        classes: number of classes, K.
        process_group: the processes that share each batch; a single process unless torchrun started several.
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
    """A learning rule: how the weights are changed.

    A rule may follow gradients, estimate them (perturbation) or do without (Hebbian rules). A Hebbian rule needs no
    optimizer: its learner adds ``rate * change`` to the weights and reports the change in ``Update.changes``, which
    probes read in place of gradients. ``Update.loss`` is then a quantity that falls as the rule learns.

    A rule that needs fixed tensors in addition to the weights (random feedback matrices) registers them in the network
    as buffers, under names with a part ``feedback``, so that they are saved with the network. If the network already
    has these buffers, ``build`` must keep them. It draws random numbers from torch's global generator.

    Attributes:
        shares_batches: whether its learners compute gradients with ``setup.process_group.backward``, so that several
            processes can share each batch (``torchrun``). If False, a run on several processes is refused.
        independent_groups: whether its learner is a ``GroupLearner`` whose update groups need nothing of a step but
            what the groups below passed on before their update, so that processes can train different groups
            (``parallel=layers``). If False, such a run is refused.
    """

    kind = "rule"
    shares_batches: ClassVar[bool] = False
    independent_groups: ClassVar[bool] = False

    @abstractmethod
    def build(self, setup: LearnerSetup) -> Learner:
        """Build a learner for the network of this setup.

        Raises:
            UsageError: the rule does not support this network or this goodness.
        """
