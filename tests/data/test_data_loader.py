"""Batches of images on the device."""

import pytest
import torch
from torchvision.transforms import functional as tv

from ffprobe.data.augment import augment
from ffprobe.data.images import Images
from ffprobe.data.loader import Loader
from ffprobe.data.normalize import normalize
from ffprobe.data.samples import Samples


def images(count=10, channels=3):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, channels, 8, 8), generator=generator, dtype=torch.uint8)
    mean, std = (0.5, 0.4, 0.3)[:channels], (0.2, 0.25, 0.3)[:channels]
    return Images(pixels, torch.arange(count) % 3, ("a", "b", "c"), mean, std)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("batch_size", "drop_last", "sizes"),
    [
        (4, True, [4, 4]),
        (4, False, [4, 4, 2]),
        (5, True, [5, 5]),
        (10, True, [10]),
        (64, True, [10]),
        (64, False, [10]),
    ],
)
def test_steps_of_an_epoch(batch_size, drop_last, sizes):
    loader = Loader(images(), batch_size, "cpu", shuffle_generator=seeded(), drop_last=drop_last)
    assert len(loader) == len(sizes)
    assert [len(labels) for _, labels, _ in loader] == sizes


def test_a_batch_contains_the_images_of_its_indices():
    data = images()
    for x, labels, indices in Loader(data, 4, "cpu", shuffle_generator=seeded()):
        assert x.dtype == torch.float32
        assert x.is_contiguous(memory_format=torch.channels_last)
        assert indices.device.type == "cpu"
        assert labels.dtype == indices.dtype == torch.int64
        assert torch.equal(labels, data.labels[indices])
        assert torch.equal(x, normalize(data.pixels[indices], data.mean, data.std))


def test_an_epoch_contains_every_image_once_and_the_next_has_another_order():
    loader = Loader(images(), 5, "cpu", shuffle_generator=seeded())
    first, second = (torch.cat([indices for _, _, indices in loader]).tolist() for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_without_a_shuffle_generator_the_order_is_kept():
    loader = Loader(images(), 4, "cpu", shuffle_generator=None, drop_last=False)
    assert torch.cat([indices for _, _, indices in loader]).tolist() == list(range(10))


def test_the_generators_decide_everything():
    def epoch(shuffle, augmentation):
        loader = Loader(
            images(),
            4,
            "cpu",
            shuffle_generator=seeded(shuffle),
            augment_generator=seeded(augmentation),
            shift=1,
            degrees=15.0,
        )
        batches = list(loader)
        return torch.cat([x for x, _, _ in batches]), torch.cat([indices for _, _, indices in batches])

    one, again, reordered, redrawn = epoch(1, 2), epoch(1, 2), epoch(3, 2), epoch(1, 3)
    assert torch.equal(one[0], again[0])
    assert torch.equal(one[1], again[1])
    assert not torch.equal(one[1], reordered[1])
    assert torch.equal(one[1], redrawn[1])
    assert not torch.equal(one[0], redrawn[0])


def test_augmentation_comes_before_normalization():
    data = images()
    loader = Loader(data, 10, "cpu", shuffle_generator=None, augment_generator=seeded(7), shift=2, degrees=15.0)
    ((x, _, _),) = loader
    expected = normalize(augment(data.pixels, seeded(7), 2, 15.0), data.mean, data.std)
    assert torch.equal(x, expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_normalize_equals_torchvision(channels):
    data = images(channels=channels)
    expected = tv.normalize(tv.convert_image_dtype(data.pixels, torch.float32), data.mean, data.std)
    torch.testing.assert_close(normalize(data.pixels, data.mean, data.std), expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_dtype(dtype):
    data = images()
    ((x, _, _),) = Loader(data, 10, "cpu", shuffle_generator=None, dtype=dtype)
    assert x.dtype == dtype
    exact = normalize(data.pixels, data.mean, data.std, torch.float64)
    torch.testing.assert_close(x.double(), exact, rtol=0 if dtype == torch.float64 else 0.01, atol=0.01)


def test_empty_batches_are_refused():
    with pytest.raises(ValueError, match="not 0"):
        Loader(images(), 0, "cpu", shuffle_generator=None)


def test_values_signals_and_tokens_come_normalized_and_channels_first():
    labels = torch.arange(6) % 2
    table = Samples(torch.randn(6, 3), labels, ("a", "b"), (1.0, 2.0, 3.0), (2.0, 2.0, 2.0))
    signals = Samples(torch.randn(6, 2, 9), labels, ("a", "b"), (0.0, 0.0), (1.0, 1.0))
    tokens = Samples(torch.randint(5, (6, 4)), labels, ("a", "b"), (0.0,) * 5, (1.0,) * 5, vocabulary=5)
    for samples in (table, signals, tokens):
        x, y, indices = next(iter(Loader(samples, 6, "cpu", shuffle_generator=seeded())))
        assert tuple(x.shape[1:]) == samples.shape
        torch.testing.assert_close(x, normalize(samples.inputs[indices], samples.mean, samples.std))
        assert torch.equal(y, labels[indices])


def test_samples_are_drawn_as_often_as_their_weights_say():
    weights = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64).repeat(400)
    samples = Samples(torch.randn(1200, 1), torch.arange(1200) % 2, ("a", "b"), (0.0,), (1.0,), weights=weights)
    indices = torch.cat([batch[2] for batch in Loader(samples, 100, "cpu", shuffle_generator=seeded())])
    counts = torch.bincount(indices % 3, minlength=3)
    assert counts[0] == 0
    assert abs(counts[2] / counts[1] - 3) < 0.5


def test_only_pixels_and_signals_are_augmented():
    signals = Samples(torch.randn(8, 1, 30), torch.arange(8) % 2, ("a", "b"), (0.0,), (1.0,))
    plain = Loader(signals, 8, "cpu", shuffle_generator=seeded())
    moved = Loader(signals, 8, "cpu", shuffle_generator=seeded(), augment_generator=seeded(1), shift=2)
    assert not torch.equal(next(iter(plain))[0], next(iter(moved))[0])
