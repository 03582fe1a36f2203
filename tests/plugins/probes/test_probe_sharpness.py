"""Sharpness: known spectra, the Hessian of a trained layer written out in full, and refusals."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ffprobe_plugins.probes.hessian import largest_eigenvalue
from ffprobe_plugins.probes.sharpness import Sharpness
from recorded_probe import recorded
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session

GROUP = "probes/sharpness"


@pytest.mark.parametrize(
    "spectrum",
    [[5.0], [5.0, -9.0], [3.0, 3.0, 1.0, -70.0, *([0.1] * 40)], [-1.0, -2.0, -3.0, -4.0, -5.0, *([-6.0] * 30)]],
    ids=["one", "two", "indefinite", "negative"],
)
def test_a_quadratic_has_its_largest_eigenvalue(spectrum: list[float]) -> None:
    torch.manual_seed(1)
    rotation, _ = torch.linalg.qr(torch.randn(len(spectrum), len(spectrum), dtype=torch.float64))
    matrix = rotation @ torch.diag(torch.tensor(spectrum, dtype=torch.float64)) @ rotation.T
    x = torch.randn(len(spectrum), dtype=torch.float64, requires_grad=True)
    unused = torch.ones(2, dtype=torch.float64, requires_grad=True)
    assert largest_eigenvalue(x @ matrix @ x / 2, [x]) == pytest.approx(max(spectrum), rel=1e-3)
    # a parameter that the loss does not depend on adds eigenvalues of 0
    assert largest_eigenvalue(x @ matrix @ x / 2, [x, unused]) == pytest.approx(max(0, *spectrum), rel=1e-3, abs=1e-6)


def test_a_linear_loss_is_flat_and_an_infinite_one_unknown() -> None:
    x = torch.zeros(9, dtype=torch.float64, requires_grad=True)
    assert largest_eigenvalue(3 * x.sum(), [x]) == 0
    assert largest_eigenvalue((x.square() * 0).sum(), [x]) == 0
    assert math.isnan(largest_eigenvalue((1 / x).sum(), [x]))


def test_logistic_regression_in_closed_form() -> None:
    """Hessian X' diag(s (1 - s)) X / N; at weight 0 every s is 1/2."""
    torch.manual_seed(0)
    x, w = torch.randn(50, 8, dtype=torch.float64), torch.zeros(8, dtype=torch.float64, requires_grad=True)
    expected = float(torch.linalg.eigvalsh(x.T @ x / 200).max())
    assert largest_eigenvalue(torch.nn.functional.softplus(-(x @ w)).mean(), [w]) == pytest.approx(expected, rel=1e-3)


class ByHand:
    """The Hessian of SymBa on mean squares in the first layer's parameters, all of it."""

    def __init__(self) -> None:
        self.largest = self.scaled = math.nan

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context: Any) -> None:
        images, labels = context.images[:16], context.labels[:16]
        with context.run.sandbox() as copy:
            wrong = copy.setup.negatives(images, labels, 10, copy.setup.generator)
            layer = copy.network.double().layer(0)
            x = copy.network.encode(torch.cat([images, images]).double(), torch.cat([labels, wrong])).detach()
            parameters = {k: p for k, p in layer.named_parameters() if k.startswith("conv")}
            sizes = [p.numel() for p in parameters.values()]

            def loss(flat: torch.Tensor) -> torch.Tensor:
                pieces = zip(parameters.items(), flat.split(sizes), strict=True)
                given = {name: piece.reshape(old.shape) for (name, old), piece in pieces}
                activation = torch.func.functional_call(layer, given, (x,))
                goodness = activation.flatten(1).square().mean(1)
                return torch.nn.functional.softplus(-4 * (goodness[:16] - goodness[16:])).mean()

            flat = torch.cat([p.detach().flatten() for p in parameters.values()])
            hessian = torch.autograd.functional.hessian(loss, flat)
            self.largest = float(torch.linalg.eigvalsh(hessian).max())
            self.scaled = self.largest * float(flat.square().sum())


def test_the_recorded_value_is_that_of_the_whole_hessian(tmp_path: Path) -> None:
    registry, hand = Registry(), ByHand()
    config = toy_config(
        registry, "symba:alpha=4", "sharpness:images=16", recording={"activations": False}, training={"epochs": 1}
    )
    Session.start(config, registry, tmp_path / "a.h5", observers=[("by-hand", hand)]).run()
    with ffprobe.open(tmp_path / "a.h5") as file:
        assert file.messages() == []
        assert file.read(f"{GROUP}/largest")[-1][0] == pytest.approx(hand.largest, rel=2e-3)
        assert file.read(f"{GROUP}/scaled")[-1][0] == pytest.approx(hand.scaled, rel=2e-3)
        assert np.isfinite(file.read(f"{GROUP}/largest")).all()
        result = Sharpness().analyze([file])
        assert result.to_dict()["rows"][0]["largest"] == pytest.approx(hand.largest, rel=2e-3)
        assert result.figure().axes


def test_only_layers_with_a_loss_have_a_number(tmp_path: Path) -> None:
    words = ("no-label", "linear-head", "cross-entropy", "whole", "sharpness:images=8")
    config = toy_config(Registry(), *words, recording={"activations": False}, training={"epochs": 1, "max_images": 64})
    Session.start(config, Registry(), tmp_path / "a.h5").run()
    with ffprobe.open(tmp_path / "a.h5") as file:
        assert file.messages() == []
        assert np.isfinite(file.read(f"{GROUP}/largest")[-1]).tolist() == [False, False, True]
        assert any("layer 1, 2 has none" in note for note in Sharpness().analyze([file]).notes)


def test_a_layer_that_curves_nowhere_upwards_is_named(tmp_path: Path) -> None:
    rows = {"": [{"step": 4, "images": 8, "loss": [1.0, 1.0], "largest": [0.0, 2.0], "scaled": [0.0, 3.0]}]}
    file = recorded(tmp_path / "a.h5", Sharpness(), rows, layers=2)
    assert any("layer 1 curves upwards" in note for note in Sharpness().analyze([file]).notes)


def test_refusals_name_what_helps(make_run: Any, tmp_path: Path) -> None:
    with pytest.raises(ffprobe.FileError, match=r"No sharpness was recorded.*--plugin sharpness"):
        Sharpness().analyze([make_run()])
    unfinished = recorded(tmp_path / "a.h5", Sharpness(), {}, layers=2, finish=False)
    with pytest.raises(ffprobe.FileError, match=r"no sharpness yet.*first epoch"):
        Sharpness().analyze([unfinished])
