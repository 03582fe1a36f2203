"""Figures 2 and 7: gradient norms by role, the cosine of a layer's two gradients, and what fp16 would leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ffprobe_plugins.probes.gradients import Gradients, _catcher
from recorded_probe import recorded
from scipy.stats import iqr
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session

GROUP = "probes/gradients"
ALPHA = 40
"""So steep that fp16 would lose something even on a toy."""


class ByHand:
    """The same numbers another way: numpy norms after each update, autograd in a sandbox after each epoch."""

    def __init__(self) -> None:
        self.norms: dict[tuple[int, str, int], float] = {}
        self.cosines: list[list[float]] = []
        self.flushed: list[list[float]] = []

    @ffprobe.hookimpl
    def ffprobe_after_update(self, context: Any) -> None:
        for i in context.layers:
            gradient = context.run.network.layer(i).weight.grad.double().numpy()
            self.norms[context.step, "own" if i == context.loss_layer else "shared", i] = np.sqrt((gradient**2).sum())

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context: Any) -> None:
        images, labels = context.images, context.labels
        with context.run.sandbox() as copy:
            network, half = copy.network, len(images)
            wrong = copy.setup.negatives(images, labels, 10, copy.setup.generator)

            def loss(activation: torch.Tensor) -> torch.Tensor:
                goodness = activation.flatten(1).square().mean(1)
                return torch.log1p(torch.exp(-ALPHA * (goodness[:half] - goodness[half:]))).mean()

            x = network.encode(torch.cat([images, images]), torch.cat([labels, wrong])).detach()
            cosines, flushed = [], []
            for i in range(network.depth):
                layer = network.layer(i)
                activation = layer(x)
                own, at = torch.autograd.grad(loss(activation), (layer.weight, activation), retain_graph=True)
                g = at.numpy()
                with np.errstate(under="ignore"):
                    flushed.append((g[g != 0].astype(np.float16) == 0).mean())
                if i + 1 < network.depth:
                    (shared,) = torch.autograd.grad(loss(network.layer(i + 1)(activation)), layer.weight)
                    a, b = own.flatten().double().numpy(), shared.flatten().double().numpy()
                    cosines.append(a @ b / np.sqrt((a @ a) * (b @ b)))
                x = activation.detach()
            self.cosines.append(cosines)
            self.flushed.append(flushed)


def run(out: Path, *plugins: str, **training: Any) -> ByHand:
    registry, hand = Registry(), ByHand()
    words = (f"symba:alpha={ALPHA}", *plugins)
    changes = {"training": {"learning_rate": 0.01, **training}, "recording": {"activations": False}}
    config = toy_config(registry, *words, **changes)
    Session.start(config, registry, out, observers=[("by-hand", hand)]).run()
    return hand


def test_norms_under_olu_are_recorded_by_role_and_match_numpy(tmp_path: Path) -> None:
    hand = run(tmp_path / "run.h5", "olu", "batchnorm", "gradients:sandbox_every=1", epochs=3)
    with ffprobe.open(tmp_path / "run.h5") as file:
        assert file.messages() == []
        norms, steps = file.read(f"{GROUP}/steps/norm"), file.read(f"{GROUP}/steps/step")
        assert steps.tolist() == list(range(12))
        expected = np.full(norms.shape, np.nan)
        for (step, role, layer), value in hand.norms.items():
            expected[step, ["own", "shared"].index(role), layer] = value
        np.testing.assert_allclose(norms, expected, rtol=1e-5)
        # step 0: layers 0 and 1 by layer 1's loss; step 1: layer 0 alone, 1 and 2 by layer 2's
        assert np.isnan(norms[0]).tolist() == [[True, False, True], [False, True, True]]
        assert np.isnan(norms[1]).tolist() == [[False, True, False], [True, False, True]]
        assert file.read(f"{GROUP}/rehearsals/step").tolist() == [4, 8, 12]
        cosine = file.read(f"{GROUP}/rehearsals/cosine")
        np.testing.assert_allclose(cosine[:, :2], hand.cosines, rtol=1e-3, atol=1e-4)
        assert np.isnan(cosine[:, 2]).all()  # the last layer is first of no pair
        zero = file.read(f"{GROUP}/rehearsals/fp16_zero")
        np.testing.assert_allclose(zero[:, 0], hand.flushed, atol=1e-3)
        assert np.nanmax(zero) > 0.01
        row = Gradients().analyze([file]).to_dict()["rows"][0]
        assert row["cosine"] == pytest.approx(np.mean(hand.cosines, axis=0)[0], abs=1e-3)
        assert row["fp16_zero"] == pytest.approx(100 * np.mean(hand.flushed, axis=0)[0], abs=0.1)


def test_greedy_layers_have_one_role_and_no_cosine(tmp_path: Path) -> None:
    hand = run(tmp_path / "run.h5", "greedy", "length", "gradients:every=2")
    with ffprobe.open(tmp_path / "run.h5") as file:
        steps = file.read(f"{GROUP}/steps/step").tolist()
        assert steps == [0, 1, 4, 5]  # two in a row
        expected = [[hand.norms[step, "own", i] for i in range(3)] for step in steps]
        np.testing.assert_allclose(file.read(f"{GROUP}/steps/norm")[:, 0], expected, rtol=1e-5)
        assert np.isnan(file.read(f"{GROUP}/rehearsals/cosine")).all()
        assert file.read(f"{GROUP}/rehearsals/step").tolist() == [8]  # the last epoch, at the default
        result = Gradients().analyze([file])
        assert {row["role"] for row in result.to_dict()["rows"]} == {"own"}
        assert any("no layer learns from another layer's loss" in note for note in result.notes)
        assert any("fewer than 40 steps" in note for note in result.notes)


def test_turns_of_a_schedule_by_epoch_are_found(tmp_path: Path) -> None:
    run(tmp_path / "run.h5", "olu:alternate_every=epoch", "batchnorm", "gradients:sandbox_every=1")
    with ffprobe.open(tmp_path / "run.h5") as file:
        assert np.isfinite(file.read(f"{GROUP}/rehearsals/cosine")[:, :2]).all()


def test_what_fp16_does_to_a_gradient() -> None:
    smallest = 2.0**-24
    values = [0.0, smallest / 2, 0.51 * smallest, 2.0**-15, -smallest / 4, 2.0**-14, 1.0]
    seen: dict[int, Any] = {}
    x = torch.ones(len(values), requires_grad=True)
    activation = x * 1
    _catcher(seen, 0)(None, None, activation)
    activation.backward(torch.tensor(values))
    with np.errstate(under="ignore"):
        half = np.array(values, np.float32).astype(np.float16)
    nonzero = np.array(values) != 0
    zero = (half == 0)[nonzero].mean()
    subnormal = ((half != 0) & (abs(half) < 2.0**-14))[nonzero].mean()
    assert [zero, subnormal] == pytest.approx([2 / 6, 2 / 6])
    assert [float(v) for v in seen[0]] == pytest.approx([zero, subnormal])


def norms_of(log10: np.ndarray) -> dict[str, list[dict[str, Any]]]:
    """Rows of own norms ``[step, layer]``, given as log10; no sandbox."""
    wide = np.full((len(log10), 2, log10.shape[1]), np.nan)
    wide[:, 0] = 10.0**log10
    return {"steps": [{"step": i, "norm": row} for i, row in enumerate(wide)]}


def waves(count: int, *widths: float, centre: tuple[float, ...] = (), trend: float = 0.0) -> np.ndarray:
    """log10 norms ``[count, layers]`` that go up and down evenly over ``width`` decades around ``centre``."""
    saw = np.linspace(-0.5, 0.5, 20)[np.arange(count) * 7 % 20]
    centre = centre or (0.0,) * len(widths)
    return np.stack([c + w * saw + trend * np.arange(count) / count for w, c in zip(widths, centre, strict=True)], 1)


def test_medians_and_spread_in_closed_form(tmp_path: Path) -> None:
    logs = waves(400, 1.0, 0.2, centre=(-1.0, 2.0), trend=3.0)
    rows = Gradients().analyze([recorded(tmp_path / "a.h5", Gradients(), norms_of(logs), layers=2)]).to_dict()["rows"]
    for layer, row in enumerate(rows):
        assert row["norm_first"] == pytest.approx(np.median(10 ** logs[:40, layer]))
        assert row["norm_last"] == pytest.approx(np.median(10 ** logs[-40:, layer]))
        tenths = [iqr(logs[k : k + 40, layer]) for k in range(0, 400, 40)]
        assert row["spread"] == pytest.approx(np.median(tenths), rel=1e-5)
        assert row["spread"] < 0.5 * iqr(logs[:, layer])  # the trend is no variation
        assert row["cosine"] is None


def test_steps_without_gradient_are_reported_and_excluded(tmp_path: Path) -> None:
    logs = waves(80, 1.0, 1.0)
    logs[10, 1] = -np.inf
    result = Gradients().analyze([recorded(tmp_path / "a.h5", Gradients(), norms_of(logs), layers=2)])
    assert any("exactly zero in layer 2" in note for note in result.notes)
    assert np.isfinite(result.rows[1][4])
    assert result.figure().axes


def claims(tmp_path: Path, **runs: tuple[np.ndarray, str]) -> dict[str, Any]:
    files = [
        recorded(tmp_path / f"{n}.h5", Gradients(), norms_of(logs), layers=logs.shape[1], normalizer=n, scheduler=s)
        for n, (logs, s) in runs.items()
    ]
    return {c["source"].removeprefix("Trifecta, "): c for c in Gradients().analyze(files).to_dict()["claims"]}


@pytest.mark.parametrize(
    ("layernorm", "scheduler", "agrees"),
    [((2.0, 2.0), "greedy", True), ((2.0, 0.5), "greedy", False), ((2.0, 2.0), "olu", None)],
    ids=["both-layers-vary-more", "one-does-not", "another-setting"],
)
def test_figure_2_is_decided_on_first_and_last_layer(
    tmp_path: Path, layernorm: tuple[float, float], scheduler: str, agrees: bool | None
) -> None:
    runs = {"layernorm": (waves(80, *layernorm), scheduler), "batchnorm": (waves(80, 1.0, 1.0), "greedy")}
    assert claims(tmp_path, **runs)["Figure 2"]["agrees"] is agrees


def test_figure_2_needs_both_runs_and_enough_steps(tmp_path: Path) -> None:
    assert claims(tmp_path, rms=(waves(80, 1.0, 1.0), "greedy")) == {}
    runs = {"length": (waves(20, 2.0, 2.0), "greedy"), "batchnorm": (waves(20, 1.0, 1.0), "greedy")}
    assert claims(tmp_path, **runs)["Figure 2"]["agrees"] is None


@pytest.mark.parametrize(
    ("centres", "left", "right"),
    [
        ((0.0, -1.0, -2.0, -3.0), True, True),
        ((0.0, 0.1, -0.2, 0.3), False, False),
        ((-3.0, -3.1, -3.2, -3.3), False, True),
        ((0.0, -3.0), None, True),
    ],
    ids=["shrinks", "does-not", "small-everywhere", "too-few-layers"],
)
def test_figure_7(tmp_path: Path, centres: tuple[float, ...], left: bool | None, right: bool) -> None:
    ones = (1.0,) * len(centres)
    runs = {"none": (waves(80, *ones, centre=centres), "greedy"), "batchnorm": (waves(80, *ones), "greedy")}
    found = claims(tmp_path, **runs)
    assert found["Figure 7 (left)"]["agrees"] is left
    assert found["Figure 7 (right)"]["agrees"] is right


def test_ten_thousand_steps_are_drawn_as_few_points(tmp_path: Path) -> None:
    file = recorded(tmp_path / "a.h5", Gradients(), norms_of(waves(10_000, 1.0, 1.0, 1.0)), layers=3)
    axes = Gradients().analyze([file]).figure().axes[0]
    drawn = [line for line in axes.lines if len(line.get_xdata()) > 1]
    assert [len(line.get_xdata()) for line in drawn] == [80, 80]  # first and last layer
    assert axes.get_yscale() == "log"
    assert len(axes.collections) >= 2  # the bands
    chosen = Gradients(Gradients.Params(layers=2)).analyze([file]).figure().axes[0]
    assert len([line for line in chosen.lines if len(line.get_xdata()) > 1]) == 1


class TestRefusals:
    def test_not_recorded(self, make_run: Any) -> None:
        with pytest.raises(ffprobe.FileError, match=r"No gradients were recorded.*run\.h5.*--plugin gradients"):
            Gradients().analyze([make_run()])

    def test_nothing_committed_yet(self, tmp_path: Path) -> None:
        file = recorded(tmp_path / "a.h5", Gradients(), {}, layers=2, finish=False)
        with pytest.raises(ffprobe.FileError, match=r"The file has no gradients yet.*first epoch"):
            Gradients().analyze([file])

    def test_a_rule_without_gradients(self, tmp_path: Path) -> None:
        file = recorded(tmp_path / "a.h5", Gradients(), norms_of(np.full((4, 2), np.nan)), layers=2)
        with pytest.raises(ffprobe.FileError, match="The rule of this run left no gradients"):
            Gradients().analyze([file])

    def test_no_such_layer(self, tmp_path: Path) -> None:
        file = recorded(tmp_path / "a.h5", Gradients(), norms_of(waves(50, 1.0, 1.0)), layers=2)
        with pytest.raises(ffprobe.UsageError, match="Layer 3 does not exist; the network has 2 layers"):
            Gradients(Gradients.Params(layers=(3,))).analyze([file])
