"""Appendix C: the criteria against closed forms, and derivatives that are wrong on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ffprobe_plugins.probes.layers import Layers
from ffprobe_plugins.probes.symmetry import Symmetry
from recorded_probe import recorded
from torch.nn import functional

import ffprobe


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def answer(monkeypatch: pytest.MonkeyPatch, *losses: type[ffprobe.Loss], centre: float = 2.0) -> Any:
    monkeypatch.setattr(ffprobe, "registered", lambda kind: {loss.name: loss for loss in losses})
    return Symmetry(Symmetry.Params(centre=centre)).analyze([])


def test_all_registered_pair_losses_are_tested_without_a_run() -> None:
    result = Symmetry().analyze([])
    rows = {row["loss"]: row for row in result.to_dict()["rows"]}
    pairs = {name for name, loss in ffprobe.registered("loss").items() if loss.form == "pair"}
    assert {"symba", "fixed-threshold"} <= set(rows) <= pairs
    for name in ("symba", "fixed-threshold"):
        assert rows[name]["closed_form"] < 1e-12
        assert rows[name]["differences"] < 1e-8
    assert rows["symba"]["pair_gradients"] == 0
    assert rows["fixed-threshold"]["pair_gradients"] > 0.5


def test_the_original_loss_in_closed_form() -> None:
    row = next(r for r in Symmetry().analyze([]).to_dict()["rows"] if r["loss"] == "fixed-threshold")
    d, e = np.meshgrid(np.linspace(0, 2, 17), np.linspace(0, 2, 17), indexing="ij")
    # the paper's Eq. 4, halved by the mean over both samples; softplus(x) - softplus(-x) = x
    high = max((softplus(-d) + softplus(e)).max(), (softplus(d) + softplus(-e)).max()) / 2
    assert row["symmetry"] == pytest.approx(abs(e - d).max() / 2 / high)
    steepest = 1 / (1 + np.exp(-2))
    assert row["equal_gradients"] == pytest.approx((steepest - 0.5) / steepest)  # Eq. 8 at d = 0, e = 2
    assert row["pair_gradients"] == pytest.approx((steepest - (1 - steepest)) / steepest)
    assert row["at_equal_deviations"] < 1e-15


def test_symba_fails_both_criteria_by_the_letter_and_pushes_pairs_evenly() -> None:
    result = Symmetry().analyze([])
    row = next(r for r in result.to_dict()["rows"] if r["loss"] == "symba")
    gap = 4 * np.linspace(-2, 2, 65)
    assert row["symmetry"] == pytest.approx(8 / softplus(gap).max())
    assert row["at_equal_deviations"] == 0
    verdicts = {claim.source: claim.agrees for claim in result.claims}
    assert verdicts == {"Trifecta, Appendix C": True, "Trifecta, Section 4": False, "Lee & Song 2023": True}


class Even(ffprobe.Loss):
    """Depends on the sum of deviations alone, so that Eqs. 2 and 5 hold everywhere."""

    name = "even"

    def __call__(self, positive: Any, negative: Any, context: Any) -> Any:
        return (positive + negative - 4).square().mean()


class WrongForm(ffprobe.Loss):
    """A closed form with the sign of one side wrong."""

    name = "wrong-form"

    def __call__(self, positive: Any, negative: Any, context: Any) -> Any:
        return functional.softplus(negative - positive).mean()

    def derivatives(self, positive: Any, negative: Any) -> Any:
        pull = torch.sigmoid(negative - positive)
        return pull, pull


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        return 2 * gradient


class WrongBackward(ffprobe.Loss):
    """A hand-written backward pass that is not the derivative."""

    name = "wrong-backward"

    def __call__(self, positive: Any, negative: Any, context: Any) -> Any:
        return functional.softplus(negative - Twice.apply(positive)).mean()


class Picky(ffprobe.Loss):
    """Needs a batch: the standard deviation of one goodness is undefined."""

    name = "picky"

    def __call__(self, positive: Any, negative: Any, context: Any) -> Any:
        return (negative / negative.std() - positive).mean()


class Flat(ffprobe.Loss):
    name = "flat"

    def __call__(self, positive: Any, negative: Any, context: Any) -> Any:
        return (positive * 0 + negative * 0).mean()


class Vectors(ffprobe.Loss):
    name = "vectors"
    form = "class"

    def __call__(self, goodness: Any, labels: Any, context: Any) -> Any:
        raise AssertionError("class losses have no pairs")


def test_a_loss_that_meets_both_criteria(monkeypatch: pytest.MonkeyPatch) -> None:
    result = answer(monkeypatch, Even)
    row = result.to_dict()["rows"][0]
    assert max(row["symmetry"], row["equal_gradients"]) < 1e-12
    assert row["pair_gradients"] > 0.9  # both are pushed the same way, not against each other
    assert row["closed_form"] is None
    assert "even: Eqs. 2 and 5 hold everywhere" in result.notes[0]
    assert "has no derivatives in closed form" in result.notes[1]
    assert answer(monkeypatch, Even, centre=1.0).to_dict()["rows"][0]["symmetry"] > 0.1  # the centre counts


def test_a_wrong_closed_form_and_a_wrong_backward_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    result = answer(monkeypatch, WrongForm, WrongBackward)
    form, backward = result.to_dict()["rows"]
    assert form["closed_form"] == pytest.approx(2)
    assert form["differences"] < 1e-8
    assert backward["differences"] > 0.4
    assert any("wrong-form: its closed form DISAGREES" in note for note in result.notes)
    assert any("wrong-backward: autograd DISAGREES" in note for note in result.notes)


@pytest.mark.filterwarnings("ignore:std")
def test_what_cannot_be_tested_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    result = answer(monkeypatch, Picky, Flat, Vectors)
    rows = result.to_dict()["rows"]
    assert [row["loss"] for row in rows] == ["picky", "flat"]
    assert all(value is None for row in rows for key, value in row.items() if key != "loss")
    assert "picky cannot be tested with goodness alone: " in result.notes[0]
    assert "not finite on one pair alone" in result.notes[0]
    assert "does not change with goodness" in result.notes[1]
    assert "Not tested, because of form class: vectors." in result.notes[2]


def test_the_losses_of_runs_with_their_settings(tmp_path: Path) -> None:
    runs = []
    for i, loss in enumerate(({"name": "symba", "alpha": 2.0}, {"name": "fixed-threshold", "threshold": 5.0}) * 2):
        run = recorded(tmp_path / f"{i}.h5", Layers(), {}, layers=2)
        run.config["loss"] = loss
        run.attributes["config_json"] = json.dumps({**run.config, "loss": loss})
        runs.append(run)
    result = Symmetry().analyze(runs)
    assert [row["loss"] for row in result.to_dict()["rows"]] == ["symba:alpha=2.0", "fixed-threshold:threshold=5.0"]
    assert [one["centre"] for one in result.extra["losses"]] == [2.0, 5.0]


@pytest.mark.parametrize("loss", [{"name": "symba", "beta": 1}, {"name": "lost"}, {"name": "x", "plugin": "./x.py"}])
def test_a_loss_that_is_not_installed_is_not_run(tmp_path: Path, loss: dict[str, Any]) -> None:
    (tmp_path / "x.py").write_text("raise SystemExit('a run file must not make code run')")
    run = recorded(tmp_path / "a.h5", Layers(), {}, layers=2)
    run.attributes["config_json"] = json.dumps({"loss": loss})
    with pytest.raises(ffprobe.FileError, match=r"not installed|does not take"):
        Symmetry().analyze([run])


def test_the_figure_has_two_lines_for_each_loss(tmp_path: Path) -> None:
    result = Symmetry().analyze([])
    axes = result.figure().axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 13]
    assert len(lines) == 2 * len(result.to_dict()["rows"])
    assert axes.get_xlabel().startswith("separation")
    path, data = result.save_figure(tmp_path / "f.svg")
    assert path.stat().st_size > 3000
    assert "symba" in data.read_text()
