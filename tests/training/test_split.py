"""The samples of a run: statistics of the training part, balanced classes, augmentation by kind."""

from dataclasses import replace
from typing import Any, Literal

import pytest
import torch

import ffprobe
from ffprobe.config.settings import Choice, RunConfig
from ffprobe.data.loader import Loader
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import _augmentation
from ffprobe.training.split import Split, load_split
from tests.toy import toy_config


class Table(ffprobe.Dataset):
    """Ninety samples of class a and ten of class b, of one feature that is far from 0."""

    name = "table"

    def load(self, split: Literal["train", "test"]) -> ffprobe.Samples:
        """The same samples for both splits."""
        inputs = torch.randn(100, 1, generator=torch.Generator().manual_seed(0)) * 5 + 100
        return ffprobe.Samples(inputs, (torch.arange(100) >= 90).long(), ("a", "b"))


def split_of(**training: Any) -> Split:
    config = toy_config(Registry(), training={"max_images": 0, **training})
    slots = {**config.slots, "dataset": Choice(Table, ffprobe.Params())}
    return load_split(RunConfig(config.settings, slots), Registry())


def test_statistics_are_those_of_the_training_part_alone() -> None:
    split = split_of(validation_fraction=0.5)
    assert split.test is not None
    assert split.train.mean == (pytest.approx(split.train.inputs.double().mean().item()),)
    assert split.train.std == (pytest.approx(split.train.inputs.double().std(correction=0).item()),)
    assert split.validation.mean == split.test.mean == split.train.mean
    assert split.validation.inputs.double().mean().item() != pytest.approx(split.train.mean[0])


def test_without_standardize_values_stay_as_they_are() -> None:
    assert (split_of(standardize=False).train.mean, split_of(standardize=False).train.std) == ((0.0,), (1.0,))


def test_balanced_classes_are_drawn_equally_often() -> None:
    train = split_of(balance_classes=True).train
    loader = Loader(train, 30, "cpu", shuffle_generator=torch.Generator().manual_seed(0))
    labels = torch.cat([labels for _ in range(20) for _, labels, _ in loader])
    assert abs(labels.double().mean().item() - 0.5) < 0.05
    assert split_of().train.weights is None


def test_a_table_cannot_be_augmented_and_a_signal_is_if_asked() -> None:
    train = split_of().train
    assert _augmentation(train, "auto")[0] is False
    with pytest.raises(ffprobe.UsageError, match=r"no augmentation for inputs of shape \[1\] that are values"):
        _augmentation(train, True)
    signal = replace(train, inputs=torch.randn(len(train), 1, 64))
    assert _augmentation(signal, True) == (True, 4)
    assert _augmentation(signal, "auto")[0] is False
