"""Splits the images of a run into training, validation and test sets."""

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
        train: training images.
        validation: validation images, held out from the data set's training split; used for every choice.
        test: test images; None if the test set is never read.
        train_indices: index in the data set's training split of each image of ``train``, int64 ``[N]``, from 0.
        validation_indices: index in the data set's training split of each image of ``validation``, as above.
    """

    train: Images
    validation: Images
    test: Images | None
    train_indices: torch.Tensor
    validation_indices: torch.Tensor


def load_split(config: RunConfig, registry: Registry) -> Split:
    """Load and split the images of a config.

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
        images = dataset.load("train")
        test = None if training.test == "never" else dataset.load("test")
    if test is not None and (test.shape, test.classes) != (images.shape, images.classes):
        raise UsageError(
            f"Training and test images differ: {images.shape} with {len(images.classes)} classes, but "
            f"{test.shape} with {len(test.classes)} classes."
        )
    if not training.standardize:
        images, test = images.unscaled(), test and test.unscaled()
    generator = stream(settings.seed, "split")
    train, validation = hold_out(images, training.validation_fraction, generator)
    # in random order, so that the first n images are a random sample
    train = train[torch.randperm(len(train), generator=generator)]
    validation = validation[torch.randperm(len(validation), generator=generator)]
    if training.max_images:  # a smaller run also gets a smaller validation set, or evaluation would dominate its time
        share = training.validation_fraction / (1 - training.validation_fraction)
        train = train[: training.max_images]
        validation = validation[: max(100, round(training.max_images * share))]
    if len(train) == 0 or len(validation) == 0:
        raise UsageError(
            f"{len(train)} images remain for training and {len(validation)} for validation.",
            hint="Change --set training.validation_fraction, a fraction of the training images in (0, 1).",
        )
    return Split(images.subset(train), images.subset(validation), test, train, validation)
