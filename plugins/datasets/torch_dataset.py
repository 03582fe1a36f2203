"""Any map-style torch data set, named by its class: torchvision's, another package's, or your own."""

from __future__ import annotations

import importlib
import inspect
import re
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from ffprobe_plugins.datasets.joint_labels import joint_labels
from ffprobe_plugins.datasets.torch_items import stacked
from pydantic import Field

import ffprobe

CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)
SELECTING = {"train": (True, False), "split": ("train", "test")}
"""Arguments that select the training part or the test part, by how torchvision's classes name them."""


class TorchDataset(ffprobe.Dataset):
    """A torch data set, named by its class as ``package.module.Class``, with all of its items in memory.

    The class derives from ``torch.utils.data.Dataset``, and its items by index are an input and its label. It is built
    with those of these arguments that its constructor has: ``root`` is ``--data-dir``, ``download`` is ``--download``,
    and ``train=True`` or ``False``, or ``split="train"`` or ``"test"``, selects the part; ``arguments`` are added, and
    no transform is given. If the constructor selects no part, or ``arguments`` fix it, the test samples are a fixed
    part of each class.

    Pictures become uint8, and tensors stay as they are: uint8 ``[C, H, W]`` are pixels, other numbers are values. Class
    names are those of its attribute ``classes``, otherwise the labels. Items that are drawn at random are drawn once,
    from torch's generator with the seed 0.

    The class is code. A run file, config or grid from elsewhere that names one is refused until you name the class
    yourself or add ``--trust``.
    """

    name = "torch-dataset"
    source = "the user"

    class Params(ffprobe.Params):
        """The class, its arguments and the test samples."""

        code: str = Field("", description="the class as package.module.Class, such as torchvision.datasets.KMNIST")
        arguments: dict[str, Any] = Field({}, description="further arguments of its constructor by name, plain values")
        test_fraction: float = Field(
            0.2, gt=0, lt=1, description="fraction of each class that is used for testing if the class has no test part"
        )
        tokens: bool = Field(False, description="whether the inputs are tokens, integers [T] from 0")

    def load(self, split: Literal["train", "test"]) -> ffprobe.Samples:
        """Load one split.

        Raises:
            UsageError: the class is not named, cannot be imported, or needs ``--data-dir`` or other arguments.
            FileError: it cannot be built, or its items have a form that cannot be used.
        """
        return self._splits[split]

    @cached_property
    def _splits(self) -> dict[Literal["train", "test"], ffprobe.Samples]:
        code = self.params.code
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            parts = self._parts(_class(code))
            arrays = [stacked(part, code) for part in parts]
        names = tuple(getattr(parts[0], "classes", ()) or ())
        labels, classes = _labels([labels for _, labels in arrays], names, code)
        inputs = [ffprobe.array_inputs(array, self.params.tokens) for array, _ in arrays]
        vocabulary = max(int(part.max()) for part in inputs) + 1 if self.params.tokens else 0
        count = len(inputs[0])
        train = ffprobe.Samples(inputs[0], labels[:count], classes, vocabulary=vocabulary)
        if len(inputs) == 2:
            return {"train": train, "test": ffprobe.Samples(inputs[1], labels[count:], classes, vocabulary=vocabulary)}
        rows = ffprobe.train_test_indices(labels, self.params.test_fraction, classes=classes)
        return {"train": train.subset(rows[0]), "test": train.subset(rows[1])}

    def _parts(self, of: type) -> list[Any]:
        """The training part and, if the class has one, the test part."""
        refused = {"root", "download"} & self.params.arguments.keys()
        if refused:  # a file may come from elsewhere, but only the user says what is read and downloaded
            what = f"The setting 'dataset.arguments' cannot contain {min(refused)!r}."
            raise ffprobe.UsageError(what, hint="Use --data-dir FOLDER for root, and --download.")
        known = inspect.signature(of).parameters
        selected: list[dict[str, Any]] = [{}]
        for key, values in SELECTING.items():
            if key in known and key not in self.params.arguments:
                selected = [{key: value} for value in values]
                break
        common: dict[str, Any] = {"download": self.download} if "download" in known else {}
        if "root" in known:
            if self.data_dir is not None:
                common["root"] = str(self.data_dir.expanduser())
            elif known["root"].default is inspect.Parameter.empty:
                what = f"The class {self.params.code} needs a folder for its files."
                raise ffprobe.UsageError(what, hint="Add --data-dir FOLDER.")
        return [self._built(of, {**common, **part, **self.params.arguments}) for part in selected]

    def _built(self, of: type, arguments: dict[str, Any]) -> Any:
        code = self.params.code
        try:
            inspect.signature(of).bind(**arguments)
        except TypeError as error:
            raise ffprobe.UsageError(
                f"The class {code} cannot be built: {error}.",
                hint="Give its arguments as a table: --set dataset.arguments='{name = \"value\"}'.",
            ) from error
        try:
            return of(**arguments)
        except Exception as error:  # code of another package
            message = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
            hint = "Check --data-dir and dataset.arguments."
            hint += " Missing files may be downloaded with --download." if arguments.get("download") is False else ""
            raise ffprobe.FileError(f"The class {code} cannot be built: {message}.", hint=hint) from error


def _class(code: str) -> type:
    """The class of this name."""
    if not CLASS.fullmatch(code):  # what ffprobe's check for code in files recognizes, and nothing else
        what = (
            f"The setting 'dataset.code' cannot be {code!r}." if code else "The data set 'torch-dataset' needs a class."
        )
        raise ffprobe.UsageError(what, hint="For example --set dataset.code=torchvision.datasets.KMNIST.")
    module, _, name = code.rpartition(".")
    try:
        found: Any = getattr(importlib.import_module(module), name, None)
    except Exception as error:  # code of another package
        message = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
        raise ffprobe.UsageError(f"{module} cannot be imported: {message}.", hint="Check dataset.code.") from error
    # other classes with a length and items open files for writing, such as numpy.memmap
    ours = isinstance(found, type) and issubclass(found, torch.utils.data.Dataset)
    if not ours or issubclass(found, torch.utils.data.IterableDataset) or not hasattr(found, "__len__"):
        raise ffprobe.UsageError(
            f"{code} is no class of a map-style torch data set.",
            hint="It must derive from torch.utils.data.Dataset and have __len__ and __getitem__.",
        )
    loaded: type = found
    return loaded


def _labels(parts: list[np.ndarray], names: tuple[str, ...], code: str) -> tuple[torch.Tensor, tuple[str, ...]]:
    """The labels of all parts and the class names; ``names`` are used if the labels are their indices."""
    labels = np.concatenate(parts)
    usable = len(names) > 1 and all(isinstance(name, str) and name for name in names) and len({*names}) == len(names)
    if usable and labels.dtype.kind in "iu" and labels.min() >= 0 and labels.max() < len(names):
        return torch.from_numpy(labels.astype(np.int64)), names
    return joint_labels(parts, code)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Return the data set."""
    return [TorchDataset]
