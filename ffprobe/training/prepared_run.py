"""A run before its file is opened: everything is built and checked, and the records are declared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ffprobe.components.process_group import ProcessGroup
from ffprobe.config.settings import RunConfig
from ffprobe.errors import FfprobeError, PluginError, UsageError, describe
from ffprobe.inference.activations import ActivationSampler
from ffprobe.plugin.error_attribution import attribute_errors
from ffprobe.plugin.registry import Registry
from ffprobe.runtime.seeding import stream
from ffprobe.store.layout import check_schema
from ffprobe.store.schema import ActivationRecord, RunMetadata, Variable, run_schema
from ffprobe.training.experiment import Experiment, build
from ffprobe.training.image_choice import recorded_rows
from ffprobe.training.metadata import run_metadata
from ffprobe.training.sanity_check import sanity_check


@dataclass(frozen=True)
class PreparedRun:
    """A run that is built and checked, and whose records are declared; no file exists yet.

    Attributes:
        experiment: everything that the trainer needs.
        sampler: samples the activations to record; None if none are recorded.
        fit_samples: number of the sampler's images that linear probes are fitted on; the others are held out.
        metadata: determines the layout of the run file; None on processes other than the main one, which write nothing.
    """

    experiment: Experiment
    sampler: ActivationSampler | None
    fit_samples: int
    metadata: RunMetadata | None


def prepare(
    config: RunConfig,
    registry: Registry,
    *,
    command: str = "",
    process_group: ProcessGroup | None = None,
    auto_precision: str = "",
) -> PreparedRun:
    """Build everything, check it on one batch, and declare what will be recorded.

    A component that breaks its contract is reported here, before training starts and before a file exists.

    Args:
        config: the resolved config.
        registry: the registry that resolved it.
        command: the command line, saved in the file.
        process_group: the processes that train together; by default this process alone.
        auto_precision: what precision ``auto`` stands for; measured by default.

    Raises:
        FfprobeError: a component cannot be built or breaks its contract, or a record cannot be declared.
    """
    experiment = build(config, registry, process_group=process_group, auto_precision=auto_precision)
    with attribute_errors(registry, "trying the first batch", FfprobeError):
        sanity_check(experiment, *experiment.loader.preview())
    if not experiment.process_group.is_main:
        return PreparedRun(experiment, None, 0, None)
    sampler, fit = _sampler(experiment)
    return PreparedRun(experiment, sampler, fit, _metadata(experiment, sampler, fit, command))


def _metadata(experiment: Experiment, sampler: ActivationSampler | None, fit: int, command: str) -> RunMetadata:
    context = experiment.context
    with attribute_errors(experiment.registry, "declaring what a probe records"):
        declared: dict[str, Sequence[Variable]] = {p.name: p.variables(context) for p in experiment.probes}
    for probe in experiment.probes:
        _check_declared(probe.name, declared[probe.name], experiment.registry)
    records: Sequence[ActivationRecord] = sampler.records if sampler else ()
    total = len(sampler.images) if sampler else 0
    probes = {name: variables for name, variables in declared.items() if variables}
    with attribute_errors(experiment.registry, "running the untrained network", FfprobeError):  # counts multiply-adds
        return run_metadata(experiment, records, (fit, total - fit), probes, command)


def _check_declared(probe: str, variables: Sequence[Variable], registry: Registry) -> None:
    """Refuse what a file cannot hold while the probe's name is known; the whole file is checked when it is created."""
    try:
        check_schema(run_schema(RunMetadata(("0",), ("a", "b"), 1, 1, {}, probes={probe: variables})))
    except (ValueError, TypeError, AttributeError) as error:
        where = next((p.where for p in registry.loaded if any(o.name == probe for o in p.offers)), "")
        raise PluginError(
            f"The probe {probe!r} declares what a run file cannot hold: {describe(error).strip().removesuffix('.')}.",
            where=where,
            hint="Change what its method variables() returns; see docs/hooks.md.",
        ) from error


def _sampler(experiment: Experiment) -> tuple[ActivationSampler | None, int]:
    # three quarters are training images to fit on, one quarter are validation images to score on
    recording = experiment.config.settings.recording
    features = not experiment.evaluator.reads_goodness
    if features and not recording.activations:
        raise UsageError(
            f"The evaluator {experiment.evaluator.name!r} is fitted on recorded activations, but none are recorded.",
            hint="Remove --set recording.activations=false.",
        )
    needed = features or any("activations" in probe.needs for probe in experiment.probes)
    if not (needed if recording.activations == "auto" else recording.activations):
        return None, 0
    split = experiment.split
    score = min(recording.samples // 4, len(split.validation))
    fit = min(recording.samples - recording.samples // 4, len(split.train))
    fitted, held_out = recorded_rows(split.train_indices, fit), recorded_rows(split.validation_indices, score)
    images = split.train.subset(fitted).joined(split.validation.subset(held_out))
    labels = None
    if any("random-label" in probe.needs for probe in experiment.probes):
        generator = stream(experiment.config.settings.seed, "probes")
        labels = torch.randint(len(images.classes), (len(images),), generator=generator)
    with attribute_errors(experiment.registry, "running the untrained network", FfprobeError):
        return ActivationSampler(
            experiment.network, images, recording.max_features, experiment.autocast, labels, held_out
        ), fit
