"""The images that a trained network predicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch

from ffprobe.config.settings import RunConfig
from ffprobe.data.samples import Samples
from ffprobe.errors import FileError, UsageError
from ffprobe.plugin.error_attribution import attribute_errors
from ffprobe.plugin.registry import Registry
from ffprobe.store.reader import RunFile

SplitName = Literal["test", "validation", "train"]


def images_to_predict(
    run: RunFile, config: RunConfig, registry: Registry, split: SplitName = "test", count: int = 0
) -> Samples:
    """The images of one split, checked against the run's training data.

    Args:
        run: the run file.
        config: config that names the data set, which may differ from the run's.
        registry: registry that resolved the config.
        split: ``test``, ``train``, or ``validation`` for the images that this run held out of its training split.
        count: number of images, from the first; 0 for all.

    Raises:
        UsageError: the images have another shape or other classes than the run's.
        FileError: files are missing or damaged, or the validation images are not those of the run.
    """
    data = config.settings.data
    where = Path(data.dir).expanduser() if data.dir else None
    with attribute_errors(registry, "loading the data set"):
        dataset = config.slots["dataset"].build(where, data.download)
        images: Samples = dataset.load("test" if split == "test" else "train")
    attributes: Any = run.attributes
    shape, classes = tuple(attributes["image_shape"]), tuple(attributes["class_names"])
    name = config.slots["dataset"].component.name
    recorded = tuple(attributes.get("feature_names", ()))
    if recorded and images.features:
        images = images.with_features(recorded)
    if images.shape != shape:
        raise UsageError(
            f"The {images.noun} of {name!r} have shape {_size(images.shape)}, but the run was trained on "
            f"{_size(shape)}.",
            hint="Choose a data set with the same shape, or train on this one.",
        )
    if images.classes != classes:
        raise UsageError(
            f"The classes of {name!r} differ from those of the run: {_first(images.classes)} and {_first(classes)}.",
            hint="Choose a data set with the same classes in the same order.",
        )
    if split == "validation":
        images = _held_out(run, images, name)
    return images.subset(torch.arange(min(count, len(images)))) if count else images


def _held_out(run: RunFile, images: Samples, name: str) -> Samples:
    rows = torch.as_tensor(run.read("evaluation/source_index"))
    held_out = images.subset(rows) if int(rows.max()) < len(images) else None
    if held_out is None or held_out.sha256() != run.attributes["validation_sha256"]:
        raise FileError(
            f"The training split of {name!r} does not contain the images that this run held out.",
            where=str(run.path),
            hint="Choose the run's own data set, or use --split test.",
        )
    return held_out


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _first(classes: tuple[str, ...], count: int = 4) -> str:
    shown = ", ".join(classes[:count])
    return shown if len(classes) <= count else f"{shown} ... ({len(classes)})"
