"""Peers: public code whose recorded trajectories can be replayed; the plan of a replay, and its record."""

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
    """A recorded trajectory: the contents of its file.

    Attributes:
        path: path of the file.
        meta: description of the trajectory, as written by the code that recorded it.
        arrays: all other entries of the file, by key: ``init/0.linear.weight``, ``batch/x``, ``loss`` ...
    """

    path: str
    meta: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays whose keys begin with ``prefix/``; the prefix is removed from the keys."""
        start = f"{prefix}/"
        return {key.removeprefix(start): value for key, value in self.arrays.items() if key.startswith(start)}


@dataclass(frozen=True)
class Tolerance:
    """The largest permitted deviation of a replay from the recorded trajectory.

    Attributes:
        absolute: absolute part for recorded quantities: the limit is ``absolute + relative * |recorded|``.
        relative: relative part for recorded quantities.
        weights: absolute limit for parameters and gradients.
    """

    absolute: float = 1e-5
    relative: float = 1e-4
    weights: float = 2e-4


@dataclass(frozen=True)
class ReplayPlan:
    """How the ordinary trainer repeats a trajectory. Everything it does not set is taken from the base preset.

    Attributes:
        layers: the layers of the network, first to last.
        shape: the shape of one input, without the batch dimension, as the encoder receives it.
        classes: number of classes, K.
        components: the component of each slot: a name, a table of name and settings, or a class defined by the peer
            (with its default settings).
        training: settings of ``training``: ``optimizer``, ``learning_rate``, ``momentum``, ``weight_decay``.
        inputs: the inputs of T steps, ``[T, B, *shape]``; the dtype determines the precision of the replay.
        labels: the true labels, int64 ``[T, B]``.
        negatives: the wrong labels, int64 ``[T, B]``; None if there are none.
        rates: the learning rate of every step; None if it is constant.
        epochs: the epoch of every step, from 0; None if all steps belong to epoch 0.
        optimizer: builds the optimizer for an update group's parameters; None for the optimizer of ``training``.
        record_outputs: modules of the network whose outputs are recorded, by name (``layers.0.linear``).
        tolerance: tolerance for every quantity that ``tolerances`` does not name.
        tolerances: absolute tolerances, by recorded key (``eval/logits``) or by its first part (``final``, ``step1``);
            a parameter may have its own, by its name in the network (``final/0.normalizer.running_var``).
        ignored: recorded keys (shell patterns) that are not compared, with the reason.
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
    record_outputs: Sequence[str] = ()
    tolerance: Tolerance = Tolerance()
    tolerances: Mapping[str, float] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)


@dataclass
class StepRecord:
    """The record of one step of a replay.

    Attributes:
        loss: loss of each layer before its update, ``[L]``; NaN for layers without a loss.
        positive: mean goodness of the positives, ``[L]``.
        negative: mean goodness of the negatives, ``[L]``.
        rate: the learning rate.
        updated: for each update, in order, the indices of the layers whose weights changed, from 0.
        outputs: outputs of the modules in ``record_outputs``, by name: the output of every call, in order.
    """

    loss: np.ndarray
    positive: np.ndarray
    negative: np.ndarray
    rate: float
    updated: list[range]
    outputs: dict[str, list[np.ndarray]]


@dataclass
class ReplayRecord:
    """The record of a replay.

    Attributes:
        network: the ``ffprobe.LayeredNetwork`` after the last step.
        evaluate: maps inputs ``[N, *shape]`` to goodness ``[L, N, K]``, with the network in evaluation mode.
        steps: the records of all steps, in order.
        first_gradients: the gradient of each parameter at its first update, by parameter name.
        first_state: the state of the network after the first step, by name.
    """

    network: Any
    evaluate: Callable[[np.ndarray], np.ndarray]
    steps: list[StepRecord] = field(default_factory=list)
    first_gradients: dict[str, np.ndarray] = field(default_factory=dict)
    first_state: dict[str, np.ndarray] = field(default_factory=dict)

    def outputs(self, name: str, call: int = 0) -> np.ndarray:
        """The outputs of a recorded module in every step, ``[T, B, ...]``.

        Args:
            name: name of the module, as in ``ReplayPlan.record_outputs``.
            call: index of the call within a step, from 0; a negative index counts from the last call.
        """
        import numpy as np

        return np.stack([step.outputs[name][call] for step in self.steps])

    def losses(self) -> np.ndarray:
        """The loss of every layer in every step, ``[T, L]``."""
        import numpy as np

        return np.stack([step.loss for step in self.steps])

    def updated(self) -> np.ndarray:
        """Whether each layer was updated in each step, bool ``[T, L]``."""
        import numpy as np

        depth = len(self.steps[0].loss)
        return np.array([[any(i in group for group in step.updated) for i in range(depth)] for step in self.steps])


class Peer(Component):
    """Public code by other authors whose recorded trajectories ``ffprobe replay`` can repeat.

    A peer defines which ordinary components repeat its runs. Anything that only this code does (an unusual constant, a
    second pass, its own optimizer) is implemented in the peer's file and nowhere else. A run has no slot for a peer.
    """

    kind = "peer"

    @abstractmethod
    def claims(self, meta: Mapping[str, Any]) -> bool:
        """Whether a trajectory with this ``meta`` was recorded by this code."""

    @abstractmethod
    def plan(self, trajectory: Trajectory) -> ReplayPlan:
        """The plan that repeats a trajectory.

        Raises:
            PluginError: the trajectory needs something that is not available; the message names it.
        """

    def state(self, recorded: Mapping[str, Any]) -> dict[str, Any]:
        """Rename recorded arrays of parameters (or their gradients) to the network's names; unchanged by default.

        Args:
            recorded: arrays by the file's names, without a prefix such as ``init/`` or ``final/``; possibly only some.
        """
        return dict(recorded)

    def observed(self, record: ReplayRecord, trajectory: Trajectory) -> dict[str, Any]:
        """The values of the replay to compare, by the keys of the trajectory (``loss``, ``eval/logits`` ...).

        ffprobe itself compares parameters and gradients; they must not be included. Empty by default.
        """
        return {}
