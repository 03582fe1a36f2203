"""The validation set."""

import pytest
import torch

from ffprobe.data.hold_out import hold_out
from ffprobe.data.images import Images
from ffprobe.data.samples import Samples
from ffprobe.errors import UsageError


def labelled(*counts):
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate(counts)])
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    pixels = torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8)
    return Images(pixels, labels, tuple(map(str, range(len(counts)))), (0.0,), (1.0,))


@pytest.mark.parametrize(
    ("counts", "fraction", "held"),
    [((100, 50), 0.1, [10, 5]), ((100, 2, 1), 0.1, [10, 1, 0]), ((3, 3), 0.99, [2, 2]), ((0, 7), 0.2, [0, 1])],
)
def test_share_of_every_class(counts, fraction, held):
    data = labelled(*counts)
    train, validation = hold_out(data, fraction, torch.Generator().manual_seed(0))
    assert torch.bincount(data.labels[validation], minlength=len(counts)).tolist() == held
    assert torch.equal(torch.cat((train, validation)).sort().values, torch.arange(len(data)))
    assert torch.equal(train, train.sort().values)


def test_nothing_held_out():
    train, validation = hold_out(labelled(4, 4), 0.0, torch.Generator())
    assert len(train) == 8
    assert validation.dtype == torch.int64
    assert validation.shape == (0,)


def test_the_generator_decides():
    data = labelled(50, 50)
    one, two, other = (hold_out(data, 0.2, torch.Generator().manual_seed(seed))[1] for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_invalid_fractions_are_refused(fraction):
    with pytest.raises(UsageError, match="below 1"):
        hold_out(labelled(4, 4), fraction, torch.Generator())


def test_a_group_is_held_out_as_a_whole_and_classes_stay_balanced():
    groups = torch.arange(60).repeat_interleave(5)
    labels = torch.arange(60).repeat_interleave(5) % 3
    samples = Samples(torch.randn(300, 2), labels, ("a", "b", "c"), groups=groups)
    train, held_out = hold_out(samples, 0.2, torch.Generator().manual_seed(0))
    assert not set(groups[train].tolist()) & set(groups[held_out].tolist())
    assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(300))
    assert labels[held_out].bincount().tolist() == [20, 20, 20]


def test_one_group_cannot_be_held_out():
    samples = Samples(
        torch.randn(4, 2), torch.tensor([0, 1, 0, 1]), ("a", "b"), groups=torch.zeros(4, dtype=torch.int64)
    )
    with pytest.raises(UsageError, match="belong to one group"):
        hold_out(samples, 0.2, torch.Generator())
