"""Every hook, in the order of a run's life, and the read-only contexts that they receive.

A hook has one argument called ``context``. Observers return nothing: what a plugin returns from them is an error. The
order between plugins is not defined and carries no meaning. An observer that fails is named, switched off, and the run
goes on and says so in its file; ``ffprobe_components`` and ``ffprobe_commands`` failing make the plugin unusable.
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
"""Raised when a hook or a field of a context is removed or changes its meaning; adding one does not raise it.

A plugin that writes ``hook_version = 1`` in its module is refused, with a sentence, by an ffprobe of another version;
one that writes nothing is loaded and taken at its word.
"""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


def _nowhere(name: str, value: object) -> None:
    raise RuntimeError(f"nothing is being recorded, {name!r} has no place to go")


def _not_running() -> AbstractContextManager[Any]:
    raise RuntimeError("nothing is running, there is nothing to rehearse")


@dataclass(frozen=True)
class LayerInfo:
    """One layer of the network as it stands.

    Attributes:
        name: its name in the run file, ``"0"`` for the first.
        kind: ``conv``, ``linear`` or ``module``.
        input_shape: of what reaches the layer, without the batch.
        output_shape: of its activation, without the batch.
        parameters: how many numbers it learns.
    """

    name: str
    kind: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True)
class RunContext:
    """What is known before the first step.

    Attributes:
        config: the resolved config as nested plain values.
        layers: the layers, first to last.
        classes: the class names.
        epochs: how many epochs the run will take.
        steps_per_epoch: optimizer steps in each.
        network: the ``ffprobe.LayeredNetwork`` being trained; to look at, never to change.
        record: ``record(name, value)`` writes to the plugin's own variables: one more row where the variable has an
            unlimited dimension, the whole value otherwise. Kept in memory until the epoch is committed.
        rehearse: ``with context.run.sandbox() as copy:`` gives an ``ffprobe.Sandbox``: deep copies of network and
            components as they stand now, and a learner at learning rate 0. A probe may step it and look at gradients
            without changing a number of the run; what it draws comes from the run's stream for probes at this step.
    """

    config: Mapping[str, Any]
    layers: tuple[LayerInfo, ...]
    classes: tuple[str, ...]
    epochs: int
    steps_per_epoch: int
    network: Any = None
    record: Callable[[str, object], None] = field(default=_nowhere, repr=False)
    sandbox: Callable[[], AbstractContextManager[Any]] = field(default=_not_running, repr=False)


@dataclass(frozen=True)
class EpochContext:
    """One epoch, before or after it.

    Attributes:
        run: the run's context.
        epoch: from 0.
        step: optimizer steps done so far.
        metrics: after an epoch: ``loss``, ``goodness_positive``, ``goodness_negative`` (float32 ``[layers]``, means
            over the epoch's steps, NaN where a layer had no loss), ``validation_accuracy`` (float32 ``[layers]``, NaN
            when not evaluated); empty before it.
        images: after an epoch: its last batch, float ``[B, C, H, W]``, as learned from; read-only.
        labels: of that batch, int64 ``[B]``.
        record: see ``RunContext.record``.
    """

    run: RunContext
    epoch: int
    step: int
    metrics: Mapping[str, Any] = field(default_factory=dict)
    record: Callable[[str, object], None] = field(default=_nowhere, repr=False)
    images: torch.Tensor | None = field(default=None, repr=False)
    labels: torch.Tensor | None = field(default=None, repr=False)

    def due(self, steps: int) -> bool:
        """After an epoch: whether it took the run past a multiple of ``steps``, or was its last.

        For what costs too much to be done every epoch; a resumed run does it after the same epochs.
        """
        before = self.step - self.run.steps_per_epoch
        return self.step // steps > before // steps or self.epoch + 1 == self.run.epochs


@dataclass(frozen=True)
class UpdateContext:
    """Weights have just changed; gradients are still there.

    Attributes:
        run: the run's context.
        epoch: from 0.
        step: optimizer steps done before this one, from 0, over the whole run.
        layers: the layers whose weights changed.
        loss_layer: the layer that the loss sits on.
        loss: scalar tensor, detached.
        positive: mean goodness of the positives on ``loss_layer`` before the update, scalar tensor, or None.
        negative: the same of the negatives.
        record: see ``RunContext.record``.
    """

    run: RunContext
    epoch: int
    step: int
    layers: range
    loss_layer: int
    loss: torch.Tensor
    positive: torch.Tensor | None = None
    negative: torch.Tensor | None = None
    record: Callable[[str, object], None] = field(default=_nowhere, repr=False)


@dataclass(frozen=True)
class StepContext:
    """One batch is done.

    Attributes:
        run: the run's context.
        epoch: from 0.
        step: optimizer steps done before this one, from 0, over the whole run.
        loss: float32 tensor ``[layers]``, detached, on the run's device; NaN where a layer had no loss.
        positive: mean goodness of the positives, same shape; before the update.
        negative: the same of the negatives.
        images: float ``[B, C, H, W]``, the batch as learned from; read-only. Where several processes share batches:
            the leader's part, while losses and goodness are those of the whole batch.
        labels: int64 ``[B]``.
        learning_rate: of this step.
        record: see ``RunContext.record``.
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
    record: Callable[[str, object], None] = field(default=_nowhere, repr=False)


