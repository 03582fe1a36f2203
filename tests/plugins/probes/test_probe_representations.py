"""Dead units, sparsity, dimensions and class spread, layer by layer, from recorded activations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.representations import MEASURES, Representations
from recorded_layers import write_layers

import ffprobe

MakeRun = Callable[..., Any]
TRUTH = np.arange(80) % 4
HELD = np.arange(80) >= 60
RANDOM = np.random.default_rng(0)
DENSE = np.abs(RANDOM.normal(size=(80, 12))) + 1
SPARSE = 5.0 * (TRUTH[:, None] == np.arange(12) % 5)  # a unit for each class, three times; two units are dead


def analyze(*paths: Path) -> Any:
    runs = [ffprobe.open(path) for path in paths]
    result = Representations(Representations.Params()).analyze(runs)
    for run in runs:
        run.close()
    return result


def selective(path: Path, **words: Any) -> Path:
    recorded = {("input", "pre"): {0: DENSE}, ("0", "pre"): {0: DENSE, 3: SPARSE}, ("0", "post"): {0: DENSE, 3: DENSE}}
    return write_layers(path, recorded, TRUTH, HELD, **words)


def test_numbers_of_a_layer_that_became_selective(tmp_path: Path) -> None:
    result = analyze(selective(tmp_path / "a.h5"))
    image, pre, post = result.to_dict()["rows"]
    assert [(row["depth"], row["layer"], row["stage"]) for row in (image, pre, post)] == [
        (0, "input", "pre"),
        (1, "1", "pre"),
        (1, "1", "post"),
    ]
    assert pre["dead"] == pre["constant"] == pytest.approx(100 * 2 / 12)
    assert pre["active"] == pytest.approx(100 * (SPARSE != 0).mean())
    assert (pre["class_entropy"], pre["nearest_mean"]) == (pytest.approx(0), 100)
    assert pre["effective_rank"] == pytest.approx(3, abs=0.05)  # four class means span three dimensions
    assert pre["fisher_ratio"] is None  # classes without scatter: infinite
    assert pre["untrained_active"] == post["active"] == 100
    assert post["class_entropy"] == pytest.approx(pre["untrained_class_entropy"]) and post["class_entropy"] > 0.95
    assert image["untrained_active"] is None and image["active"] == 100
    assert any("Not defined at some layers" in note and "fisher_ratio" in note for note in result.notes)
    assert any(note.startswith("80 images, 20 of them held out, after epoch 3") for note in result.notes)
    assert set(MEASURES) | {f"untrained_{name}" for name in MEASURES} < set(pre)


def test_pooling_is_reported(tmp_path: Path) -> None:
    result = analyze(selective(tmp_path / "a.h5", reduction="average-pool 2x2"))
    assert any("average-pool 2x2" in note for note in result.notes)
    assert not any("reduced" in note for note in analyze(selective(tmp_path / "b.h5")).notes)


def test_zeros_and_selectivity_are_those_of_the_whole_activation(tmp_path: Path) -> None:
    whole = {"unreduced_dead": 0.25, "unreduced_active": 0.8, "unreduced_hoyer": 0.5, "unreduced_class_entropy": 0.75}
    path = selective(tmp_path / "a.h5", reduction="average-pool 2x2", unreduced=whole)
    result, reduced = analyze(path), analyze(selective(tmp_path / "b.h5"))
    _, row, _ = result.to_dict()["rows"]
    assert [row[name] for name in ("dead", "active", "hoyer", "class_entropy")] == pytest.approx([25, 80, 0.5, 0.75])
    assert row["untrained_active"] == pytest.approx(80)
    _, other, _ = reduced.to_dict()["rows"]
    assert row["effective_rank"] == other["effective_rank"]  # of the recorded features in both
    assert any("of the whole activations" in note for note in result.notes)


class TestClaim:
    def claim(self, path: Path, before: np.ndarray, after: np.ndarray, **words: Any) -> Any:
        recorded = {(layer, "pre"): {0: before, 3: after} for layer in "012345"}
        plugins = {"network": "fcn", "dataset": "mnist", **words.pop("plugins", {})}
        return analyze(write_layers(path, recorded, TRUTH, HELD, plugins=plugins, **words)).claims

    def test_sparser_and_more_selective_agrees_and_the_reverse_differs(self, tmp_path: Path) -> None:
        [claim] = self.claim(tmp_path / "a.h5", DENSE, SPARSE)
        assert claim.agrees is True
        assert "fewer units active in 6, and units more selective in 6, of 6 layers" in claim.here
        assert self.claim(tmp_path / "b.h5", SPARSE, DENSE)[0].agrees is False

    def test_only_one_of_both_is_inconclusive(self, tmp_path: Path) -> None:
        spread = DENSE * (RANDOM.random(DENSE.shape) < 0.5)  # sparser, and as unselective as noise allows
        assert self.claim(tmp_path / "a.h5", np.ones((80, 12)), spread)[0].agrees is True
        assert self.claim(tmp_path / "b.h5", 1 + SPARSE, spread)[0].agrees is None

    def test_not_about_backpropagation_and_not_without_a_floor(self, tmp_path: Path) -> None:
        assert self.claim(tmp_path / "a.h5", DENSE, SPARSE, plugins={"rule": "backprop"}) == []
        recorded = {("0", "pre"): {3: SPARSE}}
        [claim] = analyze(write_layers(tmp_path / "b.h5", recorded, TRUTH, HELD)).claims
        assert claim.agrees is None and "not recorded" in claim.here


def test_several_runs_and_their_figure(tmp_path: Path) -> None:
    paths = [selective(tmp_path / f"{n}.h5", plugins={"normalizer": n}) for n in ("length", "none")]
    result = analyze(*paths)
    assert {row["run"] for row in result.to_dict()["rows"]} == {"length", "none"}
    figure = result.figure()
    assert [axes.get_ylabel() for axes in figure.axes][:2] == ["dead units (%)", "active (%)"]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[-2:] == ["length", "none"] and "before, untrained" in texts
    colours = [handle.get_color() for handle in figure.legends[0].legend_handles[-2:]]
    assert len(set(colours)) == 2
    path, _ = result.save_figure(tmp_path / "f.png")
    assert path.stat().st_size > 5000


def test_refusals_name_what_helps(make_run: MakeRun) -> None:
    probe = Representations(Representations.Params())
    with pytest.raises(ffprobe.FileError, match=r"No activations.*recording\.activations=true"):
        probe.analyze([make_run()])
    with pytest.raises(ffprobe.FileError, match=r"NaN or infinity.*activations/1/pre/activation, epoch 2.*bad\.h5"):
        probe.analyze([make_run("bad", signal=[1.0, float("nan"), 1.0])])
