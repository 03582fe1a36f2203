"""Samples: inputs of any shape, their kinds, statistics and subsets."""

import pytest
import torch

from ffprobe.data.images import Images
from ffprobe.data.normalize import normalize
from ffprobe.data.sample_statistics import statistics
from ffprobe.data.samples import Samples
from ffprobe.errors import FileError

CLASSES = ("a", "b")


def samples(inputs, **more):
    return Samples(inputs, torch.arange(len(inputs)) % 2, CLASSES, **more)


@pytest.mark.parametrize("shape", [(5,), (2, 7), (3, 4, 6)])
def test_values_are_normalized_for_each_feature_or_channel(shape):
    scale = torch.arange(1.0, shape[0] + 1).view(-1, *[1] * (len(shape) - 1))
    given = samples(100 + scale * torch.randn(400, *shape))
    assert (given.kind, given.shape) == ("values", shape)
    mean, std = statistics(given)
    x = normalize(given.inputs, mean, std, torch.float64)
    by_channel = x.transpose(0, 1).flatten(1)
    torch.testing.assert_close(by_channel.mean(dim=1), torch.zeros(shape[0], dtype=torch.float64), atol=1e-4, rtol=0)
    torch.testing.assert_close(by_channel.std(dim=1, correction=0), torch.ones(shape[0], dtype=torch.float64))


def test_a_constant_feature_keeps_its_scale():
    inputs = torch.randn(50, 3)
    inputs[:, 1] = 1e6 + 0.1
    assert statistics(samples(inputs))[1][1] == 1


def test_tokens_become_one_hot_signals():
    given = samples(torch.tensor([[0, 2], [1, 1]]), vocabulary=3)
    assert (given.kind, given.shape) == ("tokens", (3, 2))
    x = normalize(given.inputs, *statistics(given))
    assert x.tolist() == [[[1, 0], [0, 0], [0, 1]], [[0, 0], [1, 1], [0, 0]]]


def test_bytes_are_tokens_and_pictures_are_pixels():
    assert samples(torch.zeros(2, 9, dtype=torch.uint8), vocabulary=256).kind == "tokens"
    assert samples(torch.zeros(2, 1, 3, 3, dtype=torch.uint8)).kind == "pixels"


@pytest.mark.parametrize(
    ("inputs", "more", "sentence"),
    [
        (torch.tensor([[1.0, float("nan")], [0.0, 0.0]]), {}, r"1 input values are NaN .* sample 0 at \[1\]"),
        (torch.zeros(2, 3, dtype=torch.float64), {}, "must be float32"),
        (torch.zeros(2, 3, dtype=torch.uint8), {}, r"must be uint8 \[N, C, H, W\]"),
        (torch.tensor([[0, 3], [1, 1]]), {"vocabulary": 3}, "range from 0 to 3 with a vocabulary of 3"),
        (torch.zeros(2, 3), {"mean": (0.0,), "std": (1.0,)}, "3 channels need the same number"),
        (torch.zeros(2, 0), {}, "an input has no values"),
        (torch.zeros(2, 3), {"weights": torch.tensor([1.0, -1.0])}, "none below 0"),
        (torch.zeros(2, 3), {"groups": torch.tensor([0.5, 1.0])}, "groups must be int64"),
    ],
)
def test_what_is_no_data_set_is_refused_in_a_sentence(inputs, more, sentence):
    with pytest.raises(FileError, match=f"The samples do not form a data set: .*{sentence}"):
        samples(inputs, **more)


def test_a_subset_keeps_the_class_the_weights_and_the_groups_of_its_rows():
    given = samples(torch.randn(4, 2), weights=torch.arange(4.0), groups=torch.arange(4))
    part = given.subset(torch.tensor([3, 0, 1]))
    assert part.weights.tolist() == [3, 0, 1]
    assert part.groups.tolist() == [3, 0, 1]
    assert torch.equal(part.inputs, given.inputs[[3, 0, 1]])
    pictures = Images(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 1, 0]), CLASSES, (0.0,), (1.0,))
    assert type(pictures.subset(torch.tensor([1, 2]))) is Images


def test_the_hash_tells_tokens_from_other_tokens_and_values_from_values():
    tokens = torch.tensor([[0, 1], [1, 0]])
    hashes = {
        samples(tokens, vocabulary=2).sha256(),
        samples(tokens, vocabulary=3).sha256(),
        samples(tokens.to(torch.uint8), vocabulary=2).sha256(),
        samples(tokens.float()).sha256(),
        samples(tokens.flip(0).float()).sha256(),
    }
    assert len(hashes) == 5


def test_features_are_put_in_order_by_their_names_and_others_are_named():
    given = samples(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), features=("a", "b"))
    assert given.with_features(("b", "a")).inputs.tolist() == [[2, 1], [4, 3]]
    with pytest.raises(FileError, match="no 'c' and new 'b'"):
        given.with_features(("a", "c"))
    with pytest.raises(FileError, match="1 names of features do not fit"):
        samples(torch.zeros(2, 2), features=("a",))


def test_an_array_in_place_of_a_tensor_is_a_sentence():
    with pytest.raises(FileError, match=r"inputs must be a torch tensor, not list; ffprobe\.array_inputs"):
        Samples([[1.0]], torch.tensor([0]), CLASSES)
