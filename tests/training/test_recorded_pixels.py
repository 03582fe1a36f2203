"""The setting recording.images: which pixels a run file contains, and that older files go on without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy import toy_config

from ffprobe.plugin.registry import Registry
from ffprobe.store.reader import open_run
from ffprobe.store.rewrite import refuse_other_layout
from ffprobe.store.schema import RunMetadata, run_schema
from ffprobe.training.experiment import build
from ffprobe.training.image_choice import recorded_pixels
from ffprobe.training.resume import refuse_changes


def chosen(images: Any, **changes: Any) -> dict[str, tuple[int, ...]]:
    registry = Registry()
    config = toy_config(registry, recording={"images": images, "samples": 60, "max_features": 32}, **changes)
    return recorded_pixels(build(config, registry), (45, 15))


def test_a_published_data_set_has_images_by_default_and_zero_leaves_them_out() -> None:
    parts = chosen("auto")
    assert (len(parts["test"]), len(parts["validation"]), len(parts["training"])) == (
        360,
        100,
        45,
    )  # all that there are
    assert chosen(0) == {"test": (), "validation": (), "training": ()}


def test_a_data_set_that_does_not_say_that_it_is_published_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry()
    monkeypatch.setattr(registry.component("dataset", "digits"), "published", False)
    config = toy_config(registry)
    assert set(map(len, recorded_pixels(build(config, registry), (45, 15)).values())) == {0}
    import ffprobe

    assert ffprobe.Dataset.published is False


def test_a_number_gives_that_many_evenly_spaced_test_images() -> None:
    parts = chosen(4)
    assert parts["test"] == (0, 90, 180, 270)
    assert (len(parts["validation"]), len(parts["training"])) == (4, 4)


def test_the_pixels_in_the_file_are_those_of_the_data_set(trained_with_probes: Path) -> None:
    registry = Registry()
    dataset = registry.component("dataset", "digits")()  # type: ignore[call-arg]
    with open_run(trained_with_probes) as run:
        for part, split in (("test", "test"), ("validation", "train"), ("training", "train")):
            images = dataset.load(split)
            source = run.read(f"images/{part}/source_index")
            assert (run.read(f"images/{part}/pixel") == images.pixels[source].numpy()).all()
        positions = run.read("images/validation/sample")
        assert (run.read("evaluation/source_index")[positions] == run.read("images/validation/source_index")).all()
        held_out = run.read("activations/source_index")[run.read("activations/held_out") != 0]
        assert set(held_out) <= set(run.read("images/validation/source_index"))
        assert np.isin(run.read("images/training/source_index"), run.read("activations/source_index")).all()


def test_an_unfinished_file_without_images_can_be_resumed() -> None:
    facts: dict[str, Any] = {"layers": ("0",), "classes": ("a", "b"), "validation": 4, "test": 4, "weights": {}}
    without = run_schema(RunMetadata(**facts))
    now = run_schema(RunMetadata(**facts, images={"test": (0, 2), "validation": (1,)}, image_shape=(1, 2, 2)))
    refuse_other_layout(Path("run.h5.partial"), now, without)
    before = {"config": {"recording": {"samples": 60}}, "plugins": []}
    after = {"config": {"recording": {"samples": 60, "images": "auto"}}, "plugins": []}
    assert refuse_changes(before, after, allow=False) == []
