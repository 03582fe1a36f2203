"""Bits about the label, layer by layer, from recorded activations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.information import Information
from recorded_layers import write_layers
from sklearn.metrics import mutual_info_score

import ffprobe

MakeRun = Callable[..., Any]
QUICK = {"repeats": 2, "mlp_repeats": 2, "hidden": 8, "resamples": 200}
N = 1200
TRUTH, HELD = np.arange(N) % 4, np.arange(N) >= 800
RANDOM = np.random.default_rng(0)
ALL = np.eye(4)[TRUTH] + 0.05 * RANDOM.normal(size=(N, 4))  # two bits
HALF = np.eye(2)[TRUTH // 2] + 0.05 * RANDOM.normal(size=(N, 2))  # one bit
NONE = RANDOM.normal(size=(N, 40))


def analyze(*paths: Path, **settings: Any) -> Any:
    runs = [ffprobe.open(path) for path in paths]
    try:
        return Information(Information.Params(**{**QUICK, **settings})).analyze(runs)
    finally:
        for run in runs:
            run.close()


def write(path: Path, layers: list[np.ndarray], **words: Any) -> Path:
    recorded = {("input", "pre"): {0: ALL, 2: ALL}}
    recorded |= {(str(i), "pre"): {0: NONE[:, : x.shape[1]], 2: x} for i, x in enumerate(layers)}
    return write_layers(path, recorded, TRUTH, HELD, **words)


def test_two_bits_one_bit_nothing(tmp_path: Path) -> None:
    result = analyze(write(tmp_path / "a.h5", [ALL, HALF, NONE[:, :5]]))
    rows = result.to_dict()["rows"]
    assert [row["depth"] for row in rows] == [0, 1, 2, 3]
    for head in ("linear", "mlp"):
        for row, bits in zip(rows, (2, 2, 1, 0), strict=True):
            assert row[head] == pytest.approx(bits, abs=0.06)
            assert row[head] <= bits + 2 * row[f"{head}_se"] + 1e-9
            assert row[f"{head}_named"] == pytest.approx(bits, abs=0.06)
            assert row[f"{head}_named_low"] - 0.01 <= row[f"{head}_named"] <= row[f"{head}_named_high"] + 0.01
        assert rows[0][f"untrained_{head}"] is None
        assert rows[1][f"untrained_{head}"] == pytest.approx(0, abs=0.05)
    assert "800 images to fit on, 400 held out, after epoch 2; the label has 2.00 bits" in result.notes[0]


def test_plug_in_is_that_of_the_names_given(tmp_path: Path) -> None:
    noisy = ALL + 0.5 * RANDOM.normal(size=ALL.shape)
    path = write(tmp_path / "a.h5", [noisy])
    row = analyze(path, repeats=1).to_dict()["rows"][1]
    [(_, log_q)] = ffprobe.head_log_probabilities([noisy.astype(np.float32)], TRUTH, HELD, repeats=1)
    expected = mutual_info_score(TRUTH[HELD], log_q[0].argmax(axis=1)) / np.log(2)
    assert row["linear_named_plug_in"] == pytest.approx(expected, abs=0.02)
    assert 0.5 < expected < 1.8


def test_an_estimate_below_zero_is_shown_and_explained(tmp_path: Path) -> None:
    result = analyze(write(tmp_path / "a.h5", [RANDOM.normal(size=(N, 40)) for _ in range(3)]))
    values = [row["linear"] for row in result.to_dict()["rows"]]
    assert min(values) < 0
    assert any("below 0 is noise" in note for note in result.notes)


class TestClaim:
    def claims(self, path: Path, layers: list[np.ndarray], **words: Any) -> Any:
        plugins = {"network": "fcn", "dataset": "cifar10", **words.pop("plugins", {})}
        return analyze(write(path, layers, plugins=plugins, **words)).claims

    def test_a_fall_under_length_normalization_agrees_a_rise_differs(self, tmp_path: Path) -> None:
        [claim] = self.claims(tmp_path / "a.h5", [ALL, HALF, NONE[:, :5]])
        assert claim.agrees is True and "bits at the first layer" in claim.here
        assert self.claims(tmp_path / "b.h5", [NONE[:, :5], HALF, ALL])[0].agrees is False
        assert self.claims(tmp_path / "c.h5", [HALF, ALL, HALF])[0].agrees is None

    def test_too_few_layers_are_inconclusive(self, tmp_path: Path) -> None:
        [claim] = self.claims(tmp_path / "a.h5", [ALL, NONE[:, :5]])
        assert claim.agrees is None and "fewer than 3 layers" in claim.here

    @pytest.mark.parametrize("plugins", [{"normalizer": "batchnorm"}, {"rule": "backprop"}])
    def test_not_about_other_settings(self, tmp_path: Path, plugins: dict[str, str]) -> None:
        assert self.claims(tmp_path / "a.h5", [ALL, HALF, NONE[:, :5]], plugins=plugins) == []


def test_several_runs_and_their_figure(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.h5", [ALL, HALF], plugins={"normalizer": n}) for n in ("length", "none")]
    result = analyze(*paths)
    assert {row["run"] for row in result.to_dict()["rows"]} == {"length", "none"}
    top, bottom = result.figure().axes
    assert [text.get_text() for text in top.texts] == [text.get_text() for text in bottom.texts] == ["length", "none"]
    assert any(np.allclose(line.get_ydata(), 2.0) for line in top.lines)  # the label's entropy
    path, _ = result.save_figure(tmp_path / "f.png")
    assert path.stat().st_size > 5000


class TestRefusals:
    def test_a_class_without_images_to_fit_on(self, tmp_path: Path) -> None:
        truth = np.where(HELD & (TRUTH == 1), 3, np.where(TRUTH == 3, 1, TRUTH))
        path = write_layers(tmp_path / "a.h5", {("0", "pre"): {2: ALL}}, truth, HELD)
        with pytest.raises(ffprobe.FileError, match=r"Class 3 .*not among the images to fit on.*recording\.samples"):
            analyze(path)

    def test_nothing_held_out(self, tmp_path: Path) -> None:
        path = write_layers(tmp_path / "a.h5", {("0", "pre"): {2: ALL}}, TRUTH, np.zeros(N))
        with pytest.raises(ffprobe.FileError, match="No image is held out"):
            analyze(path)

    def test_nothing_recorded(self, make_run: MakeRun) -> None:
        with pytest.raises(ffprobe.FileError, match="No activations"):
            Information(Information.Params()).analyze([make_run()])
