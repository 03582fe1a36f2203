"""The in-memory data set: inputs of any shape, and their labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

if TYPE_CHECKING:
    import torch

from ffprobe.data.sample_problems import problem_of
from ffprobe.errors import FileError

InputKind = Literal["pixels", "values", "tokens"]
"""How inputs are stored: uint8 pixels, float32 values, or integer tokens."""

_CHUNK = 1024  # samples read at once in a pass over all samples


@dataclass(frozen=True)
class Samples:
    """One split of a data set; immutable.

    A network gets every input channels first, as floats: a table ``[B, F]``, signals ``[B, C, T]``, images
    ``[B, C, H, W]``. Values and pixels are normalized by ``mean`` and ``std``. Tokens become one-hot signals
    ``[B, V, T]`` with a channel for each of the V tokens, so that an embedding is a linear map of the channels.

    Attributes:
        noun: what a message calls the samples.
        inputs: float32 ``[N, F]``, ``[N, C, T]`` or ``[N, C, H, W]`` (values, finite); uint8 ``[N, C, H, W]``, 0 to 255
            (pixels); or integers ``[N, T]``, 0 to ``vocabulary - 1`` (tokens).
        labels: int64 ``[N]``, 0 to ``len(classes) - 1``.
        classes: class names in label order; at least two.
        mean: mean of each feature or channel, in the unit of the inputs; of pixels on the scale 0 to 1. Empty: a run
            computes it from its training samples, without those held out.
        std: standard deviation of each feature or channel, as ``mean``; at least ``MIN_STD``.
        vocabulary: number of different tokens, V; 0 if the inputs are no tokens.
        weights: how often each sample is drawn for training relative to the others, float64 ``[N]``, not negative; None
            if every sample is drawn once an epoch.
        groups: the group of each sample, int64 ``[N]``; a group is held out as a whole. None for no groups.
        features: names of the features of a table, in their order; a prediction matches them by name. Empty for none.

    Raises:
        FileError: shapes, dtypes or values are invalid or inconsistent; the message says which.
    """

    noun: ClassVar[str] = "samples"  # in messages

    inputs: torch.Tensor
    labels: torch.Tensor
    classes: tuple[str, ...]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    vocabulary: int = 0
    weights: torch.Tensor | None = None
    groups: torch.Tensor | None = None
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problem = problem_of(self)
        if problem:
            raise FileError(f"The {self.noun} do not form a data set: {problem}.")

    def __len__(self) -> int:
        return self.inputs.shape[0]

    @property
    def kind(self) -> InputKind:
        """How the inputs are stored."""
        if self.vocabulary:
            return "tokens"
        return "values" if self.inputs.dtype.is_floating_point else "pixels"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input of the network: ``(F,)``, ``(C, T)`` or ``(C, H, W)``; of tokens ``(V, T)``."""
        shape = tuple(int(side) for side in self.inputs.shape[1:])
        return (self.vocabulary, *shape) if self.vocabulary else shape

    def subset(self, indices: torch.Tensor) -> Self:
        """The samples at ``indices`` (int64 ``[M]``), in that order."""
        lazy = getattr(self.inputs, "subset", None)
        rest = {name: value[indices] for name in ("weights", "groups") if (value := getattr(self, name)) is not None}
        inputs = self.inputs[indices] if lazy is None else lazy(indices)
        return self._replace(inputs=inputs, labels=self.labels[indices], **rest)

    def joined(self, other: Samples) -> Self:
        """These samples, then those of ``other``, in memory; without weights and groups."""
        import torch

        inputs = torch.cat([self.inputs[:], other.inputs[:]])
        labels = torch.cat([self.labels, other.labels])
        return self._replace(inputs=inputs, labels=labels, weights=None, groups=None)

    def with_features(self, names: Sequence[str]) -> Self:
        """The same samples with the features of a table in another order.

        Args:
            names: all of ``features``, in the order that is wanted.

        Raises:
            FileError: the features have other names; the message has those that are missing and those that are new.
        """
        missing, new = (sorted(set(a) - set(b)) for a, b in ((names, self.features), (self.features, names)))
        if missing or new:
            texts = [
                f"{what} {', '.join(map(repr, some[:5]))}" for what, some in (("no", missing), ("new", new)) if some
            ]
            raise FileError(
                f"The features differ from those that the network was trained on: {' and '.join(texts)}.",
                hint="A text of a column is a feature of its own, named COLUMN=TEXT.",
            )
        order = [self.features.index(name) for name in names]
        return self._replace(inputs=self.inputs[:, order], features=tuple(names))

    def with_statistics(self, mean: Sequence[float], std: Sequence[float]) -> Self:
        """The same samples with another mean and std."""
        return self._replace(mean=tuple(mean), std=tuple(std))

    def with_weights(self, weights: torch.Tensor) -> Self:
        """The same samples with other weights, float64 ``[N]``."""
        return self._replace(weights=weights)

    def unscaled(self) -> Self:
        """The same samples with mean 0 and std 1: a network gets values as they are, and pixels from 0 to 1."""
        return self.with_statistics((0.0,) * self.shape[0], (1.0,) * self.shape[0])

    def sha256(self) -> str:
        """A hash of inputs, labels and class names, the same on every machine."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        digest = hashlib.sha256()
        stored = () if self.kind == "pixels" else (str(self.inputs.dtype), self.vocabulary)
        digest.update(repr((tuple(self.inputs.shape), *stored, self.classes)).encode())
        for start in range(0, len(self), _CHUNK):
            digest.update(self.inputs[start : start + _CHUNK].contiguous().numpy().data)
        digest.update(self.labels.contiguous().numpy().astype("<i8").tobytes())
        return digest.hexdigest()

    def _replace(self, **changes: Any) -> Self:
        # a subclass may have another __init__, so dataclasses.replace does not work
        new = object.__new__(type(self))
        for field in fields(Samples):
            object.__setattr__(new, field.name, changes.get(field.name, getattr(self, field.name)))
        new.__post_init__()
        return new