@dataclass(frozen=True)
class ErrorContext:
    """The run is about to stop with an error.

    Attributes:
        run: the run's context.
        epoch: the epoch under way, from 0.
        step: optimizer steps done.
        error: what was raised.
        record: see ``RunContext.record``.
    """

    run: RunContext
    epoch: int
    step: int
    error: BaseException
    record: Callable[[str, object], None] = field(default=_nowhere, repr=False)


class Hooks:
    """The specifications; each says when it is called, with what, and who uses it."""

    @hookspec
    def ffprobe_components(self) -> list[type]:  # type: ignore[empty-body]
        """Offer components.

        When: once, when the plugin is loaded because a config or a command named it.
        Returns: a list of component classes; offering never changes a run, only choosing does.
        Used by: every first-party plugin.
        """

    @hookspec
    def ffprobe_commands(self, app: typer.Typer) -> None:
        """Add commands to ``ffprobe``.

        When: once at start-up, before the command line is read. Import heavy libraries inside the command.

        Args:
            app: the ``typer.Typer`` of ffprobe; use ``app.command(...)`` or ``app.add_typer(...)``.
        Returns: None.
        Used by: third parties; the test suite fires it.
        """

    @hookspec
    def ffprobe_before_run(self, context: RunContext) -> None:
        """Tell plugins that the network is built and the run file open.

        When: once, before the first epoch (before the first new one after ``--resume``).

        Args:
            context: the run.
        Returns: None.
        Used by: the probe of scaling, which keeps the initial norms; third-party writers.
        """

    @hookspec
    def ffprobe_before_epoch(self, context: EpochContext) -> None:
        """Tell plugins that an epoch begins.

        When: before the first batch of every epoch.

        Args:
            context: the epoch, without metrics.
        Returns: None.
        Used by: the progress display; the locality audit, which copies the weights.
        """

    @hookspec
    def ffprobe_after_update(self, context: UpdateContext) -> None:
        """Tell plugins that weights have just changed.

        When: right after an update group's optimizer step, before its gradients are cleared; several times a step.

        Args:
            context: which layers changed, by which loss.
        Returns: None.
        Used by: probes of gradients and weights.
        """

    @hookspec
    def ffprobe_after_step(self, context: StepContext) -> None:
        """Tell plugins that one batch is done.

        When: after all update groups of a batch. Reading a tensor's value waits for the device; keep it and read
        later where you can.

        Args:
            context: losses and goodness of every layer.
        Returns: None.
        Used by: the progress display, ``ffprobe replay``.
        """

    @hookspec
    def ffprobe_after_epoch(self, context: EpochContext) -> None:
        """Tell plugins that an epoch is done and evaluated, just before it is committed to the file.

        When: after evaluation; what is recorded here belongs to the commit of this epoch.

        Args:
            context: the epoch with its metrics.
        Returns: None.
        Used by: the progress display, probes that record once an epoch.
        """

    @hookspec
    def ffprobe_after_run(self, context: RunContext) -> None:
        """Tell plugins that the last epoch is done and the test set was read.

        When: once, just before the last commit and the renaming of the file.

        Args:
            context: the run.
        Returns: None.
        Used by: the order-of-hooks test; third-party writers.
        """

    @hookspec
    def ffprobe_on_error(self, context: ErrorContext) -> None:
        """Tell plugins that the run stops with an error or an interruption.

        When: once, before the file is closed; committed epochs are safe.

        Args:
            context: what was raised, and where the run stood.
        Returns: None.
        Used by: the order-of-hooks test; third-party writers.
        """


OBSERVERS = tuple(
    name
    for name in vars(Hooks)
    if name.startswith("ffprobe_") and name not in ("ffprobe_components", "ffprobe_commands")
)
"""The hooks that only watch, in the order of a run's life."""
