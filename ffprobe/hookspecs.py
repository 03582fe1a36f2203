"""All hooks, in the order in which a run calls them, and the read-only contexts that they receive.

Every observer hook has one argument, ``context``, and must return None; any other return value is an error. The order
in which plugins are called is undefined. If an observer raises, ffprobe disables it for the rest of the run, logs the
plugin's name and the error to the run file, and continues training. If ``ffprobe_components`` or ``ffprobe_commands``
raises, the plugin cannot be used.

Indices in a context (layer, epoch, step) start at 0. Each observer has its own copies of the tensors in a context, made
when it reads them first: what it writes into them changes neither the run nor its records nor another observer. The
network is shared with the run and must not be modified; use ``context.run.sandbox()``. Shapes use B for the batch size,
L for the number of layers, C, H, W for channels, height and width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import torch
    import typer

PROJECT = "ffprobe"
HOOK_VERSION = 1
"""Version of the hooks. It increases when a hook or a context field is removed or changes its meaning.

A plugin module may declare ``hook_version = 1``. An ffprobe with another hook version then refuses to load it. A plugin
that declares no version is always loaded.
"""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


def _no_recorder(name: str, value: object) -> None:
    raise RuntimeError(f"cannot record {name!r}: this context does not belong to a recorded run")


def _no_sandbox() -> AbstractContextManager[Any]:
    raise RuntimeError("cannot create a sandbox: this context does not belong to a run in progress")


@dataclass(frozen=True)
class LayerInfo:
    """Description of one layer of the network.

    Attributes:
        name: Name of the layer in the run file: its index from 0 as text, ``"0"`` for the first layer.
        kind: ``conv``, ``linear`` or ``module``.
        input_shape: Shape of the layer's input without the batch dimension.
        output_shape: Shape of the layer's activation without the batch dimension.
        parameters: Number of parameters of the layer, those of its normalizer, goodness and loss included.
    """

    name: str
    kind: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True)
class RunContext:
    """Facts about a run that are known before its first step; every other context has it as ``run``.

    Attributes:
        config: The resolved config as nested plain values, as it is saved in the run file.
        layers: Descriptions of the layers, first to last; L of them.
        classes: Class names, in the order of the label indices.
        epochs: Number of epochs of the whole run, those before a resume included.
        steps_per_epoch: Number of optimizer steps in one epoch.
        network: The ``ffprobe.LayeredNetwork`` that is trained. Read-only: use ``sandbox`` for anything that changes
            it. None only in a context that was built outside a run.
        record: ``record(name, value)`` writes to a variable that the plugin declared in ``Probe.variables``. ``value``
            is a number, an array or a tensor. If the first dimension of the variable is unlimited, one call appends
            one row; otherwise it sets the whole variable. Rows are kept in memory and written with the next commit.
            Raises KeyError for an undeclared name and ValueError for a wrong shape.
        sandbox: ``with context.run.sandbox() as copy:`` yields an ``ffprobe.Sandbox``: deep copies of the network and
            the components in their current state, and a learner with learning rate 0. A probe may call the learner's
            ``step`` and read gradients; the run is unaffected. Random numbers drawn inside come from the run's random
            stream for probes at the current step. Raises RuntimeError outside a run.
        path: Absolute path of the run file, which is named ``path``.partial until the run is complete. Empty in a
            context that was built outside a run, and in a run that is not recorded.
        results: In ``ffprobe_after_run``, the results as in the group ``final`` of the run file, fractions: lists of L
            floats ``validation_accuracy`` and ``test_accuracy``, floats ``model_validation_accuracy`` and
            ``model_test_accuracy`` (by the run's evaluator); without a test set, no results of it. Also ``wall_time``
            in seconds and ``peak_memory`` in bytes. Empty before.
    """

    config: Mapping[str, Any]
    layers: tuple[LayerInfo, ...]
    classes: tuple[str, ...]
    epochs: int
    steps_per_epoch: int
    network: Any = None
    record: Callable[[str, object], None] = field(default=_no_recorder, repr=False)
    sandbox: Callable[[], AbstractContextManager[Any]] = field(default=_no_sandbox, repr=False)
    path: str = ""
    results: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EpochContext:
    """The start or the end of one epoch.

    Attributes:
        run: Context of the run.
        epoch: Index of the epoch, from 0.
        step: Number of optimizer steps completed so far over the whole run; at the end of an epoch this includes its
            own.
        metrics: Tensors on the CPU by name, each float32 ``[L]`` (float64 with ``--precision fp64``): ``loss``,
            ``goodness_positive`` and ``goodness_negative`` are means over the epoch's steps, NaN for a layer without a
            loss (and for goodness of form ``class``, which has no negatives); ``validation_accuracy`` is a fraction,
            NaN if this epoch was not evaluated; ``test_accuracy`` exists only in an evaluated epoch with
            ``training.test=every``. Empty in ``ffprobe_before_epoch``.
        record: See ``RunContext.record``.
        images: The last batch of the epoch, float ``[B, C, H, W]`` on the run's device, normalized and augmented as
            for training. A copy. None in ``ffprobe_before_epoch``. With several processes, the shard of the main
            process.
        labels: True labels of that batch, int64 ``[B]`` on the run's device. A copy. None in ``ffprobe_before_epoch``.
        model_accuracy: Validation accuracy by the run's evaluator, a fraction; NaN if this epoch was not evaluated.
        is_last: Whether the run ends after this epoch, also because it stops early. False in ``ffprobe_before_epoch``,
            where it cannot be known.
    """

    run: RunContext
    epoch: int
    step: int
    metrics: Mapping[str, Any] = field(default_factory=dict)
    record: Callable[[str, object], None] = field(default=_no_recorder, repr=False)
    images: torch.Tensor | None = field(default=None, repr=False)
    labels: torch.Tensor | None = field(default=None, repr=False)
    model_accuracy: float = float("nan")
    is_last: bool = False

    def due(self, steps: int) -> bool:
        """Whether a measurement that is taken about every ``steps`` steps is due at the end of this epoch.

        True if this epoch passed a multiple of ``steps``, or is the last one. Use it for measurements that are too
        expensive for every epoch. A resumed run measures after the same epochs as an uninterrupted one.

        Args:
            steps: Interval in optimizer steps, at least 1.
        """
        before = self.step - self.run.steps_per_epoch
        return self.step // steps > before // steps or self.is_last or self.epoch + 1 == self.run.epochs


@dataclass(frozen=True)
class UpdateContext:
    """One change of the weights of one update group; the gradients still exist.

    Attributes:
        run: Context of the run.
        epoch: Index of the epoch, from 0.
        step: Number of optimizer steps completed before this one over the whole run, from 0. All update groups of one
            batch share it.
        layers: Indices of the layers whose weights changed, from 0.
        loss_layer: Index of the layer that the loss was computed on, from 0.
        loss: The loss, scalar tensor on the run's device, detached.
        positive: Mean goodness of the positives on ``loss_layer`` before the update, scalar tensor, detached. None if
            the rule reports none; goodness of form ``class`` has none.
        negative: Mean goodness of the negatives on ``loss_layer``, as ``positive``.
        changes: Directions in which a rule without gradients moved its parameters, by parameter; see ``Update``. Empty
            for rules with gradients.
        record: See ``RunContext.record``.
    """

    run: RunContext
    epoch: int
    step: int
    layers: range
    loss_layer: int
    loss: torch.Tensor
    positive: torch.Tensor | None = None
    negative: torch.Tensor | None = None
    changes: Mapping[torch.Tensor, torch.Tensor] = field(default_factory=dict, compare=False, repr=False, kw_only=True)
    record: Callable[[str, object], None] = field(default=_no_recorder, repr=False)

    def gradient(self, parameter: torch.Tensor) -> torch.Tensor | None:
        """What the update followed downwards at this parameter: minus its reported change, or its gradient; None if the
        update left it as it was.
        """
        change = self.changes.get(parameter)
        return parameter.grad if change is None else -change


@dataclass(frozen=True)
class StepContext:
    """One batch after all of its update groups.

    Attributes:
        run: Context of the run.
        epoch: Index of the epoch, from 0.
        step: Number of optimizer steps completed before this one over the whole run, from 0.
        loss: Loss of each layer, float32 ``[L]`` (float64 with ``--precision fp64``) on the run's device, detached. NaN
            for a layer that had no loss in this step. Of the whole batch, also with several processes.
        positive: Mean goodness of the positives of each layer before its update, like ``loss``; NaN where there is
            none.
        negative: Mean goodness of the negatives of each layer, like ``positive``.
        images: The batch as used for training (normalized and augmented), float ``[B, C, H, W]`` on the run's device.
            A copy. With several processes, the shard of the main process.
        labels: True labels of ``images``, int64 ``[B]`` on the run's device. A copy.
        learning_rate: Learning rate of this step.
        record: See ``RunContext.record``.
    """

    run: RunContext
    epoch: int
    step: int
    loss: torch.Tensor
    positive: torch.Tensor
    negative: torch.Tensor
    images: torch.Tensor
    labels: torch.Tensor
    learning_rate: float
    record: Callable[[str, object], None] = field(default=_no_recorder, repr=False)


@dataclass(frozen=True)
class ErrorContext:
    """An error or an interruption that ends the run.

    Attributes:
        run: Context of the run.
        epoch: Index of the epoch in progress, from 0.
        step: Number of optimizer steps completed so far over the whole run.
        error: The exception; ``ffprobe.Interrupted`` after SIGINT or SIGTERM.
        record: See ``RunContext.record``. Rows recorded here are not committed.
    """

    run: RunContext
    epoch: int
    step: int
    error: BaseException
    record: Callable[[str, object], None] = field(default=_no_recorder, repr=False)


CONTEXTS = (RunContext, EpochContext, UpdateContext, StepContext, ErrorContext, LayerInfo)
"""The context classes and what they contain, in the order of the documentation."""


class Hooks:
    """Specifications of all hooks: when each is called, with which arguments, and what it must return."""

    @hookspec
    def ffprobe_components(self) -> list[type]:  # type: ignore[empty-body]
        """Provide components.

        When: once, when the plugin is loaded because a config or a command names it.
        Returns: A list of component classes. Providing a component does not change any run; selecting it does.
        Used by: every first-party plugin.
        """

    @hookspec
    def ffprobe_commands(self, app: typer.Typer) -> None:
        """Add commands to the ``ffprobe`` command line.

        When: once at start-up, before the command line is parsed. Import heavy libraries inside the command function.

        Args:
            app: The ``typer.Typer`` of ffprobe; use ``app.command(...)`` or ``app.add_typer(...)``.
        Returns: None.
        Used by: third-party plugins; the test suite calls it.
        """

    @hookspec
    def ffprobe_before_run(self, context: RunContext) -> None:
        """Called when the network is built and the run file is open.

        When: once, before the first epoch; after ``--resume``, before the first new epoch.

        Args:
            context: The run.
        Returns: None.
        Used by: the probe ``scaling``, which saves the initial norms; third-party loggers.
        """

    @hookspec
    def ffprobe_before_epoch(self, context: EpochContext) -> None:
        """Called at the start of an epoch.

        When: before the first batch of every epoch.

        Args:
            context: The epoch, without metrics and images.
        Returns: None.
        Used by: the progress display; the locality report, which copies the weights.
        """

    @hookspec
    def ffprobe_after_update(self, context: UpdateContext) -> None:
        """Called after each change of weights.

        When: after the optimizer step of an update group and before its gradients are cleared; several times per batch.

        Args:
            context: Which layers changed, and by which loss.
        Returns: None.
        Used by: probes of gradients and weights.
        """

    @hookspec
    def ffprobe_after_step(self, context: StepContext) -> None:
        """Called after each batch.

        When: after all update groups of a batch. Reading the value of a tensor synchronizes with the device; keep the
        tensor and read it later if possible.

        Args:
            context: Losses and goodness of all layers.
        Returns: None.
        Used by: the progress display, ``ffprobe replay``.
        """

    @hookspec
    def ffprobe_after_epoch(self, context: EpochContext) -> None:
        """Called after an epoch and its evaluation, just before the epoch is committed to the run file.

        When: after evaluation. Values recorded here belong to the commit of this epoch.

        Args:
            context: The epoch with its metrics.
        Returns: None.
        Used by: the progress display, probes that record once per epoch.
        """

    @hookspec
    def ffprobe_after_run(self, context: RunContext) -> None:
        """Called after the last epoch and the evaluation on the test set.

        When: once, just before the last commit and before the file gets its final name.

        Args:
            context: The run.
        Returns: None.
        Used by: the test of the order of hooks; third-party loggers.
        """

    @hookspec
    def ffprobe_on_error(self, context: ErrorContext) -> None:
        """Called when an error or an interruption ends the run.

        When: once, before the run file is closed. Committed epochs are never lost.

        Args:
            context: The exception, and the epoch and step at which it was raised.
        Returns: None.
        Used by: the test of the order of hooks; third-party loggers.
        """


OBSERVERS = tuple(
    name
    for name in vars(Hooks)
    if name.startswith("ffprobe_") and name not in ("ffprobe_components", "ffprobe_commands")
)
"""Names of the observer hooks, in the order in which a run calls them."""
