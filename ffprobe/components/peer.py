"""A public code whose recorded trajectories can be replayed, the plan of a replay, and what it recorded."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ffprobe.components.base import Component, Shape

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from ffprobe.components.network import LayerSpec


@dataclass(frozen=True)
class Trajectory:
    """A recorded trajectory: what its file holds.

    Attributes:
        path: of the file.
        meta: its description, as the recording code wrote it.
        arrays: everything else by key: ``init/0.linear.weight``, ``batch/x``, ``loss`` ...
    """

    path: str
    meta: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays below ``prefix/``, without it."""
        start = f"{prefix}/"
        return {key.removeprefix(start): value for key, value in self.arrays.items() if key.startswith(start)}


@dataclass(frozen=True)
class Tolerance:
    """How far a replay may stray: ``absolute + relative * |recorded|`` for quantities, ``weights`` flat."""

    absolute: float = 1e-5
    relative: float = 1e-4
    weights: float = 2e-4


@dataclass(frozen=True)
class ReplayPlan:
    """How a trajectory is repeated by the ordinary trainer; what it leaves open is the baseline's.

    Attributes:
        layers: of the network.
        shape: of one input, without the batch, as the encoder gets it.
        classes: the number of classes.
        components: by slot: a name, a table of name and settings, or a class of the peer's own (default settings).
        training: settings of ``training``: ``optimizer``, ``learning_rate``, ``momentum``, ``weight_decay``.
        inputs: ``[T, B, *shape]``; the dtype decides the precision of the replay.
        labels: int64 ``[T, B]``.
        negatives: the wrong labels, int64 ``[T, B]``; None where there are none.
        rates: the learning rate of every step; None where it is constant.
        epochs: the epoch of every step; None where all are of epoch 0.
        optimizer: builds the optimizer over an update group's parameters where ``training`` cannot say it.
        listen: modules of the network, by their names in it (``layers.0.linear``), whose outputs are wanted.
        tolerance: for whatever ``tolerances`` does not name.
        tolerances: absolute, by recorded key (``eval/logits``) or by its first part (``final``, ``step1``).
        ignored: recorded keys (shell patterns) that are not compared, and why.
    """

    layers: Sequence[LayerSpec]
    shape: Shape
    classes: int
    components: Mapping[str, str | Mapping[str, Any] | type[Component]]
    training: Mapping[str, Any]
    inputs: np.ndarray
    labels: np.ndarray
    negatives: np.ndarray | None = None
    rates: Sequence[float] | None = None
    epochs: Sequence[int] | None = None
    optimizer: Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer] | None = None
    listen: Sequence[str] = ()
    tolerance: Tolerance = Tolerance()
    tolerances: Mapping[str, float] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)


@dataclass
class StepRecord:
    """What one step gave.

    Attributes:
        loss: ``[L]``, before the update; NaN for layers without a loss.
        positive: mean goodness of positives, ``[L]``.
        negative: the same of negatives.
        rate: the learning rate.
        updated: the layers whose weights changed, update after update.
        outputs: of the modules listened to, by name: the output of every call, in order.
    """

    loss: np.ndarray
    positive: np.ndarray
    negative: np.ndarray
    rate: float
    updated: list[range]
    outputs: dict[str, list[np.ndarray]]


@dataclass
class ReplayRecord:
    """What was heard during a replay.

    Attributes:
        network: the ``ffprobe.LayeredNetwork`` after the last step.
        evaluate: inputs ``[N, *shape]`` to goodness ``[L, N, K]``, the network in evaluation mode.
        steps: in order.
        first_gradients: of each parameter when it was first updated.
        first_state: the network's state after the first step.
    """

    network: Any
    evaluate: Callable[[np.ndarray], np.ndarray]
    steps: list[StepRecord] = field(default_factory=list)
    first_gradients: dict[str, np.ndarray] = field(default_factory=dict)
    first_state: dict[str, np.ndarray] = field(default_factory=dict)

    def outputs(self, name: str, call: int = 0) -> np.ndarray:
        """``[T, B, ...]``: what the module gave in its call of that number (from 0, or from the end) in every step."""
        import numpy as np

        return np.stack([step.outputs[name][call] for step in self.steps])

    def losses(self) -> np.ndarray:
        """``[T, L]``."""
        import numpy as np

        return np.stack([step.loss for step in self.steps])

    def updated(self) -> np.ndarray:
        """Whether a layer was updated, bool ``[T, L]``."""
        import numpy as np

        depth = len(self.steps[0].loss)
        return np.array([[any(i in group for group in step.updated) for i in range(depth)] for step in self.steps])


class Peer(Component):
    """Somebody else's public code, as far as its recorded trajectories go (``ffprobe replay``).

    A peer says with which ordinary components its runs are repeated. What only that code does (an odd constant, a
    second pass, an optimizer of its own) stands in the peer's file and nowhere else. A peer is no slot of a run.
    """

    kind = "peer"

    @abstractmethod
    def claims(self, meta: Mapping[str, Any]) -> bool:
        """Whether a trajectory with this ``meta`` came from this code."""

    @abstractmethod
    def plan(self, trajectory: Trajectory) -> ReplayPlan:
        """How a trajectory is repeated.

        Raises:
            PluginError: it needs what is not here; the message names it.
        """

    def state(self, recorded: Mapping[str, Any]) -> dict[str, Any]:
        """Recorded arrays of parameters (or their gradients) by the network's own names; as they are unless overridden.

        Args:
            recorded: by the file's names, without ``init/``, ``final/`` ... in front; possibly not all of them.
        """
        return dict(recorded)

    def observed(self, heard: ReplayRecord, trajectory: Trajectory) -> dict[str, Any]:
        """What the replay gave, by the keys under which the trajectory recorded the same: ``loss``, ``eval/logits`` ...

        Parameters and gradients are compared by the host and are not among them. Nothing unless overridden.
        """
        return {}
