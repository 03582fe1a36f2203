"""From a config to everything a run needs: images, network, learner, streams."""

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
from ffprobe.components.probe import Probe
from ffprobe.components.process_group import ProcessGroup
from ffprobe.components.rule import Learner, LearnerSetup
from ffprobe.components.scheduler import UpdateScheduler
from ffprobe.config.settings import RunConfig
from ffprobe.data.augment import default_shift
from ffprobe.data.loader import Loader
from ffprobe.distributed.shared_batches import refuse_what_needs_the_whole_batch, share_batch_statistics
from ffprobe.distributed.whole_batch import WholeBatchNegatives
from ffprobe.errors import UsageError
from ffprobe.hookspecs import RunContext
from ffprobe.network.compiling import choose_compile, compile_layers
from ffprobe.network.network import LayeredNetwork
from ffprobe.plugin.error_attribution import attribute_errors
from ffprobe.plugin.registry import Registry
from ffprobe.runtime.precision import autocast, choose_device, choose_precision
from ffprobe.runtime.seeding import seeded, stream
from ffprobe.training.groups import plan
from ffprobe.training.optimizers import build_optimizer
from ffprobe.training.split import Split, load_split


@dataclass(frozen=True)
class Experiment:
    """Everything a trainer needs.

    Attributes:
        config: resolved.
        registry: which supplied the components.
        split: the images.
        network: the network, on its device.
        learner: the rule at work on it.
        bench: what that rule was built on.
        components: the instances that may keep a state of their own, by slot or ``probe NAME``.
        evaluator: how a prediction is read.
        probes: instances, in the order of the config.
        loader: batches of the training images.
        streams: the generators that training draws from, by name.
        device: of network and batches.
        precision: ``fp32``, ``bf16`` or ``fp64``.
        autocast: maker of the precision's context.
        learning_rate_steps: the network's own schedule.
        process_group: the processes that share each batch.
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
    loader: Any
    streams: dict[str, torch.Generator]
    device: torch.device
    precision: str
    autocast: Callable[[], Any]
    learning_rate_steps: tuple[tuple[float, float], ...]
    process_group: ProcessGroup = field(default_factory=ProcessGroup)

    @property
    def context(self) -> RunContext:
        """What observers are told of the run."""
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
) -> Experiment:
    """Everything a run needs; the same config gives the same initial weights on every machine.

    Args:
        config: resolved.
        registry: that resolved it.
        split: the images, when they do not come from the config's data set.
        loader: batches, when they do not come from the split.
        memory_format: of weights; decides nothing but speed and the rounding of sums.
        optimizer: builds an optimizer over parameters, when it is not the config's.
        process_group: the processes that share each batch; this one alone unless given.

    Raises:
        FfprobeError: something cannot be built; the message names the plugin.
    """
    settings = config.settings
    training = settings.training
    process_group = process_group or ProcessGroup()
    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    casting = autocast(precision, device)
    split = split or _load_in_turn(config, registry, process_group)
    slots = config.slots
    made: dict[str, Any] = {kind: choice.build() for kind, choice in slots.items() if kind != "dataset"}
    classes, encoder = len(split.train.classes), made["encoder"]
    with attribute_errors(registry, "building the network"), seeded(settings.seed, "init"):
        parts = (made["network"], encoder, made["normalizer"], made["goodness"])
        network = LayeredNetwork(*parts, split.train.shape, classes, made["loss"])
    if process_group.size > 1:
        batch = min(training.batch_size, len(split.train))
        refuse_what_needs_the_whole_batch(made, network, process_group, batch, training.sync_batch_norm)
        if training.sync_batch_norm:
            share_batch_statistics(network, process_group)
    dtype = torch.float64 if precision == "fp64" else torch.float32
    network.to(device=device, dtype=dtype).to(memory_format=memory_format)
    streams = {name: stream(settings.seed, name) for name in ("shuffle", "augmentation", "negatives")}
    if loader is None:
        loader = _loader(config, split, device, dtype, streams, process_group)
    with attribute_errors(registry, "planning the update groups"):
        groups = plan(made["scheduler"], network.depth, training.epochs, len(loader))
    network.drop_goodness(set(range(network.depth)) - {stop - 1 for _, stop in groups})
    if choose_compile(training.compile, device):
        compile_layers(network)
    _check_labels(made["negatives"], encoder, network)
    _check_taught(made["evaluator"], made["scheduler"], network)
    learned = encoder.learned if encoder.learned is not None else any(b - a > 1 for a, b in groups)
    network.encoder.requires_grad_(learned)
    setup = LearnerSetup(
        network=network,
        loss=made["loss"],
        scheduler=made["scheduler"],
        negatives=WholeBatchNegatives(made["negatives"], process_group)
        if process_group.size > 1
        else made["negatives"],
        generator=streams["negatives"],
        optimizer=optimizer or partial(build_optimizer, settings=training),
        groups=groups,
        autocast=casting,
        classes=classes,
        process_group=process_group,
    )
    with attribute_errors(registry, "building the rule"), seeded(settings.seed, "rule"):
        learner = made["rule"].build(setup)
    probes = tuple(choice.build() for choice in config.probes)
    return Experiment(
        config,
        registry,
        split,
        network,
        learner,
        setup,
        {**made, **{f"probe {probe.name}": probe for probe in probes}},
        made["evaluator"],
        probes,
        loader,
        streams,
        device,
        precision,
        casting,
        made["network"].learning_rate_steps,
        process_group,
    )


def _load_in_turn(config: RunConfig, registry: Registry, process_group: ProcessGroup) -> Split:
    # the leader first: it may download, or fill a cache, which the others then find
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
            f"The encoder {encoder.name!r} shows no label, and the negatives {negatives.name!r} are wrong labels: "
            "positives and negatives would be the same.",
            hint="Use --plugin label-channel, or negatives that are images: --plugin masked-hybrid.",
        )
    if negatives.gives == "images" and encoder.shows_label:
        raise UsageError(
            f"The negatives {negatives.name!r} are images, which are learned without labels; the encoder "
            f"{encoder.name!r} shows one.",
            hint="Use --plugin no-label --plugin one-pass, or negatives that are labels: --plugin uniform-wrong.",
        )


def _check_taught(evaluator: Evaluator, scheduler: UpdateScheduler, network: LayeredNetwork) -> None:
    if not evaluator.reads_goodness:
        return
    if network.form == "pair" and not network.shows_label:
        raise UsageError(
            f"The evaluator {evaluator.name!r} compares the goodness of labels, and no label enters the network.",
            hint="Use --plugin one-pass, which reads the layers' activations.",
        )
    idle = sorted(set(evaluator.layers(network.depth)) - set(network.trained_layers))
    if idle:
        raise UsageError(
            f"The evaluator {evaluator.name!r} reads the goodness of layers {idle}, which is learned; under the "
            f"scheduler {scheduler.name!r} no loss teaches it there.",
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
    side = min(split.train.shape[1:])
    # a rotation to the nearest pixel redraws an 8 px digit: it costs 5 points of validation accuracy there
    augmented = side >= 16 if training.augmentation == "auto" else training.augmentation
    shift = default_shift(side) if training.crop_padding is None else training.crop_padding
    return Loader(
        split.train,
        training.batch_size,
        device,
        shuffle_generator=streams["shuffle"],
        augment_generator=streams["augmentation"] if augmented else None,
        shift=shift,
        degrees=training.rotation,
        dtype=dtype,
        part=process_group.begin_batch,
    )
