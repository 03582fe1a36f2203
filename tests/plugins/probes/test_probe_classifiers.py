"""Figure 8: what classifiers read from each layer's recorded activations."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.probes import Probes

import ffprobe

MakeRun = Callable[..., Any]
QUICK = Probes.Params(repeats=3, mlp_repeats=2, hidden=8)
FADING = [3.0, 0.6, 0.0]


def analyze(*runs: Any) -> Any:
    return Probes(QUICK).analyze(list(runs))


def test_accuracy_falls_with_the_signal_and_stands_on_a_floor(make_run: MakeRun) -> None:
    result = analyze(make_run(signal=FADING, floor=0.0))
    rows = {(row["layer"], row["stage"]): row for row in result.to_dict()["rows"]}
    assert list(rows) == [("input", "pre")] + [(layer, stage) for layer in "123" for stage in ("pre", "post")]
    for head in ("linear", "mlp"):
        assert rows["1", "pre"][head] > 99
        assert 45 < rows["2", "post"][head] < 95
        assert rows["3", "pre"][head] == pytest.approx(25, abs=17)  # four classes, 60 images, no signal
        assert rows["1", "pre"][f"untrained_{head}"] == pytest.approx(25, abs=17)
        assert rows["input", "pre"][head] > 75
        assert rows["input", "pre"][f"untrained_{head}"] is None
        assert rows["2", "pre"][f"{head}_sd"] > 0
    assert [row["depth"] for row in rows.values()] == [0, 1, 1, 2, 2, 3, 3]


def test_the_last_row_is_the_trained_network(make_run: MakeRun) -> None:
    rows = analyze(make_run(signal=[3.0], layers=1, epochs=(0, 1, 2))).to_dict()["rows"]
    assert rows[1]["linear"] > 99
    assert rows[1]["untrained_linear"] < 70


def test_it_is_reproducible(make_run: MakeRun) -> None:
    run = make_run(signal=FADING)
    assert analyze(run).to_dict() == analyze(run).to_dict()


def test_several_runs_one_line_each(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [make_run(n, signal=[s, s / 2, s / 3], plugins={"normalizer": n}) for n, s in (("length", 1), ("none", 3))]
    result = analyze(*runs)
    rows = result.to_dict()["rows"]
    assert {row["run"] for row in rows} == {"length", "none"}
    figure = result.figure()
    for axes, head in zip(figure.axes, ("linear", "mlp"), strict=True):
        assert [text.get_text() for text in axes.texts] == ["length", "none"]
        drawn = [list(container.lines[0].get_ydata()) for container in axes.containers if container.has_yerr]
        for name, stage in (("length", "pre"), ("length", "post"), ("none", "pre"), ("none", "post")):
            values = [r[head] for r in rows if r["run"] == name and r["stage"] == stage and r["depth"]]
            assert values in drawn
        assert len(drawn) == 4
    for suffix in (".png", ".svg", ".pdf"):
        path, data = result.save_figure(tmp_path / f"f{suffix}", command="ffprobe analyze probes a b")
        assert path.stat().st_size > 5000
        assert len(data.read_text(encoding="utf-8").splitlines()) == len(rows) + 1


def test_notes_have_images_chance_and_epoch(make_run: MakeRun) -> None:
    result = analyze(make_run(signal=FADING))
    assert (
        "fitted on 160 training images, scored on 60 held-out images, after epoch 2; chance is 25 %" in result.notes[0]
    )
    assert result.extra["runs"][0]["held_out_images"] == 60
    assert result.extra["settings"]["hidden"] == 8


def test_without_the_untrained_network_there_is_no_floor(make_run: MakeRun) -> None:
    result = analyze(make_run(signal=FADING, epochs=(2,)))
    assert all(row["untrained_linear"] is None for row in result.to_dict()["rows"])
    assert any("no floor" in note for note in result.notes)
    assert result.figure().axes


class TestRefusals:
    def test_not_recorded_names_the_file_and_the_option(self, make_run: MakeRun) -> None:
        with pytest.raises(ffprobe.FileError, match=r"No activations.*run\.h5.*recording\.activations=true.*probes"):
            analyze(make_run())

    def test_only_the_untrained_network_so_far(self, make_run: MakeRun) -> None:
        with pytest.raises(ffprobe.FileError, match=r"trained network are not in the file yet.*\.partial"):
            analyze(make_run(signal=FADING, epochs=(0,), finish=False))

    def test_diverged_run_names_the_layer(self, make_run: MakeRun) -> None:
        with pytest.raises(ffprobe.FileError, match=r"NaN or infinity.*activations/1/pre/activation, epoch 2.*run\.h5"):
            analyze(make_run(signal=[1.0, float("nan"), 1.0]))

    def test_nothing_held_out(self, make_run: MakeRun) -> None:
        with pytest.raises(ffprobe.FileError, match="No image is held out"):
            analyze(make_run(signal=FADING, images=(100, 0)))


def test_file_is_left_as_it_was(make_run: MakeRun) -> None:
    run = make_run(signal=FADING)
    before = np.frombuffer(Path(run.path).read_bytes(), np.uint8)
    analyze(run)
    assert (np.frombuffer(Path(run.path).read_bytes(), np.uint8) == before).all()


NUMBER = count()


class TestClaims:
    """Many held-out images, so that errors are small compared with the differences."""

    IMAGES = (400, 1200)

    def claims(self, make_run: MakeRun, *what: tuple[str, list[float]], **words: Any) -> list[Any]:
        runs = [
            make_run(
                f"{next(NUMBER)}",
                signal=signal,
                images=self.IMAGES,
                plugins={"normalizer": name, "network": "fcn", **words},
            )
            for name, signal in what
        ]
        return list(analyze(*runs).claims)

    def test_a_fall_under_length_normalization(self, make_run: MakeRun) -> None:
        [claim] = self.claims(make_run, ("length", [3.0, 1.0, 0.0]))
        assert claim.agrees is True
        assert "100.0 % at the first layer" in claim.here

    def test_no_fall_under_length_normalization_differs(self, make_run: MakeRun) -> None:
        [claim] = self.claims(make_run, ("layernorm", [3.0, 3.0, 3.0]))
        assert claim.agrees is False
        [claim] = self.claims(make_run, ("layernorm", [0.0, 1.0, 3.0]))
        assert claim.agrees is False

    def test_a_difference_within_the_noise_is_inconclusive(self, make_run: MakeRun) -> None:
        run = make_run(signal=[0.8, 0.8, 0.8], images=(160, 40), plugins={"normalizer": "length", "network": "fcn"})
        assert analyze(run).claims[0].agrees is None

    def test_two_layers_are_inconclusive(self, make_run: MakeRun) -> None:
        run = make_run(signal=[3.0, 0.0], layers=2, images=self.IMAGES, plugins={"network": "fcn"})
        assert analyze(run).claims[0].agrees is None

    def test_not_about_other_normalizers_or_rules(self, make_run: MakeRun) -> None:
        assert self.claims(make_run, ("batchnorm", [3.0, 1.0, 0.0])) == []
        assert self.claims(make_run, ("length", [3.0, 1.0, 0.0]), rule="backprop") == []

    def test_the_order_of_normalizers(self, make_run: MakeRun) -> None:
        flat, half, steep = [3.0, 3.0, 3.0], [3.0, 1.0, 0.6], [3.0, 0.6, 0.0]
        published = self.claims(make_run, ("length", steep), ("none", flat), ("batchnorm", half))
        assert published[1].agrees is True and "with layer normalization" in published[1].here
        reverse = self.claims(make_run, ("length", flat), ("none", steep))
        assert reverse[1].agrees is False
        alike = self.claims(make_run, ("batchnorm", half), ("none", half))
        assert [claim.agrees for claim in alike] == [None]

    def test_runs_that_differ_otherwise_give_no_order(self, make_run: MakeRun) -> None:
        flat, steep = [3.0, 3.0, 3.0], [3.0, 0.6, 0.0]
        runs = [
            make_run(n, signal=s, images=self.IMAGES, plugins={"normalizer": n, "loss": loss})
            for n, s, loss in (("length", steep, "symba"), ("none", flat, "fixed-threshold"))
        ]
        claim = analyze(*runs).claims[1]
        assert claim.agrees is None and "differ in more than the normalizer" in claim.here
