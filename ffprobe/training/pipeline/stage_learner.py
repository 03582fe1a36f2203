"""The learner of one process of a pipeline: it trains the update groups of its layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import distributed

from ffprobe.components.process_group import ProcessGroup
from ffprobe.components.rule import Learner, Update
from ffprobe.distributed.grid import Grid
from ffprobe.distributed.placement import Placement
from ffprobe.distributed.tensor_bytes import copy_values, joined
from ffprobe.distributed.transfers import Incoming, Transfers, reported
from ffprobe.training.group_learner import GroupLearner, StepState
from ffprobe.training.groups import groups_of_step
from ffprobe.training.pipeline.dropout_draws import draw_masks
from ffprobe.training.pipeline.layer_state import layer_bytes, layer_tensors
from ffprobe.training.pipeline.packet import named_tensors, step_state
from ffprobe.training.pipeline.packet_link import PARTS, STEPS, PacketLink
from ffprobe.training.pipeline.step_plan import ENCODER, StepPlan, step_plan

AHEAD = 2
"""Batches that may be in flight between two processes."""

WEIGHT_TAGS = STEPS * PARTS
"""Tags from here on are those of weights."""


class StageLearner(Learner):
    """Trains the update groups that end with a layer of this process, in the order of one process.

    A group needs what the groups below it passed on in the same step, computed before their update, and the weights of
    its own layers. So while this process trains its groups on one batch, the process below trains on the next one:
    nothing waits for the layers above, and every number is that of one process.

    Every group is trained by one process, which alone has its optimizer state. If groups overlap across a border, the
    weights of the shared layers move to the process that uses them next, in both directions; nothing else moves back.

    Dropout masks come from torch's global generator in the order of one process: every process draws the masks of all
    layers and keeps its own.

    Args:
        learner: of the run's rule, for the whole network.
        placement: the layers of each process.
        process_group: all processes of the run.
        grid: their places; processes of one stage train the same layers, each on its part of every batch.
        per_epoch: number of steps in an epoch; all weights are gathered after each.
        limit: seconds to wait for another process.

    Attributes:
        requested: signal number with which the main process is asked to stop after its next step; 0 for none.
        stop_signal: the signal number that this step came with; all processes stop after the same step.
    """

    def __init__(
        self,
        learner: GroupLearner,
        placement: Placement,
        process_group: ProcessGroup,
        grid: Grid,
        per_epoch: int,
        limit: float,
    ) -> None:
        self.base, self.placement, self.group, self.per_epoch = learner, placement, process_group, per_epoch
        self.grid, self.stage = grid, grid.stage
        self.network = learner.network
        self.requested = self.stop_signal = 0
        self.transfers = Transfers(limit, AHEAD)
        stage, device = grid.stage, next(self.network.parameters()).device
        self.below = PacketLink(self.transfers, grid.rank(stage - 1), device) if stage else None
        self.above = PacketLink(self.transfers, grid.rank(stage + 1), device) if stage + 1 < grid.stages else None
        self._plans: dict[tuple[tuple[int, int], ...], StepPlan] = {}
        self._holders: dict[int, int] = {}  # which process has the newest weights; absent: every process has them
        self._others: dict[str, Any] = {}  # optimizer states of the other processes, on the main process
        self._movable = [ENCODER] if layer_bytes(self.network, ENCODER) else []
        self._movable += [layer for layer in range(self.network.depth) if layer_bytes(self.network, layer)]
        self._draws = any(self.network.layer(index).spec.dropout for index in range(self.network.depth))

    def step(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> Iterator[Update]:
        """Train the groups of this process on one batch; only the first process reads ``images`` and ``labels``."""
        key, plan = self._plan(step, epoch)
        self._others = {}  # the checkpoint is written; what it needed would take the memory of a whole run
        self.transfers.begin_batch()
        weights = self._expect_weights(plan, step)
        state = self._begin(images, labels, step, epoch, key)
        following = None if self._is_last(step) or self.stop_signal else self._plan(step + 1, epoch)[1]
        own = plan.own(self.stage)
        self._draw(plan, range(own.start), state)
        for index in own:
            work = plan.works[index]
            for layer in work.uses:
                if layer in weights:
                    data = self.transfers.receive(weights.pop(layer), f"weights of layer {layer + 1}")
                    copy_values(data, layer_tensors(self.network, layer))
            later = plan.starts_from(index + 1)
            if work.kind == "group":
                yield self.base.train_group(state, (work.start, work.stop))
                self.base.finish_group(state, (work.start, work.stop), later)
            elif work.kind == "idle":
                self.base.run_idle(state, work.stop)
            else:
                self.base.update_idle_normalizer(state)
            self._send_weights(work.uses, plan, index + 1, following, step)
        if self.above:
            self.above.send(named_tensors(state, self.stop_signal, plan.starts_from(own.stop)), key, step)
        self._hold(plan, following, step)
        self._draw(plan, range(own.stop, len(plan.works)), state)
        if self.stop_signal:
            self._stop(step, epoch)

    def synchronize(self, rows: torch.Tensor) -> torch.Tensor:
        """Give every process all weights, and the main process all optimizer states, after the last step of an epoch.

        Args:
            rows: records of this process's layers, ``[..., L]``.

        Returns:
            The records of all layers, each from its process.
        """
        self.transfers.drain()
        self.transfers.meet("end of the epoch")
        for layer, holder in sorted(self._holders.items()):
            tensors = layer_tensors(self.network, layer)
            data, source = joined(tensors), self.grid.rank(holder, 0)
            with reported(source):
                distributed.broadcast(data, source)
            if self.group.rank != source:
                copy_values(data, tensors)
        self._holders.clear()
        states: list[Any] = [None] * self.group.size
        with reported():
            distributed.gather_object(_on_cpu(self._own_state()), states if self.group.is_main else None)
        first = states[:: self.grid.replicas]  # processes of a stage have equal states
        self._others = {key: value for state in first[1:] if state for key, value in state.items()}
        return self.merge(rows)

    def merge(self, rows: torch.Tensor) -> torch.Tensor:
        """The records of all layers ``[..., L]``, each from its process."""
        gathered = self.group.all_gather_stacked(rows.cpu())[:: self.grid.replicas]
        return torch.stack([gathered[self.placement.owner(i)][..., i] for i in range(self.placement.depth)], dim=-1)

    def set_learning_rate(self, rate: float) -> None:
        self.base.set_learning_rate(rate)

    def state_dict(self) -> dict[str, Any]:
        """On the main process the optimizer states of all groups, as of the last ``synchronize``."""
        return {**self.base.state_dict(), **self._others}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the optimizer states of this process; the main process keeps the others for ``state_dict``."""
        own = {key: value for key, value in state.items() if self._owns(key)}
        self.base.load_state_dict(own)
        self._others = {key: value for key, value in state.items() if key not in own} if self.group.is_main else {}

    @property
    def optimizers(self) -> dict[tuple[int, int], torch.optim.Optimizer]:
        """The optimizers by group; those of other processes have no state."""
        return self.base.optimizers

    def _begin(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int, key: Any) -> StepState:
        if self.below is None:
            self.stop_signal = self.grid.sharing.all_reduce_max(self.requested)
            return self.base.begin(images, labels, step, epoch)
        state, self.stop_signal = step_state(self.below.receive(key, step), step, epoch)
        for ahead in self._ahead(step):
            self.below.announce(self._plan(ahead, epoch)[0], ahead)
        return state

    def _ahead(self, step: int) -> range:
        """The steps whose packets are announced during a step: none of the next epoch, before which weights meet."""
        left = self.per_epoch - 1 - step % self.per_epoch
        return range(step + 1, step + 1 + min(AHEAD, left))

    def _stop(self, step: int, epoch: int) -> None:
        # a transfer that is announced and never takes place would disturb the end of the process
        if self.above:
            for ahead in self._ahead(step):
                self.above.send_nothing(self._plan(ahead, epoch)[0], ahead)
        if self.below:
            self.below.discard()
        self.transfers.drain()

    def _plan(self, step: int, epoch: int) -> tuple[tuple[tuple[int, int], ...], StepPlan]:
        groups = tuple(groups_of_step(self.base.setup.scheduler, step, epoch, self.network.depth))
        if groups not in self._plans:
            self._plans[groups] = step_plan(groups, self.placement)
        return groups, self._plans[groups]

    def _is_last(self, step: int) -> bool:
        return (step + 1) % self.per_epoch == 0

    def _expect_weights(self, plan: StepPlan, step: int) -> dict[int, Incoming]:
        """Announce the weights that this process uses in this step and another process has."""
        incoming, holders = {}, dict(self._holders)
        for work, owner in zip(plan.works, plan.owners, strict=True):
            for layer in work.uses:
                holder = holders.get(layer, owner)
                if owner == self.stage != holder and layer in self._movable:
                    count = layer_bytes(self.network, layer)
                    incoming[layer] = self.transfers.expect(count, self.grid.rank(holder), _weight_tag(layer, step))
                holders[layer] = owner
        return incoming

    def _send_weights(
        self, layers: tuple[int, ...], plan: StepPlan, index: int, following: StepPlan | None, step: int
    ) -> None:
        """Send the weights of layers that another process uses next, in this step (from work ``index``) or the next."""
        for layer in layers:
            user, at = plan.next_user(layer, index), step
            if user is None and following:
                user, at = following.next_user(layer), step + 1
            if user not in (None, self.stage) and layer in self._movable:
                assert user is not None
                data = joined(layer_tensors(self.network, layer))
                peer = self.grid.rank(user)
                self.transfers.send(data, peer, _weight_tag(layer, at), f"weights of layer {layer + 1}")

    def _hold(self, plan: StepPlan, following: StepPlan | None, step: int) -> None:
        used = {layer for work in plan.works for layer in work.uses}
        # layers that no process used in this step, but that another process uses in the next
        idle = tuple(layer for layer, holder in self._holders.items() if holder == self.stage and layer not in used)
        self._send_weights(idle, plan, len(plan.works), following, step)
        for work, owner in zip(plan.works, plan.owners, strict=True):
            self._holders.update({layer: owner for layer in work.uses if layer in self._movable})

    def _draw(self, plan: StepPlan, indices: range, state: StepState) -> None:
        if not self._draws:
            return
        rows = len(state.labels) * (2 if self.network.form == "pair" else 1)
        with self.base.setup.autocast():
            enabled = torch.is_autocast_enabled(state.labels.device.type)
            dtype = torch.get_autocast_dtype(state.labels.device.type) if enabled else None
        like = next(self.network.parameters())
        for index in indices:
            draw_masks(self.network, plan.works[index], rows, like.new_zeros((), dtype=dtype))

    def _owns(self, key: str) -> bool:
        return self.placement.owner(int(key.split("-")[1]) - 1) == self.stage

    def _own_state(self) -> dict[str, Any]:
        return {key: value for key, value in self.base.state_dict().items() if self._owns(key)}


def _weight_tag(layer: int, step: int) -> int:
    return WEIGHT_TAGS + (step % 4096) * 4096 + layer + 1


def _on_cpu(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in value.items()}
    return type(value)(_on_cpu(item) for item in value) if isinstance(value, list | tuple) else value
