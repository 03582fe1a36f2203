"""Figures 6, 9 and 10: size and spread of weights, from the file alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.weights import Weights
from scipy import stats

import ffprobe

MakeRun = Callable[..., Any]
DEEP = {"loss": "symba", "normalizer": "batchnorm", "scheduler": "olu", "network": "tff-d"}
TALL = {"loss": "symba", "network": "fcn"}


def analyze(*runs: Any, **params: Any) -> Any:
    return Weights(Weights.Params(**params)).analyze(list(runs))


def trained(maxima: list[list[float]], **weights: np.ndarray) -> dict[str, Any]:
    """``maxima`` of every epoch and layer; norms are ten times as large."""
    metrics = [{"weight_maximum": np.array(row), "weight_norm": 10 * np.array(row)} for row in maxima]
    return {"layers": len(maxima[0]), "metrics": metrics, "weights": weights}


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {"0.conv.weight": random.normal(size=(4, 2, 3, 3)), "1.linear.weight": random.uniform(-1, 1, size=(5, 30))}


def cells(result: Any, column: str) -> dict[tuple[int, int], float]:
    return {(row["epoch"], row["depth"]): row[column] for row in result.to_dict()["rows"] if row[column] is not None}


def test_sizes_over_epochs_with_the_untrained_network(make_run: MakeRun) -> None:
    initial = {"weight_maximum": [0.1, 0.2], "weight_norm": [1, 2]}
    result = analyze(make_run(initial=initial, **trained([[0.3, 0.4], [0.5, 0.6]])))
    assert cells(result, "maximum") == pytest.approx(
        {(0, 1): 0.1, (0, 2): 0.2, (1, 1): 0.3, (1, 2): 0.4, (2, 1): 0.5, (2, 2): 0.6}
    )
    assert cells(result, "norm")[2, 1] == pytest.approx(5)
    without = analyze(make_run("w", **trained([[0.3, 0.4]])))
    assert min(epoch for epoch, _ in cells(without, "maximum")) == 1
    assert any("before training were not recorded" in note for note in without.notes)


def test_distribution_of_the_final_weights(make_run: MakeRun) -> None:
    own = weights()
    result = analyze(make_run(**trained([[1, 1], [2, 2]], **own)), clamp=0.5)
    for depth, weight in enumerate(own.values(), 1):
        flat = weight.astype("f4").ravel()
        assert cells(result, "sd")[2, depth] == pytest.approx(flat.std(), rel=1e-5)
        assert cells(result, "kurtosis")[2, depth] == pytest.approx(stats.kurtosis(flat), rel=1e-4)
        assert cells(result, "outside")[2, depth] == pytest.approx(100 * np.mean(abs(flat) > 0.5))
    assert set(cells(result, "sd")) == {(2, 1), (2, 2)}
    assert cells(result, "kurtosis")[2, 2] == pytest.approx(-1.2, abs=0.3)  # uniform


@pytest.mark.parametrize(("layer", "shape"), [(1, (4, 18)), (2, (5, 30)), (0, (5, 30))])
def test_the_image_is_outputs_by_inputs(make_run: MakeRun, layer: int, shape: tuple[int, int]) -> None:
    own = weights()
    result = analyze(make_run(**trained([[1, 1], [2, 2]], **own)), layer=layer, clamp=0.2)
    (image,) = [axes.images[0] for axes in result.figure().axes if axes.images]
    expected = own["0.conv.weight" if layer == 1 else "1.linear.weight"].reshape(shape)
    assert np.allclose(image.get_array(), expected, atol=1e-6)
    assert image.get_clim() == (-0.2, 0.2)
    assert any(f"{shape[0]} outputs by {shape[1]} inputs" in note for note in result.notes)


def test_a_module_is_drawn_by_its_largest_matrix(make_run: MakeRun) -> None:
    own = {
        "0.module.a.weight": np.ones((2, 3)),
        "0.module.b.weight": np.arange(12.0).reshape(3, 4),
        "0.module.c": np.ones(40),
    }
    result = analyze(make_run(**trained([[1]], **own)))
    assert any("3 outputs by 4 inputs" in note for note in result.notes)


def test_equal_weights_have_no_kurtosis(make_run: MakeRun) -> None:
    own = {"0.linear.weight": np.full((2, 3), 0.1), "1.linear.weight": np.eye(3)}
    result = analyze(make_run(**trained([[1, 1]], **own)))
    assert cells(result, "sd")[1, 1] == 0
    assert (1, 1) not in cells(result, "kurtosis")
    assert any("all weights of layer 1 are equal" in note for note in result.notes)


def test_figure_of_one_run_has_three_epochs_and_of_several_the_last(make_run: MakeRun) -> None:
    one = make_run(**trained([[1, 5], [2, 5], [3, 5], [4, 5], [9, 5]], **weights()))
    drawn = [list(line.get_ydata()) for line in analyze(one).figure().axes[0].lines if len(line.get_xdata()) == 2]
    assert drawn == [[1, 5], [3, 5], [9, 5]]
    other = make_run("o", plugins={"normalizer": "none"}, **trained([[2, 3]], **weights(1)))
    figure = analyze(one, other).figure()
    assert [list(line.get_ydata()) for line in figure.axes[0].lines if len(line.get_xdata()) == 2] == [[9, 5], [2, 3]]
    assert sum(bool(axes.images) for axes in figure.axes) == 2


class TestClaims:
    def claim(self, result: Any, word: str) -> Any:
        found = [claim for claim in result.claims if word in claim.said]
        return found[0] if found else None

    @pytest.mark.parametrize(("last", "agrees"), [([0.3, 0.2, 0.1], True), ([0.1, 0.2, 0.3], False)])
    def test_first_layer_has_the_largest(self, make_run: MakeRun, last: list[float], agrees: bool) -> None:
        claim = self.claim(analyze(make_run(plugins=DEEP, **trained([last, last]))), "is in the first layer")
        assert claim.agrees is agrees
        assert f"{last[0]:.3g} in the first layer" in claim.here

    @pytest.mark.parametrize(("last", "agrees"), [([1.2, 0.8], True), ([1.3, 1.0], False), ([1.0, 0.7], False)])
    def test_the_second_half_changes_less_than_a_quarter(
        self, make_run: MakeRun, last: list[float], agrees: bool
    ) -> None:
        history = [[9, 9]] * 9 + [[1, 1]] * 10
        claim = self.claim(
            analyze(make_run(plugins={"loss": "symba", "network": "tff-d"}, **trained([*history, last]))), "more epochs"
        )
        assert claim.agrees is agrees
        assert "from epoch 10 to 20" in claim.here
        short = self.claim(
            analyze(make_run("s", plugins={"loss": "symba", "network": "tff-d"}, **trained([*history[1:], last]))),
            "more ep",
        )
        assert short.agrees is None

    @pytest.mark.parametrize(("length", "agrees"), [([2.0, 2.0], True), ([2.0, 0.5], False)])
    def test_length_normalization_has_larger_weights_everywhere(
        self, make_run: MakeRun, length: list[float], agrees: bool
    ) -> None:
        maxima = {"batchnorm": [1.0, 1.0], "length": length}
        runs = [
            make_run(n, plugins={**TALL, "normalizer": n}, **trained([row], **{"1.linear.weight": row[1] * np.eye(3)}))
            for n, row in maxima.items()
        ]
        result = analyze(*runs)
        assert self.claim(result, "larger maximum weights").agrees is agrees
        assert self.claim(result, "spread far less").agrees is agrees
        assert self.claim(analyze(runs[0]), "larger maximum weights") is None

    def test_other_networks_are_not_compared(self, make_run: MakeRun) -> None:
        runs = [
            make_run(n, plugins={"loss": "symba", "normalizer": n, "network": n}, **trained([[1, 1]]))
            for n in ("batchnorm", "length")
        ]
        assert self.claim(analyze(*runs), "larger maximum weights") is None


class TestRefusals:
    def test_a_layer_that_is_not_there(self, make_run: MakeRun) -> None:
        with pytest.raises(
            ffprobe.UsageError, match=r"Layer 3 does not exist; the network has 2 layers.*run\.h5.*numbered from 1"
        ):
            analyze(make_run(**trained([[1, 1]])), layer=3)

    def test_nothing_measured(self, make_run: MakeRun) -> None:
        with pytest.raises(ffprobe.FileError, match=r"The run measured no weights.*run\.h5"):
            analyze(make_run())


def test_unfinished_run_has_no_image(make_run: MakeRun) -> None:
    result = analyze(make_run(finish=False, **trained([[1, 1], [2, 2]], **weights())))
    assert "the run is unfinished; the file has 2 epochs" in result.notes[0]
    assert not cells(result, "sd")
    assert not any(axes.images for axes in result.figure().axes)
