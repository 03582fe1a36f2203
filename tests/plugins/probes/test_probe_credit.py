"""Effective rank of error signals: closed forms, the rule's own gradients, and backpropagation's."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ffprobe_plugins.probes.credit import Credit, effective_rank
from recorded_probe import recorded
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session

GROUP = "probes/credit"


@pytest.mark.parametrize(
    ("rows", "rank"),
    [
        (torch.eye(5), 5.0),
        (torch.tensor([[1.0, 2.0], [-3.0, -6.0], [2.0, 4.0]]), 1.0),
        (torch.tensor([[1.0, 0.0], [0.5, 0.75**0.5]]), 2.0**2 / 2.5),  # 60 degrees: G^2 has trace 2 + 2 / 4
        (1e-30 * torch.eye(3).reshape(3, 3, 1, 1), 3.0),
    ],
    ids=["orthogonal", "one-direction", "sixty-degrees", "tiny"],
)
def test_effective_rank_in_closed_form(rows: torch.Tensor, rank: float) -> None:
    assert effective_rank(rows) == pytest.approx(rank, rel=1e-6)


def test_without_any_gradient_there_is_no_rank() -> None:
    assert math.isnan(effective_rank(torch.zeros(3, 2)))


class ByHand:
    """The gradient of SymBa on mean squares, written out: -+ alpha sigmoid(-alpha m) 2 a / (units * images)."""

    def __init__(self) -> None:
        self.ranks: list[float] = []

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context: Any) -> None:
        images, labels = context.images[:16], context.labels[:16]
        with context.run.sandbox() as copy, torch.no_grad():
            network = copy.network
            wrong = copy.setup.negatives(images, labels, 10, copy.setup.generator)
            x = network.encode(torch.cat([images, images]), torch.cat([labels, wrong]))
            self.ranks = []
            for i in range(network.depth):
                activation = network.layer(i)(x).flatten(1).double().numpy()
                goodness = np.square(activation).mean(1)
                weight = 1 / (1 + np.exp(4 * (goodness[:16] - goodness[16:])))
                rows = np.concatenate([-weight, weight])[:, None] * activation
                eigenvalues = np.linalg.eigvalsh(rows @ rows.T)
                self.ranks.append(eigenvalues.sum() ** 2 / np.square(eigenvalues).sum())
                x = network.pass_on(i, network.layer(i)(x), {})


def train(out: Path, *plugins: str, **changes: Any) -> ByHand:
    registry, hand = Registry(), ByHand()
    config = toy_config(registry, *plugins, "credit:images=16", recording={"activations": False}, **changes)
    observers = [("by-hand", hand)] if "symba:alpha=4" in plugins else []
    Session.start(config, registry, out, observers=observers).run()
    return hand


def test_the_rank_is_that_of_the_local_gradient_written_out(tmp_path: Path) -> None:
    hand = train(tmp_path / "a.h5", "symba:alpha=4", training={"epochs": 1})
    with ffprobe.open(tmp_path / "a.h5") as file:
        assert file.messages() == []
        np.testing.assert_allclose(file.read(f"{GROUP}/local_rank")[-1], hand.ranks, rtol=1e-3)
        assert file.read(f"{GROUP}/local_rows").tolist() == [[32] * 3]
        assert file.read(f"{GROUP}/backprop_rows").tolist() == [[160] * 3]  # every candidate label
        assert np.isfinite(file.read(f"{GROUP}/backprop_rank")).all()
        result = Credit().analyze([file])
        row = result.to_dict()["rows"][0]
        assert row["first"] == row["local"] == pytest.approx(hand.ranks[0], rel=1e-3)
        assert row["share"] == pytest.approx(row["local"] / row["backprop"])
        assert result.claims[0].not_comparable and result.claims[0].agrees is None
        assert result.figure().axes


def test_a_run_of_backpropagation_has_backpropagations_rank(tmp_path: Path) -> None:
    words = ("no-label", "linear-head", "cross-entropy", "whole")
    train(tmp_path / "a.h5", *words, normalizer={"name": "batchnorm", "position": "preactivation"})
    with ffprobe.open(tmp_path / "a.h5") as file:
        assert file.messages() == []
        ranks = [file.read(f"{GROUP}/{name}_rank") for name in ("local", "backprop")]
        assert np.isfinite(ranks[0]).all()
        np.testing.assert_allclose(*ranks, rtol=1e-4)
        assert Credit().analyze([file]).claims == []  # not a run of a local rule


def rows(local: list[float], backprop: list[float]) -> dict[str, list[dict[str, Any]]]:
    ranks = {"local_rank": local, "backprop_rank": backprop}
    passes = {f"{name}_rows": [8] * len(local) for name in ("local", "backprop")}
    return {"": [{"step": 4, "images": 8, **ranks, **passes}]}


@pytest.mark.parametrize(
    ("local", "agrees"), [([1.0, 2.0], True), ([1.0, 9.0], None), ([9.0, 9.0], False), ([math.nan, math.nan], None)]
)
def test_the_claim_is_about_every_layer(tmp_path: Path, local: list[float], agrees: bool | None) -> None:
    file = recorded(tmp_path / "a.h5", Credit(), rows(local, [10.0, 10.0]), layers=2, network="cnn12")
    [claim] = Credit().analyze([file]).claims
    assert claim.agrees is agrees


def test_refusals_name_what_helps(make_run: Any, tmp_path: Path) -> None:
    with pytest.raises(ffprobe.FileError, match=r"No error signals were recorded.*--plugin credit"):
        Credit().analyze([make_run()])
    unfinished = recorded(tmp_path / "a.h5", Credit(), {}, layers=2, finish=False)
    with pytest.raises(ffprobe.FileError, match=r"no error signals yet.*first epoch"):
        Credit().analyze([unfinished])
