"""Sparsity, dead units and class entropy are those of the whole activation, not of its pooled features."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy import toy_config

import ffprobe
from ffprobe.inference import activation_statistics
from ffprobe.inference.activation_statistics import ActivationStatistics
from ffprobe.inference.activations import ActivationSampler
from ffprobe.plugin.registry import Registry
from ffprobe.store.schema import STATISTICS
from ffprobe.training.experiment import build
from ffprobe.training.session import Session


def statistics(values: Any, labels: Any, batch: int = 2) -> dict[str, float]:
    made = ActivationStatistics(torch.tensor(labels))
    for part in torch.tensor(values, dtype=torch.float32).split(batch):
        made.add(part)
    return made.result()


def test_closed_form() -> None:
    # unit 0 is dead, unit 1 is active for class 3 only, unit 2 for every image, unit 3 for one image of class 5
    values = [[0, 2, 1, 0], [0, 2, -1, 0], [0, 0, 1, 0], [0, 0, 1, 1]]
    result = statistics(values, [3, 3, 5, 5])
    assert result["unreduced_dead"] == 0.25
    assert result["unreduced_active"] == 7 / 16
    hoyer = [(2 - 3 / 5**0.5) / 1] * 2 + [1, 2 - 2 / 2**0.5]
    assert result["unreduced_hoyer"] == pytest.approx(np.mean(hoyer))
    assert result["unreduced_class_entropy"] == pytest.approx((0 + 1 + 0) / 3)


def test_a_pooled_map_is_active_everywhere_and_the_map_is_not() -> None:
    maps = torch.zeros(6, 2, 4, 4)
    maps[:, :, ::2, ::2] = 1.0  # one of four positions
    result = statistics(maps.tolist(), [0, 1, 2, 0, 1, 2])
    assert (result["unreduced_active"], result["unreduced_dead"]) == (0.25, 0.75)
    pooled = torch.nn.functional.avg_pool2d(maps, 2).flatten(1).numpy()
    plain = ffprobe.describe_representation(pooled, [0, 1, 2, 0, 1, 2], [0] * 6)
    assert (plain.active, plain.dead) == (1, 0)


@pytest.mark.parametrize("batch", [3, 40])
def test_without_reduction_they_equal_the_measures_of_the_features(batch: int) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(40, 3, 4, 4, generator=generator).relu() * (torch.rand(3, 4, 4, generator=generator) > 0.3)
    values[5] = 0
    labels = torch.randint(4, (40,), generator=generator).tolist()
    result = statistics(values.tolist(), labels, batch)
    plain = ffprobe.describe_representation(values.flatten(1).numpy(), labels, [0] * 40)
    for name in ("dead", "active", "hoyer", "class_entropy"):
        assert result[f"unreduced_{name}"] == pytest.approx(getattr(plain, name), rel=1e-5), name


def test_undefined_statistics_are_nan() -> None:
    dead = statistics([[0.0, 0]] * 4, [0, 0, 1, 1])
    assert (dead["unreduced_dead"], dead["unreduced_active"]) == (1, 0)
    assert np.isnan([dead["unreduced_hoyer"], dead["unreduced_class_entropy"]]).all()
    assert np.isnan(statistics([[1.0, 0]] * 4, [2] * 4)["unreduced_class_entropy"])


def test_the_class_entropy_of_many_units_uses_every_nth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation_statistics, "MOST_SUMS", 6)
    values = torch.ones(4, 9)
    values[2:, ::3] = 0  # of classes 0 and 1, units 0, 3 and 6 respond to class 0 only
    assert statistics(values.tolist(), [0, 0, 1, 1])["unreduced_class_entropy"] == 0


def test_a_run_records_them_where_it_reduces(tmp_path: Path) -> None:
    registry = Registry()
    config = toy_config(registry)
    prepared = Session.start(config, registry, tmp_path / "run.h5")
    prepared.run()
    with ffprobe.open(tmp_path / "run.h5") as run:
        reduced = 0
        for path in [path for path in run.paths() if path.endswith("/activation")]:
            group = path.removesuffix("/activation")
            expected = run.variable(path).attributes["reduction"] != "none"
            reduced += expected
            for name in STATISTICS:
                assert run.has(f"{group}/{name}") == expected, path
                if expected:
                    values = run.read(f"{group}/{name}")
                    assert values.shape == run.read(f"{group}/epoch").shape
                    assert ((values >= -1e-6) & (values <= 1 + 1e-6)).all()
        assert reduced


def test_collecting_them_does_not_change_the_features() -> None:
    registry = Registry()
    experiment = build(toy_config(registry), registry)
    images = experiment.split.train.subset(torch.arange(20))
    sampler = ActivationSampler(experiment.network, images, 8, nullcontext)
    plain, (features, numbers) = sampler.collect(), sampler.collect_with_statistics(batch=7)
    assert all(torch.allclose(value, features[key], atol=1e-6) for key, value in plain.items())
    assert numbers
    assert ("input", "pre") not in numbers
