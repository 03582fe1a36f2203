"""The test samples of a data set without a published split."""

import pytest
import torch

from ffprobe.data.train_test import train_test_indices
from ffprobe.errors import FileError, UsageError

LABELS = torch.tensor([0] * 50 + [1] * 20 + [2] * 2)


def test_every_class_gives_its_share_and_no_sample_is_in_both_parts():
    train, test = train_test_indices(LABELS, 0.2)
    assert LABELS[test].bincount().tolist() == [10, 4, 1]
    assert torch.equal(torch.cat((train, test)).sort().values, torch.arange(72))


def test_only_the_seed_chooses_the_split():
    torch.manual_seed(1)
    one = train_test_indices(LABELS, 0.2)[1]
    torch.manual_seed(2)
    assert torch.equal(one, train_test_indices(LABELS, 0.2)[1])
    assert not torch.equal(one, train_test_indices(LABELS, 0.2, seed=1)[1])


def test_a_group_is_in_one_part_only():
    groups = torch.arange(72) // 2
    train, test = train_test_indices(torch.arange(72) // 2 % 2, 0.25, groups=groups)
    assert not set(groups[train].tolist()) & set(groups[test].tolist())
    assert len(test) == 18


def test_a_class_that_would_be_in_one_part_only_is_named():
    with pytest.raises(FileError, match=r"The class 'rare' has 1 sample, and none of them is a test sample\. Each"):
        train_test_indices(torch.tensor([0, 0, 1]), classes=("common", "rare"))
    with pytest.raises(FileError, match="The class 1 has 3 samples in 1 groups"):
        train_test_indices(torch.tensor([0, 0, 0, 1, 1, 1]), 0.5, groups=torch.tensor([0, 1, 2, 3, 3, 3]))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_fraction_outside_0_to_1_is_refused(fraction):
    with pytest.raises(UsageError, match="above 0 and below 1"):
        train_test_indices(LABELS, fraction)
