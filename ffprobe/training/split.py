"""Splits the samples of a run into training, validation and test sets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ffprobe.config.settings import RunConfig
from ffprobe.data.hold_out import hold_out
from ffprobe.data.sample_statistics import statistics
from ffprobe.data.samples import Samples
from ffprobe.errors import UsageError
from ffprobe.plugin.error_attribution import attribute_errors
from ffprobe.plugin.registry import Registry
from ffprobe.runtime.seeding import stream


@dataclass(frozen=True)
class Split:
    """The samples of a run.

    Attributes:
        train: training samples.
        validation: validation samples, held out from the data set's training split; used for every choice.
        test: test samples; None if the test set is never read.
        train_indices: index in the data set's training split of each sample of ``train``, int64 ``[N]``, from 0.
        validation_indices: index in the data set's training split of each sample of ``validation``, as above.
    """

    train: Samples
    validation: Samples
    test: Samples | None
    train_indices: torch.Tensor
    validation_indices: torch.Tensor


def load_split(config: RunConfig, registry: Registry) -> Split:
    """Load and split the samples of a config.

    Mean and standard deviation that the data set does not state are those of the training samples, after the validation
    samples were held out.

    Args:
        config: the resolved config.
        registry: the registry that resolved it.

    Raises:
        FileError: a file is missing or damaged.
        UsageError: no images remain for training or for validation, or the splits of the data set do not match.
    """
    settings = config.settings
    training = settings.training
    where = Path(settings.data.dir).expanduser() if settings.data.dir else None
    with attribute_errors(registry, "loading the data set"):
        dataset = config.slots["dataset"].build(where, settings.data.download)
        samples = dataset.load("train")
        test = None if training.test == "never" else dataset.load("test")
    if test is not None and (test.shape, test.classes) != (samples.shape, samples.classes):
        raise UsageError(
            f"Training and test {samples.noun} differ: {samples.shape} with {len(samples.classes)} classes, but "
            f"{test.shape} with {len(test.classes)} classes."
        )
    generator = stream(settings.seed, "split")
    train, validation = hold_out(samples, training.validation_fraction, generator)
    # in random order, so that the first n samples are a random sample
    train = train[torch.randperm(len(train), generator=generator)]
    validation = validation[torch.randperm(len(validation), generator=generator)]
    if training.max_images:  # a smaller run also gets a smaller validation set, or evaluation would dominate its time
        share = training.validation_fraction / (1 - training.validation_fraction)
        train = train[: training.max_images]
        validation = validation[: max(100, round(training.max_images * share))]
    if len(train) == 0 or len(validation) == 0:
        raise UsageError(
            f"{len(train)} {samples.noun} remain for training and {len(validation)} for validation.",
            hint=f"Change --set training.validation_fraction, a fraction of the training {samples.noun} in (0, 1).",
        )
    parts = [samples.subset(train), samples.subset(validation), test]
    if not training.standardize:
        parts = [part and part.unscaled() for part in parts]
    elif not samples.mean:
        mean, std = statistics(parts[0])
        parts = [part and part.with_statistics(mean, std) for part in parts]
    if training.balance_classes:
        parts[0] = _balanced(parts[0])
    return Split(parts[0], parts[1], parts[2], train, validation)


def _balanced(samples: Samples) -> Samples:
    """The same samples, of which every class is drawn as often as every other, in proportion to their own weights."""
    weights = torch.ones(len(samples), dtype=torch.float64) if samples.weights is None else samples.weights.double()
    totals = torch.zeros(len(samples.classes), dtype=torch.float64).scatter_add_(0, samples.labels, weights)
    return samples.with_weights(weights / totals[samples.labels])
