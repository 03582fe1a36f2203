"""Runs with different seeds record mostly the same images, and the file lists the right ones."""

from __future__ import annotations

from pathlib import Path

import torch
from toy import toy_config

import ffprobe
from ffprobe.data.hold_out import hold_out
from ffprobe.data.images import Images
from ffprobe.plugin.registry import Registry
from ffprobe.training.image_choice import recorded_rows
from ffprobe.training.session import Session


def recorded(seed: int, count: int) -> tuple[set[int], torch.Tensor]:
    """The indices that a run with 20,000 images in ten classes, sorted by class, would record to fit on."""
    labels = torch.arange(20_000) // 2_000
    names = tuple(str(k) for k in range(10))
    images = Images(torch.zeros(20_000, 1, 1, 1, dtype=torch.uint8), labels, names, (0.0,), (1.0,))
    generator = torch.Generator().manual_seed(seed)
    train, _ = hold_out(images, 0.1, generator)
    train = train[torch.randperm(len(train), generator=generator)]
    indices = train[recorded_rows(train, count)]
    return set(indices.tolist()), labels[indices]


def test_two_seeds_share_most_of_what_they_record() -> None:
    (first, labels), (second, _) = recorded(0, 1500), recorded(1, 1500)
    assert len(first) == 1500
    assert len(first & second) > 0.8 * 1500  # random selections of this size would share 125
    assert torch.bincount(labels).tolist() == [150] * 10 or torch.bincount(labels).min() > 130


def test_the_file_lists_the_images_that_were_recorded(tmp_path: Path) -> None:
    registry = Registry()
    session = Session.start(toy_config(registry), registry, tmp_path / "run.h5")
    session.run()
    images = registry.component("dataset", "digits")().load("train")
    with ffprobe.open(tmp_path / "run.h5") as run:
        index = torch.from_numpy(run.read("activations/source_index"))
        assert torch.equal(images.labels[index], torch.from_numpy(run.read("activations/true_label")).long())
        mean, std = (float(run.attributes[f"image_{name}"][0]) for name in ("mean", "std"))
        shown = torch.from_numpy(run.read("activations/input/pre/activation")[0])
    expected = (images.pixels[index].flatten(1).float() / 255 - mean) / std
    assert torch.allclose(shown, expected, atol=1e-5)
