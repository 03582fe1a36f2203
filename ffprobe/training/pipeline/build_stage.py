"""Places the layers of a run on its processes, and builds the learner of each."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from torch import distributed

from ffprobe.components.process_group import ProcessGroup
from ffprobe.components.rule import Learner, LearnerSetup
from ffprobe.config.settings import RunSettings
from ffprobe.data.loader import Loader
from ffprobe.data.samples import Samples
from ffprobe.distributed.grid import Grid
from ffprobe.distributed.placement import Placement, place
from ffprobe.errors import UsageError
from ffprobe.network.multiply_adds import multiply_adds
from ffprobe.training.group_learner import GroupLearner
from ffprobe.training.pipeline.allowed import HINT, refuse_what_needs_all_layers
from ffprobe.training.pipeline.other_batches import OtherBatches
from ffprobe.training.pipeline.stage_learner import StageLearner
from ffprobe.training.pipeline.work_seconds import by_last_layer, measure, provisional, work_frequencies


def build_stage(
    learner: Learner,
    setup: LearnerSetup,
    components: Mapping[str, Any],
    observers: Iterable[tuple[str, Any]],
    loader: Loader,
    images: Samples,
    process_group: ProcessGroup,
    grid: Grid,
    *,
    epochs: int,
    limit: float,
) -> StageLearner:
    """The learner of this process.

    Args:
        learner: that the rule built for the whole network.
        setup: that it was built from.
        components: the run's components, by slot.
        observers: plugins with hooks, by name.
        loader: the batches of one process.
        images: the training images.
        process_group: two or more processes.
        grid: their places.
        epochs: number of epochs of the run.
        limit: seconds that a process waits for another one.

    Raises:
        UsageError: something of the run needs all layers within a step.
    """
    network = setup.network
    refuse_what_needs_all_layers(components, network, setup.groups, observers, grid.stages)
    if not isinstance(learner, GroupLearner) or type(learner).step is not GroupLearner.step:
        name = components["rule"].name
        raise UsageError(
            f"The rule {name!r} declares independent groups, but its learner is not a plain GroupLearner.", hint=HINT
        )
    placement = _placement(setup, components, loader, images, process_group, grid, epochs)
    return StageLearner(learner, placement, process_group, grid, len(loader), limit)


def stage_loader(loader: Loader, grid: Grid) -> Loader | OtherBatches:
    """The batches of this process: only the first stage loads images."""
    if grid.stage == 0:
        return loader
    return OtherBatches(len(loader), loader.batch_size, loader.preview()[0][:1], grid.sharing)


def _placement(
    setup: LearnerSetup,
    components: Mapping[str, Any],
    loader: Loader,
    images: Samples,
    process_group: ProcessGroup,
    grid: Grid,
    epochs: int,
) -> Placement:
    size, per_epoch = grid.stages, len(loader)
    whole = Placement((0,), setup.network.depth)
    frequencies = work_frequencies(setup, whole, epochs, per_epoch)
    rough = provisional(frequencies, multiply_adds(setup.network, images.shape), size)
    frequencies = work_frequencies(setup, rough, epochs, per_epoch)  # idle layers are divided at the borders
    own = [work for work in frequencies if rough.owner(work.stop - 1) == grid.stage]
    seconds, draws_more = measure(own, setup, components["rule"], *loader.preview())
    if process_group.all_reduce_max(int(draws_more)):
        raise UsageError(
            "A component draws random numbers from torch's global generator besides the dropout of layers; in "
            "parallel layers they would differ from those of one process.",
            hint=HINT,
        )
    before = process_group.broadcast(_batch_seconds(loader) if process_group.is_main else 0.0)
    gathered: list[Any] = [None] * process_group.size
    distributed.all_gather_object(gathered, seconds)
    merged = {work: value for part in gathered[:: grid.replicas] for work, value in part.items()}
    return place(by_last_layer(merged, frequencies, setup.network.depth), size, before)


def _batch_seconds(loader: Loader) -> float:
    # drawing a batch changes the generators, which must begin the run as if nothing had been drawn
    generators = [g for g in (loader._shuffle, loader._augment) if g is not None]
    states = [generator.get_state() for generator in generators]
    began = time.perf_counter()
    next(iter(loader))
    seconds = time.perf_counter() - began
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state)
    return seconds


def is_pipeline(settings: RunSettings, process_group: ProcessGroup) -> bool:
    """Whether the processes of a run divide its layers, and not only its batches."""
    return settings.parallel == "layers" and settings.parallel_stages != 1 and process_group.size > 1
