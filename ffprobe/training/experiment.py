"""Builds everything that a run needs from its config: images, network, learner, random streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from ffprobe.components.base import Component
from ffprobe.components.encoder import Encoder
from ffprobe.components.evaluator import Evaluator
from ffprobe.components.negatives import Negatives
from ffprobe.components.observer import Observer
from ffprobe.components.probe import Probe
from ffprobe.components.process_group import ProcessGroup
from ffprobe.components.rule import Learner, LearnerSetup
from ffprobe.components.scheduler import UpdateScheduler
from ffprobe.config.settings import RunConfig
from ffprobe.data.augment import default_shift, images_augmented
from ffprobe.data.loader import Loader
from ffprobe.data.samples import Samples
from ffprobe.distributed.grid import process_grid
from ffprobe.distributed.shared_batches import refuse_what_needs_the_whole_batch, share_batch_statistics
from ffprobe.distributed.whole_batch import WholeBatchNegatives
from ffprobe.errors import FfprobeError, UsageError
from ffprobe.hookspecs import RunContext
from ffprobe.inference.evaluation_flip import flips_evaluation
from ffprobe.network.compiling import choose_compile, compile_layers
from ffprobe.network.network import LayeredNetwork
from ffprobe.plugin.error_attribution import attribute_errors
from ffprobe.plugin.registry import Registry
from ffprobe.runtime.precision import autocast, choose_device, choose_precision
from ffprobe.runtime.seeding import seeded, stream
from ffprobe.training.groups import plan
from ffprobe.training.optimizers import build_optimizer
from ffprobe.training.pipeline.build_stage import build_stage, is_pipeline
from ffprobe.training.pipeline.stage_learner import StageLearner
from ffprobe.training.split import Split, load_split


@dataclass(frozen=True)
class Experiment:
    """Everything that a trainer needs.

    Attributes:
        config: the resolved config.
        registry: the registry that supplied the components.
        split: the samples for training, validation and testing.
        network: the network, on its device.
        learner: the learner that the rule built for the network.
        setup: the setup that the learner was built from.
        components: the instances that may have state, by slot, ``probe NAME`` or ``observer NAME``.
        evaluator: the evaluator, which predicts from goodness or features.
        probes: the probes, in the order of the config.
        observers: the observers that are components, in the order of the config.
        loader: the batches of the training samples.
        streams: the random generators of training, by name.
        device: the device of the network and of the batches.
        precision: ``fp32``, ``bf16`` or ``fp64``.
        autocast: returns a new context manager for forward passes in this precision.
        learning_rate_steps: the network's own learning rate schedule, as (fraction of the run, factor) pairs.
        process_group: the processes that share each batch, or that train different layers (``pipeline``).
    """

    config: RunConfig
    registry: Registry
    split: Split
    network: LayeredNetwork
    learner: Learner
    setup: LearnerSetup
    components: dict[str, Component]
    evaluator: Evaluator
    probes: tuple[Probe, ...]
    observers: tuple[Observer, ...]
    loader: Any
    streams: dict[str, torch.Generator]
    device: torch.device
    precision: str
    autocast: Callable[[], Any]
    learning_rate_steps: tuple[tuple[float, float], ...]
    process_group: ProcessGroup = field(default_factory=ProcessGroup)

    @property
    def pipeline(self) -> StageLearner | None:
        """The learner of this process if processes train different layers; None otherwise."""
        return self.learner if isinstance(self.learner, StageLearner) else None

    @property
    def context(self) -> RunContext:
        """The context of the run that observers receive."""
        return RunContext(
            config=self.config.to_dict(),
            layers=self.network.describe(),
            classes=self.split.train.classes,
            epochs=self.config.settings.training.epochs,
            steps_per_epoch=len(self.loader),
            network=self.network,
        )


def build(
    config: RunConfig,
    registry: Registry,
    split: Split | None = None,
    loader: Any = None,
    memory_format: torch.memory_format = torch.channels_last,
    optimizer: Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer] | None = None,
    process_group: ProcessGroup | None = None,
    auto_precision: str = "",
    every_layer: bool = True,
) -> Experiment:
    """Build everything that a run needs; the same config gives the same initial weights on every machine.

    Args:
        config: the resolved config.
        registry: the registry that resolved it.
        split: the samples; by default those of the config's data set.
        loader: the batches; by default those of the split's training samples.
        memory_format: memory format of the weights; affects only speed and the rounding of sums.
        optimizer: builds an optimizer for a list of parameters; by default the config's optimizer.
        process_group: the processes that share each batch; by default this process alone.
        auto_precision: what precision ``auto`` stands for; measured by default. A resumed run keeps what it had.
        every_layer: whether a schedule that never updates some layer is an error.

    Raises:
        FfprobeError: something cannot be built; the message names the plugin.
    """
    settings = config.settings
    training = settings.training
    process_group = process_group or ProcessGroup()
    grid = process_grid(process_group, settings.parallel_stages) if is_pipeline(settings, process_group) else None
    sharing = grid.sharing if grid else process_group  # the processes that share each batch
    observers = tuple(choice.build() for choice in config.observers if not isinstance(choice, str))
    with attribute_errors(registry, "preparing an observer"):
        for observer in observers:
            observer.prepare()
    device = choose_device(settings.device)
    precision = auto_precision if auto_precision and settings.precision == "auto" else settings.precision
    # each process may measure another speed, and all must compute alike
    precision = process_group.broadcast(choose_precision(precision, device))
    new_autocast = autocast(precision, device)
    split = split or _load_split(config, registry, process_group)
    slots = config.slots
    components: dict[str, Any] = {kind: choice.build() for kind, choice in slots.items() if kind != "dataset"}
    classes, encoder = len(split.train.classes), components["encoder"]
    with attribute_errors(registry, "building the network"), seeded(settings.seed, "init"):
        parts = (components["network"], encoder, components["normalizer"], components["goodness"])
        network = LayeredNetwork(*parts, split.train.shape, classes, components["loss"])
    network.flip_evaluation = flips_evaluation(training, split.train.kind, split.train.shape)
    if sharing.size > 1:
        batch = min(training.batch_size, len(split.train))
        refuse_what_needs_the_whole_batch(components, network, sharing, batch, training.sync_batch_norm)
        if training.sync_batch_norm:
            share_batch_statistics(network, sharing)
    dtype = torch.float64 if precision == "fp64" else torch.float32
    network.to(device=device, dtype=dtype).to(memory_format=memory_format)
    streams = {name: stream(settings.seed, name) for name in ("shuffle", "augmentation", "negatives")}
    if loader is None:
        loader = _loader(config, split, device, dtype, streams, sharing)
    with attribute_errors(registry, "planning the update groups"):
        generator = stream(settings.seed, "scheduler")
        groups = plan(components["scheduler"], network.depth, training.epochs, len(loader), generator, every_layer)
    network.drop_goodness(set(range(network.depth)) - {stop - 1 for _, stop in groups})
    if choose_compile(training.compile, device):
        compile_layers(network)
    _check_labels(components["negatives"], encoder, network)
    _check_trained(components["evaluator"], components["scheduler"], network)
    learned = encoder.learned if encoder.learned is not None else any(b - a > 1 for a, b in groups)
    network.encoder.requires_grad_(learned)
    setup = LearnerSetup(
        network=network,
        loss=components["loss"],
        scheduler=components["scheduler"],
        negatives=WholeBatchNegatives(components["negatives"], sharing)
        if sharing.size > 1
        else components["negatives"],
        generator=streams["negatives"],
        optimizer=optimizer or partial(build_optimizer, settings=training),
        groups=groups,
        autocast=new_autocast,
        classes=classes,
        process_group=sharing,
    )
    with attribute_errors(registry, "building the rule"), seeded(settings.seed, "rule"):
        learner = components["rule"].build(setup)
    probes = tuple(choice.build() for choice in config.probes)
    if grid:
        watching = [*((p.name, p) for p in (*probes, *observers)), *registry.manager.list_name_plugin()]
        with attribute_errors(registry, "measuring the layers", FfprobeError):
            learner = build_stage(
                learner,
                setup,
                components,
                watching,
                loader,
                split.train,
                process_group,
                grid,
                epochs=training.epochs,
                limit=settings.parallel_timeout,
            )
    return Experiment(
        config,
        registry,
        split,
        network,
        learner,
        setup,
        {**components, **{f"{part.kind} {part.name}": part for part in (*probes, *observers)}},
        components["evaluator"],
        probes,
        observers,
        loader,
        streams,
        device,
        precision,
        new_autocast,
        components["network"].learning_rate_steps,
        process_group,
    )


def _load_split(config: RunConfig, registry: Registry, process_group: ProcessGroup) -> Split:
    # the main process loads first: it may download files or fill a cache, which the other processes then use
    if not process_group.is_main:
        process_group.barrier()
    split = load_split(config, registry)
    if process_group.is_main:
        process_group.barrier()
    return split


def _check_labels(negatives: Negatives, encoder: Encoder, network: LayeredNetwork) -> None:
    if network.form == "class":
        return
    if negatives.gives == "labels" and not encoder.shows_label:
        raise UsageError(
            f"The encoder {encoder.name!r} ignores the label, but the negatives {negatives.name!r} are wrong labels: "
            "positives and negatives would be the same.",
            hint="Use --plugin label-channel, or negatives that are images: --plugin masked-hybrid.",
        )
    if negatives.gives == "images" and encoder.shows_label:
        raise UsageError(
            f"The negatives {negatives.name!r} are images, which are learned without labels, but the encoder "
            f"{encoder.name!r} puts the label into the input.",
            hint="Use --plugin no-label --plugin one-pass, or negatives that are labels: --plugin uniform-wrong.",
        )


def _check_trained(evaluator: Evaluator, scheduler: UpdateScheduler, network: LayeredNetwork) -> None:
    if not evaluator.reads_goodness:
        return
    if network.form == "pair" and not network.shows_label:
        raise UsageError(
            f"The evaluator {evaluator.name!r} compares the goodness of labels, but no label enters the network.",
            hint="Use --plugin one-pass, which reads the layers' activations.",
        )
    untrained = sorted(index + 1 for index in set(evaluator.layers(network.depth)) - set(network.trained_layers))
    if untrained:
        raise UsageError(
            f"The evaluator {evaluator.name!r} uses the goodness of layers {untrained}, which has "
            f"parameters, but with the scheduler {scheduler.name!r} no loss trains them.",
            hint="Use --plugin layer-goodness:layers=last, or --plugin greedy.",
        )


def _loader(
    config: RunConfig,
    split: Split,
    device: torch.device,
    dtype: torch.dtype,
    streams: dict[str, torch.Generator],
    process_group: ProcessGroup,
) -> Loader:
    training = config.settings.training
    augmented, shift = _augmentation(split.train, training.augmentation)
    shift = shift if training.crop_padding is None else training.crop_padding
    return Loader(
        split.train,
        training.batch_size,
        device,
        shuffle_generator=streams["shuffle"],
        augment_generator=streams["augmentation"] if augmented else None,
        shift=shift,
        degrees=training.rotation,
        flip=training.flip,
        fill=training.crop_fill,
        dtype=dtype,
        part=process_group.begin_batch,
    )


def _augmentation(samples: Samples, setting: Any) -> tuple[bool, int]:
    """Whether the training samples are augmented, and their largest shift by default, in pixels or time steps."""
    if samples.kind == "pixels":
        return images_augmented(samples.shape, setting), default_shift(min(samples.shape[1:]))
    signals = samples.kind == "values" and len(samples.shape) == 2
    if setting is True and not signals:
        raise UsageError(
            f"There is no augmentation for inputs of shape {list(samples.shape)} that are {samples.kind}.",
            hint="Remove training.augmentation=true; pixels and signals [C, T] can be augmented.",
        )
    return setting is True, max(1, samples.shape[-1] // 16)
