"""One part of the data that a program hands in, as samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torch.utils.data import Dataset as TorchDataset

from ffprobe.data.images import Images, channel_statistics
from ffprobe.data.samples import Samples
from ffprobe.data.train_test import train_test_indices
from ffprobe.errors import UsageError
from ffprobe.given.arrays import class_indices, inputs_of, labels_of

TEST_FRACTION = 0.2
"""Fraction of the samples that becomes the test set if there is none."""


def training_part(data: Any, expected: str) -> tuple[Samples, Sequence[Any]]:
    """The training samples, and their labels as they were handed in, sorted.

    Args:
        data: the part.
        expected: what it may be, for the message.
    """
    if isinstance(data, Samples):
        return data, data.classes
    inputs, labels, features = _arrays(data, expected)
    classes = sorted(set(labels.tolist()))
    names = _class_names(data, classes)
    return _samples(inputs, class_indices(labels, classes, "training"), names, features), classes


def _class_names(data: Any, classes: Sequence[Any]) -> tuple[str, ...]:
    """The names that a data set of torchvision or Hugging Face has for its integer labels, or the labels themselves."""
    known, features = getattr(data, "classes", None), getattr(data, "features", None)
    if isinstance(features, dict):
        known = next((names for feature in features.values() if (names := getattr(feature, "names", None))), known)
    whole = all(isinstance(label, int) and 0 <= label < len(known or ()) for label in classes)
    names = tuple(str(known[label]) for label in classes) if known and whole else tuple(map(str, classes))
    return names if len(set(names)) == len(names) else tuple(map(str, classes))


def validation_part(data: Any, train: Samples, classes: Sequence[Any], expected: str) -> Samples:
    """The samples of another part, with the classes and the statistics of the training part."""
    if isinstance(data, Samples):
        return data
    inputs, labels, features = _arrays(data, expected)
    indices = class_indices(labels, classes, "test")
    if train.kind == "pixels":
        return Images(inputs, indices, train.classes, train.mean, train.std)
    samples = Samples(inputs, indices, train.classes, features=features)
    return samples.with_features(train.features) if train.features and features else samples


def split_off_test(samples: Samples) -> tuple[Samples, Samples, float]:
    """Training samples, test samples, and the fraction of the latter; the same for every seed of a run."""
    train, test = train_test_indices(samples.labels, TEST_FRACTION, groups=samples.groups, classes=samples.classes)
    return samples.subset(train), samples.subset(test), TEST_FRACTION


def _samples(
    inputs: torch.Tensor, labels: torch.Tensor, classes: tuple[str, ...], features: tuple[str, ...]
) -> Samples:
    if inputs.dtype == torch.uint8:
        return Images(inputs, labels, classes, *channel_statistics(inputs))
    return Samples(inputs, labels, classes, features=features)


def _arrays(data: Any, expected: str) -> tuple[torch.Tensor, np.ndarray, tuple[str, ...]]:
    """Inputs, labels, and the names of the columns of a table that has names."""
    if isinstance(data, DataLoader):
        data = data.dataset  # batches and order are those of the run
    if isinstance(data, TensorDataset):
        data = data.tensors
    if hasattr(data, "column_names") and hasattr(data, "features"):
        x, y = _columns(data)
    elif isinstance(data, TorchDataset):
        x, y = _items(data)
    elif isinstance(data, tuple | list) and len(data) == 2:
        x, y = data
    else:
        raise UsageError(f"The data are {type(data).__name__}, which is no data set.", hint=expected)
    inputs, labels = inputs_of(x), labels_of(y)
    if len(inputs) != len(labels):
        raise UsageError(f"There are {len(inputs)} inputs and {len(labels)} labels.")
    columns = getattr(x, "columns", None) if inputs.dim() == 2 else None
    return inputs, labels, () if columns is None else tuple(map(str, columns))


def _items(data: TorchDataset[Any]) -> tuple[np.ndarray, np.ndarray]:
    """The items of a torch data set, ``(input, label)`` each, stacked."""
    if isinstance(data, IterableDataset) or not hasattr(data, "__len__"):
        raise UsageError(
            "The data set has no length, so it cannot be split and repeated exactly.",
            hint="Hand in a map-style torch Dataset, or arrays (X, y).",
        )
    pairs = [data[index] for index in range(len(data))]
    bad = next((pair for pair in pairs if not isinstance(pair, tuple | list) or len(pair) != 2), None)
    if bad is not None or not pairs:
        raise UsageError("Every item of the data set must be a pair (input, label).", hint="Hand in arrays (X, y).")
    return _stacked(x for x, _ in pairs), np.asarray([np.asarray(y).item() for _, y in pairs])


def _columns(data: Any) -> tuple[Any, Any]:
    """Inputs and labels of a data set of Hugging Face: the label column, and the only other one or all numeric ones."""
    names = list(data.column_names)
    labelled = [name for name in names if type(data.features[name]).__name__ == "ClassLabel"]
    labelled += [name for name in ("label", "labels", "target", "y") if name in names and name not in labelled]
    if not labelled:
        raise UsageError(
            f"None of the columns {', '.join(names)} is a label.", hint="Name it label, or hand in (X, y)."
        )
    rest = [name for name in names if name != labelled[0]]
    y = np.asarray(data[labelled[0]][:])
    first = data[0]
    if len(rest) == 1:
        return _stacked(data[index][rest[0]] for index in range(len(data))), y
    numeric = [name for name in rest if isinstance(first[name], int | float)]
    if numeric != rest:
        other = next(name for name in rest if name not in numeric)
        raise UsageError(
            f"The column {other!r} is neither the label nor a number.", hint="Remove it: data.remove_columns([...])."
        )
    return np.stack([np.asarray(data[name][:], dtype=np.float32) for name in numeric], axis=1), y


def _stacked(values: Iterable[Any]) -> np.ndarray:
    """Items as one array; pictures of Pillow come as ``[H, W]`` or ``[H, W, C]``."""
    arrays = [
        value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value) for value in values
    ]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise UsageError(f"The inputs have different shapes: {sorted(shapes)[0]} and {sorted(shapes)[1]}.")
    return np.stack(arrays)
