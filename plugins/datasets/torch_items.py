"""Stacks the items of a torch data set into arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

import ffprobe

DEEP = ("I", "F")  # beginnings of PIL's modes with more than 8 bits


def stacked(dataset: Any, owner: str) -> tuple[np.ndarray, np.ndarray]:
    """The inputs ``[N, ...]`` and the labels ``[N]`` of all items, in their order.

    An item is a pair, or a longer tuple whose first two parts are input and label. A picture of PIL becomes uint8
    ``[C, H, W]``, grey or RGB; if one is RGB, all become RGB. Everything else stays as it is.

    Args:
        dataset: has a length, and items by their indices.
        owner: name of its class, for messages.

    Raises:
        FileError: an item has another form, or the items have different shapes.
    """
    inputs, labels = [], []
    for index in range(len(dataset)):
        item = dataset[index]
        if not isinstance(item, Sequence) or len(item) < 2:
            raise ffprobe.FileError(
                f"Item {index} of {owner} is {type(item).__name__}, not a pair of an input and its label.",
                hint="Choose a data set for classification, whose items are pairs.",
            )
        inputs.append(_array(item[0], index, owner))
        labels.append(_label(item[1], index, owner))
    if not inputs:
        raise ffprobe.FileError(f"{owner} has no items.", hint="Check its files and its arguments.")
    if {array.shape[0] for array in inputs if array.ndim == 3 and array.dtype == np.uint8} == {1, 3}:
        inputs = [np.repeat(array, 3 // array.shape[0], axis=0) for array in inputs]
    first = inputs[0].shape
    other = next((index for index, array in enumerate(inputs) if array.shape != first), None)
    if other is not None:
        raise ffprobe.FileError(
            f"Item {other} of {owner} has the shape {list(inputs[other].shape)}, but item 0 has {list(first)}.",
            hint="All inputs need one shape: resize or crop them in a class of your own.",
        )
    return np.stack(inputs), np.array(labels)


def _array(value: Any, index: int, owner: str) -> np.ndarray:
    if isinstance(value, Image.Image):
        if value.mode.startswith(DEEP):
            raise ffprobe.FileError(
                f"Item {index} of {owner} is a picture of the mode {value.mode}, which has more than 8 bits.",
                hint="Convert it to 8 bits in a class of your own; how, depends on its range.",
            )
        grey = value.mode in ("1", "L")
        pixels = np.asarray(value.convert("L" if grey else "RGB"))
        return pixels[None] if grey else pixels.transpose(2, 0, 1)
    array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    if array.dtype.kind not in "fiub" or array.ndim == 0:
        found = f"{type(value).__name__} of {array.dtype} {list(array.shape)}"
        raise ffprobe.FileError(
            f"The input of item {index} of {owner} is {found}, not a picture or numbers.",
            hint="A class of your own can turn it into a tensor.",
        )
    return array


def _label(value: Any, index: int, owner: str) -> Any:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "fiubU":
        raise ffprobe.FileError(
            f"The label of item {index} of {owner} is {type(value).__name__} {list(array.shape)}, not one class.",
            hint="Choose a data set for classification, whose labels are numbers or texts.",
        )
    return array.reshape(-1)[0]
