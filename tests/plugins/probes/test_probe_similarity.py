"""CKA between layers and between runs: the same images, whatever order they were recorded in, or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.similarity import Similarity
from recorded_layers import write_layers
from scipy.stats import ortho_group

import ffprobe

MakeRun = Callable[..., Any]
N = 120
TRUTH, HELD = np.arange(N) % 4, np.arange(N) >= 90
RANDOM = np.random.default_rng(0)
CIFAR10 = {"dataset": "cifar10"}
IMAGE = RANDOM.normal(size=(N, 6)).astype(np.float32)
LAYERS = [np.maximum(IMAGE @ RANDOM.normal(size=(6, 9)), 0) ** (k + 1) for k in range(3)]


def analyze(*paths: Path, **settings: Any) -> Any:
    runs = [ffprobe.open(path) for path in paths]
    try:
        return Similarity(Similarity.Params(**settings)).analyze(runs)
    finally:
        for run in runs:
            run.close()


def write(
    path: Path, layers: list[np.ndarray] = LAYERS, image: np.ndarray | None = IMAGE, order: Any = None, **words: Any
) -> Path:
    order = np.arange(N) if order is None else order
    recorded = {} if image is None else {("input", "pre"): {2: image[order]}}
    recorded |= {(str(i), "pre"): {0: RANDOM.normal(size=x[order].shape), 2: x[order]} for i, x in enumerate(layers)}
    return write_layers(path, recorded, TRUTH[order], HELD[order], source_index=1000 + order, **words)


def matrix(result: Any, run: str = "", with_run: str = "") -> np.ndarray:
    rows = [
        row for row in result.to_dict()["rows"] if row.get("run", "") == run and row.get("with_run", "") == with_run
    ]
    return np.array([[row[key] for key in row if key == "input" or key.startswith("layer_")] for row in rows], float)


@pytest.mark.parametrize("debiased", [True, False])
def test_one_run_against_itself(tmp_path: Path, debiased: bool) -> None:
    found = matrix(analyze(write(tmp_path / "a.h5"), debiased=debiased))
    features = [ffprobe.CentredFeatures(np.float32(x)) for x in (IMAGE, *LAYERS)]
    expected = [[ffprobe.linear_cka(a, b, debiased=debiased) for b in features] for a in features]
    assert found == pytest.approx(np.array(expected), abs=1e-6)
    assert found.diagonal() == pytest.approx(np.ones(4)) and found == pytest.approx(found.T)
    assert 0.1 < found[0, 3] < 0.9


def test_another_order_of_images_changes_nothing(tmp_path: Path) -> None:
    order = RANDOM.permutation(N)
    turned = [x @ ortho_group.rvs(9, random_state=1) for x in LAYERS]  # the same representations, other units
    result = analyze(write(tmp_path / "a.h5"), write(tmp_path / "b.h5", turned, order=order, seed=1))
    assert matrix(result, "a", "b") == pytest.approx(matrix(result, "a", "a"), abs=1e-5)
    assert any("Same layers of a and b, input first: 1.00, 1.00, 1.00, 1.00" in n for n in result.notes)


def test_only_common_images_are_compared(tmp_path: Path) -> None:
    fewer = RANDOM.permutation(N)[:70]
    result = analyze(write(tmp_path / "a.h5"), write(tmp_path / "b.h5", order=fewer, seed=1))
    assert result.extra["images"] == 70
    assert matrix(result, "a", "b").diagonal() == pytest.approx(np.ones(4))
    alone = [ffprobe.CentredFeatures(np.float32(x[np.sort(fewer)])) for x in LAYERS]
    assert matrix(result, "b", "b")[1, 2] == pytest.approx(ffprobe.linear_cka(*alone[:2]), abs=1e-6)


def test_at_most_so_many_images(tmp_path: Path) -> None:
    result = analyze(write(tmp_path / "a.h5"), images=40)
    assert result.extra["images"] == 40
    assert any("40 of 120 recorded images" in note for note in result.notes)


def test_both_estimates_separate_unrelated_wide_layers(tmp_path: Path) -> None:
    wide = list(RANDOM.normal(size=(2, N, 900)))
    path = write(tmp_path / "a.h5", wide)
    assert abs(matrix(analyze(path))[1, 2]) < 0.1
    assert matrix(analyze(path, debiased=False))[1, 2] > 0.8


def test_a_dead_layer_shows_dashes(tmp_path: Path) -> None:
    dead = [LAYERS[0], np.full((N, 3), 0.1), LAYERS[2]]
    result = analyze(write(tmp_path / "a.h5", dead))
    found = matrix(result)
    assert np.isnan(found[2]).all() and np.isnan(found[:, 2]).all()
    kept = [0, 1, 3]
    assert found[np.ix_(kept, kept)] == pytest.approx(matrix(analyze(write(tmp_path / "b.h5")))[np.ix_(kept, kept)])
    assert any(note.startswith("layer 2 has the same activations for every image") for note in result.notes)
    assert result.figure().axes
    both = analyze(write(tmp_path / "c.h5"), write(tmp_path / "d.h5", dead, seed=1))
    assert "2 of 3 layers" in both.claims[0].here  # the dead layer is not the most similar one by being undefined
    assert any("input first: 1.00, 1.00, –, 1.00." in note for note in both.notes)


class TestClaim:
    def claims(self, tmp_path: Path, second: list[np.ndarray], plugins: Any = CIFAR10, **words: Any) -> Any:
        first = write(tmp_path / "a.h5", plugins={"dataset": plugins["dataset"]})
        return analyze(first, write(tmp_path / "b.h5", second, plugins=plugins, **words)).claims

    def test_same_layers_of_another_seed(self, tmp_path: Path) -> None:
        [claim] = self.claims(tmp_path, [x + 0.01 * RANDOM.normal(size=x.shape) for x in LAYERS], seed=1)
        assert claim.agrees is True and "3 of 3 layers" in claim.here

    def test_layers_in_another_order(self, tmp_path: Path) -> None:
        [claim] = self.claims(tmp_path, [LAYERS[1], LAYERS[2], LAYERS[0]], seed=1)
        assert claim.agrees is False and "0 of 3 layers" in claim.here

    def test_another_data_set_is_not_comparable(self, tmp_path: Path) -> None:
        [claim] = self.claims(tmp_path, LAYERS, plugins={"dataset": "digits"}, seed=1)
        assert claim.agrees is None and claim.not_comparable == "another data set (digits)"

    @pytest.mark.parametrize("words", [{"seed": 0}, {"seed": 1, "plugins": CIFAR10 | {"normalizer": "none"}}])
    def test_not_about_runs_that_differ_otherwise(self, tmp_path: Path, words: Any) -> None:
        assert self.claims(tmp_path, LAYERS, **words) == []


class TestRefusals:
    def test_other_images_under_the_same_index(self, tmp_path: Path) -> None:
        other = IMAGE.copy()
        other[17] += 1
        with pytest.raises(ffprobe.FileError, match=r"different images.*a\.h5, .*b\.h5"):
            analyze(write(tmp_path / "a.h5"), write(tmp_path / "b.h5", image=other))

    def test_other_labels(self, tmp_path: Path) -> None:
        path = write_layers(tmp_path / "b.h5", {("0", "pre"): {2: LAYERS[0]}}, TRUTH[::-1], HELD)
        first = write_layers(tmp_path / "a.h5", {("0", "pre"): {2: LAYERS[0]}}, TRUTH, HELD)
        with pytest.raises(ffprobe.FileError, match="different images"):
            analyze(first, path)

    def test_without_pixels_the_hash_decides(self, tmp_path: Path) -> None:
        paths = [
            write(tmp_path / f"{n}.h5", image=None, attributes={"dataset_sha256": sha})
            for n, sha in (("a", "1"), ("b", "1"), ("c", "2"))
        ]
        assert analyze(*paths[:2]).extra["images"] == N
        with pytest.raises(ffprobe.FileError, match="different images"):
            analyze(paths[0], paths[2])

    def test_too_few_in_common(self, tmp_path: Path) -> None:
        a, b = np.arange(80), np.arange(45, 120)
        with pytest.raises(ffprobe.FileError, match=r"only 35 recorded images in common.*recording\.samples"):
            analyze(write(tmp_path / "a.h5", order=a), write(tmp_path / "b.h5", order=b))

    def test_a_diverged_layer_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ffprobe.FileError, match=r"NaN or infinity.*activations/0/pre/activation, epoch 2"):
            analyze(write(tmp_path / "a.h5", [np.full((N, 3), np.nan)]))

    def test_nothing_recorded(self, make_run: MakeRun) -> None:
        with pytest.raises(ffprobe.FileError, match="No activations"):
            Similarity(Similarity.Params()).analyze([make_run()])


def test_figure_has_a_heat_map_for_each_pair(tmp_path: Path) -> None:
    one = analyze(write(tmp_path / "a.h5"))
    assert len(one.figure().axes) == 2  # matrix and colour bar
    two = analyze(tmp_path / "a.h5", write(tmp_path / "b.h5", LAYERS[:2], seed=1, plugins={"network": "fcn"}))
    shapes = [axes.images[0].get_array().shape for axes in two.figure().axes if axes.images]  # type: ignore[union-attr]
    assert shapes == [(4, 4), (3, 3), (4, 3)]
    path, _ = two.save_figure(tmp_path / "f.png")
    assert path.stat().st_size > 5000
