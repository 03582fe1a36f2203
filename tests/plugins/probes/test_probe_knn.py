"""Nearest neighbours in recorded activations: closed forms, k from the fitting part, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.knn import NearestNeighbours, choose_k, neighbour_accuracy
from recorded_layers import write_layers

import ffprobe

TRUTH = np.arange(40) % 4
HELD = np.arange(40) >= 20
APART = np.eye(4)[TRUTH] * (1 + np.arange(40)[:, None])  # a direction for each class, lengths of 1 to 40
SAME = np.ones((40, 4))


def analyze(*paths: Path, **settings: Any) -> Any:
    runs = [ffprobe.open(path) for path in paths]
    result = NearestNeighbours(NearestNeighbours.Params(**settings)).analyze(runs)
    for run in runs:
        run.close()
    return result


def test_classes_with_directions_of_their_own_are_found_by_cosine_and_not_by_length() -> None:
    assert neighbour_accuracy(APART, TRUTH, HELD, 1, "cosine") == (1, 1.0)
    angles = np.array([0.0, 0.7, 1.5, 1.6])
    points = np.stack([np.cos(angles), np.sin(angles)], 1) * np.array([[1.0], [9.0], [9.0], [1.0]])
    labels, held = np.array([0, 0, 1, 1]), np.array([False, True, False, True])
    assert neighbour_accuracy(points, labels, held, 1, "cosine")[1] == 1.0
    assert neighbour_accuracy(points, labels, held, 1, "euclidean")[1] == 0.0  # length is nearer than direction


def test_the_majority_of_k_decides() -> None:
    points = np.stack([np.cos(a := np.array([0.0, 0.2, 0.3, 0.05])), np.sin(a)], 1)
    labels, held = np.array([1, 0, 0, 0]), np.array([False, False, False, True])
    assert neighbour_accuracy(points, labels, held, 1, "cosine")[1] == 0.0
    assert neighbour_accuracy(points, labels, held, 3, "cosine")[1] == 1.0


def test_k_is_chosen_without_the_image_itself_and_the_smallest_best_wins() -> None:
    assert choose_k(APART, TRUTH, "cosine") == 1
    # pairs of one wrong twin: the nearest is always of the other class, the next two are right
    centres = np.repeat(np.arange(2), 10)
    labels = centres.copy()
    angle = 1.5 * centres + 0.01 * np.tile(np.arange(10), 2)
    points = np.stack([np.cos(angle), np.sin(angle)], 1)
    points = np.concatenate([points, points[:4]])  # twins of the other class
    labels = np.concatenate([labels, 1 - labels[:4]])
    assert choose_k(points, labels, "cosine") > 1


def test_table_has_the_floor_and_its_gain(tmp_path: Path) -> None:
    recorded = {("input", "pre"): {0: SAME}, ("0", "pre"): {0: SAME, 3: APART}, ("0", "post"): {0: SAME, 3: APART}}
    result = analyze(write_layers(tmp_path / "a.h5", recorded, TRUTH, HELD))
    image, pre, _ = result.to_dict()["rows"]
    assert (pre["k"], pre["accuracy"], pre["accuracy_se"]) == (1, 100, 0)
    assert pre["untrained"] == image["accuracy"] == 25  # the same for every image: one class is always said
    assert pre["gain"] == 75 and image["untrained"] is None
    assert any("20 held-out images, neighbours among 20 training images" in note for note in result.notes)
    assert result.figure().axes


def test_refusals_name_what_helps(make_run: Any, tmp_path: Path) -> None:
    with pytest.raises(ffprobe.FileError, match=r"No activations.*recording\.activations=true"):
        NearestNeighbours().analyze([make_run()])
    with pytest.raises(ffprobe.FileError, match=r"NaN or infinity.*bad\.h5"):
        NearestNeighbours().analyze([make_run("bad", signal=[1.0, float("nan"), 1.0])])
    with pytest.raises(ffprobe.FileError, match="No image was held out"):
        analyze(write_layers(tmp_path / "a.h5", {("0", "pre"): {0: SAME, 3: APART}}, TRUTH, HELD & False))
    with pytest.raises(ffprobe.UsageError, match="k is 0"):
        NearestNeighbours(NearestNeighbours.Params(k=0))
