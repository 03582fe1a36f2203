"""Data that a program hands in, as a component of a run."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from ffprobe.components.base import Params
from ffprobe.components.dataset import Dataset
from ffprobe.data.samples import Samples
from ffprobe.errors import FileError, UsageError
from ffprobe.given.parts import split_off_test, training_part, validation_part
from ffprobe.given.plugins import plugin_words
from ffprobe.plugin.given import give

BY_SHAPE: Mapping[int, Mapping[str, Any]] = {
    1: {"network": {"name": "mlp"}, "encoder": {"name": "label-features"}},
    2: {"network": {"name": "cnn1d"}, "encoder": {"name": "label-channel"}},
    3: {},
}
"""The network and the encoder of a run by the number of axes of an input, where neither preset nor user chooses."""
EXPECTED = (
    "Give (X, y), a torch Dataset or DataLoader, an ffprobe.Samples, a dictionary of these with the keys train and "
    "test, a data set of Hugging Face, or the name of a data set."
)


class GivenParams(Params):
    """What a run file records of data that were handed in. It describes the data, and cannot rebuild them."""

    text: str = Field("", description="type and shape of the data")
    sha256: str = Field("", description="hash of the training part")
    held_out_test: float = Field(0.0, description="fraction that became the test set, because there was none")


class GivenData(Dataset):
    """The base class of data that were handed in; each has its own name, with a part of its hash.

    Attributes:
        parts: the samples of both splits.
    """

    Params = GivenParams
    parts: ClassVar[Mapping[str, Samples]]

    def load(self, split: Literal["train", "test"]) -> Samples:
        """The samples of one split."""
        return self.parts[split]


def data_word(data: Any) -> str:
    """The word for data that a program handed in.

    Without a test part, a fifth of the samples becomes one: drawn once, stratified by class, the same for every seed.

    Args:
        data: ``(X, y)``, a torch ``Dataset`` or ``DataLoader``, ``ffprobe.Samples``, a dictionary of these with the
            keys ``train`` and ``test``, a data set of Hugging Face, or a ``Dataset`` class or instance of ffprobe.

    Raises:
        UsageError: it is none of these, or its values cannot be used; the message says why.
    """
    if isinstance(data, str):
        return data
    if isinstance(data, Dataset) or (inspect.isclass(data) and issubclass(data, Dataset)):
        return plugin_words([data])[0]
    try:
        train, test, fraction = _parts(data)
    except FileError as error:  # samples that form no data set; there is no file
        raise UsageError(error.what, hint=error.hint) from error
    digest = train.sha256()
    text = f"{type(data).__name__}: {train.kind} {[len(train), *train.shape]}, {len(train.classes)} classes"
    params = {"text": text, "sha256": digest, "held_out_test": fraction}
    attributes = {
        "name": f"data-{digest[:8]}",
        "parts": {"train": train, "test": test},
        "defaults": BY_SHAPE[len(train.shape)],
    }
    return give(type("Given", (GivenData,), attributes), params)


def _parts(data: Any) -> tuple[Samples, Samples, float]:
    if isinstance(data, Mapping):
        names = {str(name).lower(): value for name, value in data.items()}
        if "train" not in names:
            raise UsageError(f"The data have no part 'train'; they have {', '.join(map(str, data))}.", hint=EXPECTED)
        unknown = set(names) - {"train", "test", "validation", "unsupervised"}
        if unknown:
            raise UsageError(f"The data have a part {sorted(unknown)[0]!r}.", hint="The parts are train and test.")
        train, classes = training_part(names["train"], EXPECTED)
        if "test" in names:
            return train, validation_part(names["test"], train, classes, EXPECTED), 0.0
        return split_off_test(train)
    return split_off_test(training_part(data, EXPECTED)[0])
