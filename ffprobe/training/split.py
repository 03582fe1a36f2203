"""The images of a run: learned from, held out for validation, and for the test at the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ffprobe.config.settings import RunConfig
from ffprobe.data.hold_out import hold_out
from ffprobe.data.images import Images
from ffprobe.errors import UsageError
from ffprobe.plugin.error_attribution import attribute_errors
from ffprobe.plugin.registry import Registry
from ffprobe.runtime.seeding import stream


@dataclass(frozen=True)
class Split:
    """The images of a run.

    Attributes:
        train: learned from.
        validation: held out from the training set; chooses.
        test: None when it is never read.
        train_indices: where ``train`` lies in the data set's training split, int64.
        validation_indices: the same of ``validation``.
    """

    train: Images
    validation: Images
    test: Images | None
    train_indices: torch.Tensor
    validation_indices: torch.Tensor


def load_split(config: RunConfig, registry: Registry) -> Split:
    """The images that a config asks for.

    Raises:
        FileError: a file is missing or damaged.
        UsageError: too few images are left to learn from.
    """
    settings = config.settings
    training = settings.training
    where = Path(settings.data.dir).expanduser() if settings.data.dir else None
    with attribute_errors(registry, "loading the data set"):
        dataset = config.slots["dataset"].build(where, settings.data.download)
        images = dataset.load("train")
        test = None if training.test == "never" else dataset.load("test")
    if test is not None and (test.shape, test.classes) != (images.shape, images.classes):
        raise UsageError(
            f"Training and test images differ: {images.shape} with {len(images.classes)} classes against "
            f"{test.shape} with {len(test.classes)}."
        )
    if not training.standardize:
        images, test = images.unscaled(), test and test.unscaled()
    generator = stream(settings.seed, "split")
    train, validation = hold_out(images, training.validation_fraction, generator)
    # in random order, so that the first n of them are a fair sample
    train = train[torch.randperm(len(train), generator=generator)]
    validation = validation[torch.randperm(len(validation), generator=generator)]
    if training.max_images:  # a smaller run has a smaller validation set too, or it would spend its time there
        share = training.validation_fraction / (1 - training.validation_fraction)
        train = train[: training.max_images]
        validation = validation[: max(100, round(training.max_images * share))]
    if len(train) == 0 or len(validation) == 0:
        raise UsageError(
            f"{len(train)} images would be left to learn from and {len(validation)} for validation.",
            hint="Change --set training.validation_fraction, a share of the training images above 0.",
        )
    return Split(images.subset(train), images.subset(validation), test, train, validation)
