"""Accuracy by group size and by the number of trained layers: rungs, gains over common seeds, verdicts, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_run
from ffprobe_plugins.probes.depth_utility import DepthUtility
from ffprobe_plugins.probes.ladder import GroupSizeLadder

import ffprobe

TRUTH = np.arange(40) % 4


def blocks(size: int, depth: int = 4, first: int = 0) -> list[str]:
    return [f"{a + 1}-{min(a + size, depth)}" for a in range(first, depth, size)]


def rung(path: Path, right: int, groups: Sequence[str], *, seed: int = 0, network: str = "cnn12", **size: int) -> Any:
    """A run of four layers, the last of which is right about so many of 40 images."""
    goodness = np.tile(np.eye(4)[TRUTH], (4, 1, 1))
    wrong = np.arange(40) >= right
    goodness[:, wrong] = np.roll(goodness[:, wrong], 1, axis=2)
    write_run(
        path,
        goodness=goodness,
        truth=TRUTH,
        seed=seed,
        plugins={"network": network, "scheduler": "blocks"},
        settings={"scheduler": size},
        model_accuracy=True,
        attributes={"update_groups": list(groups), "goodness_form": "pair"},
    )
    return ffprobe.open(path)


def ladder(tmp_path: Path, right: dict[int, tuple[int, ...]], **more: Any) -> list[Any]:
    """A run for each size and seed; ``right`` has the number of right images by size."""
    return [
        rung(tmp_path / f"{size}-{seed}.h5", count, blocks(size), seed=seed, size=size, **more)
        for size, counts in right.items()
        for seed, count in enumerate(counts)
    ]


def test_rows_have_means_and_gains_over_common_seeds(tmp_path: Path) -> None:
    runs = ladder(tmp_path, {4: (30, 32, 31), 1: (20, 21, 19), 2: (24, 26)})
    result = GroupSizeLadder().analyze(runs)
    one, two, four = result.to_dict()["rows"]
    assert [row["size"] for row in (one, two, four)] == [1, 2, 4]
    assert [row["groups"] for row in (one, two, four)] == [4, 2, 1]
    assert one["accuracy"] == pytest.approx(50) and one["accuracy_sd"] == pytest.approx(2.5)
    assert one["gain"] is None and four["below"] is None
    # seeds 0 and 1 alone: gains of 4 and 5 images of 40
    assert two["seeds"] == 2 and two["gain"] == pytest.approx(11.25) and two["gain_se"] == pytest.approx(1.25)
    assert four["gain"] == one["below"] == pytest.approx((25 + 27.5 + 30) / 3)
    assert any("fewer than three seeds" in note for note in result.notes)
    assert result.figure().axes


@pytest.mark.parametrize(
    ("right", "agrees"),
    [
        ({1: (20, 21, 19), 2: (25, 26, 23), 4: (30, 31, 28)}, True),
        ({1: (20, 21, 19), 2: (31, 32, 30), 4: (30, 31, 28)}, None),  # not at every step
        ({1: (30, 31, 28), 2: (25, 26, 23), 4: (20, 21, 19)}, False),
        ({1: (20, 31), 4: (30, 31)}, None),  # not significant
    ],
    ids=["rises", "bends", "falls", "two-seeds"],
)
def test_the_claim_is_a_rise_at_every_step(
    tmp_path: Path, right: dict[int, tuple[int, ...]], agrees: bool | None
) -> None:
    [claim] = GroupSizeLadder().analyze(ladder(tmp_path, right)).claims
    assert claim.agrees is agrees and not claim.not_comparable


def test_another_network_is_not_the_papers(tmp_path: Path) -> None:
    [claim] = GroupSizeLadder().analyze(ladder(tmp_path, {1: (20,), 2: (24,)}, network="tff-d")).claims
    assert "another network" in claim.not_comparable


def test_runs_with_overlapping_groups_are_left_out_by_name(tmp_path: Path) -> None:
    runs = [*ladder(tmp_path, {1: (20,), 2: (24,)}), rung(tmp_path / "olu.h5", 30, ["1-2", "2-3", "3-4"], offset=1)]
    result = GroupSizeLadder().analyze(runs)
    assert len(result.rows) == 2
    assert any("Left out" in note and "overlap" in note for note in result.notes)
    with pytest.raises(ffprobe.UsageError, match="None of these runs"):
        GroupSizeLadder().analyze(runs[2:])


def test_networks_have_ladders_of_their_own(tmp_path: Path) -> None:
    (other := tmp_path / "other").mkdir()
    runs = [*ladder(tmp_path, {1: (20,), 2: (24,)}), *ladder(other, {1: (10,), 2: (12,)}, network="tff-d")]
    rows = GroupSizeLadder().analyze(runs).to_dict()["rows"]
    assert [(row["network"], row["size"], round(row["accuracy"], 3)) for row in rows] == [
        ("cnn12", 1, 50), ("cnn12", 2, 60), ("tff-d", 1, 25), ("tff-d", 2, 30)
    ]  # fmt: skip


def trained(tmp_path: Path, right: dict[int, int]) -> list[Any]:
    return [
        rung(tmp_path / f"{count}.h5", images, blocks(1, first=4 - count), count=count)
        for count, images in right.items()
    ]


def test_the_fewest_layers_within_the_tolerance_are_named(tmp_path: Path) -> None:
    runs = trained(tmp_path, {1: 20, 2: 29, 4: 30})
    probe = DepthUtility(DepthUtility.Params(tolerance=3))
    result = probe.analyze(runs)
    assert [row["trained"] for row in result.to_dict()["rows"]] == [1, 2, 4]
    assert "Training the last 2 is 2.5 points below training 4 layers." in result.notes
    assert "No smaller number of trained layers is within 1 points of 4 layers." in DepthUtility().analyze(runs).notes
    assert any("no run trains all 4" in note for note in probe.analyze(runs[:2]).notes)


def test_trained_layers_must_be_the_last(tmp_path: Path) -> None:
    runs = [*trained(tmp_path, {1: 20, 4: 30}), rung(tmp_path / "first.h5", 9, ["1-1", "2-2"], count=7)]
    assert any("are not the last ones" in note for note in DepthUtility().analyze(runs).notes)


def test_a_file_without_update_groups_is_refused(make_run: Any) -> None:
    with pytest.raises(ffprobe.FileError, match="does not record the update groups"):
        GroupSizeLadder().analyze([make_run(), make_run("b", seed=1)])
