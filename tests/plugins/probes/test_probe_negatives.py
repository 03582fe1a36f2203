"""Hardness and variety of negatives: ranks by brute force, entropy against scipy, samplers with known answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ffprobe_plugins.probes.negatives import Negatives
from plugin_files import write
from recorded_probe import recorded
from scipy.stats import entropy
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session

GROUP = "probes/negatives"
SAMPLERS = """
import torch
import ffprobe

class Sorted(ffprobe.Negatives):
    name = "sorted"
    needs_goodness = True
    class Params(ffprobe.Params):
        largest: bool = True
    def __call__(self, images, labels, classes, generator, goodness=None):
        own = float("-inf") if self.params.largest else float("inf")
        wrong = goodness.float().scatter(1, labels[:, None], own)
        return wrong.argmax(1) if self.params.largest else wrong.argmin(1)

class Careless(ffprobe.Negatives):
    name = "careless"
    def __init__(self, params=None):
        super().__init__(params)
        self.calls = 0
    def __call__(self, images, labels, classes, generator, goodness=None):
        self.calls += 1
        return labels if self.calls > 2 and self.calls % 2 else (labels + 1) % classes

@ffprobe.hookimpl
def ffprobe_components(): return [Sorted, Careless]
"""


class ByHand:
    """Goodness of every label, one image and one label at a time, in a sandbox of the last epoch."""

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context: Any) -> None:
        images, self.labels = context.images[:20], context.labels[:20].tolist()
        with context.run.sandbox() as copy, torch.no_grad():
            copy.network.eval()
            rows = [[copy.network(x[None], torch.tensor([k])) for k in range(10)] for x in images]
            self.goodness = np.array([[[float(g) for g in cell.flatten()] for cell in row] for row in rows])
            draws = [copy.setup.negatives(images, context.labels[:20], 10, copy.setup.generator) for _ in range(3)]
            self.chosen = [part.tolist() for part in draws]


def train(out: Path, *plugins: str, observers: Any = (), **changes: Any) -> Any:
    registry = Registry()
    changes = {"recording": {"activations": False}, "training": {"epochs": 1}, **changes}
    Session.start(toy_config(registry, *plugins, **changes), registry, out, observers=observers).run()
    return ffprobe.open(out)


def test_ranks_and_gaps_by_brute_force(tmp_path: Path) -> None:
    hand = ByHand()
    with train(tmp_path / "a.h5", "negatives:images=20,draws=3", observers=[("by-hand", hand)]) as run:
        assert run.messages() == []
        for layer in range(3):
            ranks, gaps = np.zeros((20, 3)), []
            for n, true in enumerate(hand.labels):
                for d in range(3):
                    chosen = hand.chosen[d][n]
                    others = [hand.goodness[n, k, layer] for k in range(10) if k not in (true, chosen)]
                    ranks[n, d] = np.mean([g > hand.goodness[n, chosen, layer] for g in others])
                    gaps.append(hand.goodness[n, true, layer] - hand.goodness[n, chosen, layer])
            assert run.read(f"{GROUP}/rank")[0, layer] == pytest.approx(ranks.mean(), abs=0.01)
            assert run.read(f"{GROUP}/rank_sd")[0, layer] == pytest.approx(ranks.mean(1).std(ddof=1), abs=0.02)
            assert run.read(f"{GROUP}/gap")[0, layer] == pytest.approx(np.mean(gaps), rel=1e-3, abs=1e-5)
        drawn = run.read(f"{GROUP}/drawn")[0]
        assert drawn.sum() == 60
        for d in range(3):
            for true, chosen in zip(hand.labels, hand.chosen[d], strict=True):
                drawn[true, chosen] -= 1
        assert not drawn.any()


def test_uniform_draws_are_neither_hard_nor_easy_and_as_varied_as_can_be(tmp_path: Path) -> None:
    with train(tmp_path / "a.h5", "negatives:sandbox_every=1", training={"epochs": 3}) as run:
        result = Negatives().analyze([run])
    assert result.extra["runs"][0]["steps"].tolist() == [4, 8, 12]
    for row in result.to_dict()["rows"]:
        assert abs(row["rank"] - 0.5) < 5 * row["rank_se"] < 0.2
    one = result.to_dict()["extra"]["runs"][0]
    assert one["entropy_max"] == pytest.approx(np.log2(9))
    assert one["entropy"] == pytest.approx(one["entropy_max"], abs=0.02)
    assert one["true_share"] == 0
    assert "no negative carries the true label." in result.notes


@pytest.mark.parametrize(("largest", "rank"), [("true", 0.0), ("false", 1.0)], ids=["hardest", "easiest"])
def test_the_hardest_and_the_easiest_negative(tmp_path: Path, largest: str, rank: float) -> None:
    plugin = write(tmp_path, SAMPLERS)
    registry = Registry()
    registry.load(plugin)
    choice = {"name": "sorted", "plugin": plugin, "largest": largest == "true"}
    with train(tmp_path / "a.h5", "negatives", negatives=choice) as run:
        assert run.messages() == []
        result = Negatives().analyze([run]).to_dict()
    assert result["rows"][-1]["rank"] == rank
    assert result["extra"]["runs"][0]["entropy"] < 3  # one label for each image


def test_true_labels_among_negatives_are_reported(tmp_path: Path) -> None:
    plugin = write(tmp_path, SAMPLERS)
    with train(tmp_path / "a.h5", "negatives:draws=4", negatives={"name": "careless", "plugin": plugin}) as run:
        result = Negatives().analyze([run])
    assert result.extra["runs"][0]["true_share"] == pytest.approx(0.5)
    assert any("50 % of the negatives carry the TRUE label" in note for note in result.notes)


def rows(drawn: np.ndarray, rank: list[float], layers: int = 2) -> dict[str, list[dict[str, Any]]]:
    one = {"step": 8, "rank": rank, "rank_sd": [0.2] * layers, "gap": [1.0] * layers, "images": 16, "drawn": drawn}
    return {"": [one]}


def test_entropy_is_scipys_and_corrected(tmp_path: Path) -> None:
    drawn = np.array([[0, 40, 40, 40], [90, 0, 20, 10], [200, 0, 0, 0], [0, 0, 0, 0]])
    run = recorded(tmp_path / "a.h5", Negatives(), rows(drawn, [0.5, 0.1]), layers=2)
    result = Negatives().analyze([run])
    plain = [entropy(row[row > 0], base=2) for row in drawn[:3]]
    more = [(np.count_nonzero(row) - 1) / (2 * row.sum() * np.log(2)) for row in drawn[:3]]
    expected = sum(row.sum() * (p + m) for row, p, m in zip(drawn[:3], plain, more, strict=True)) / drawn.sum()
    assert result.extra["runs"][0]["entropy"] == pytest.approx(expected)
    assert result.extra["runs"][0]["entropy_max"] == pytest.approx(np.log2(3))
    assert result.to_dict()["rows"][0]["rank_se"] == pytest.approx(0.05)


def test_several_runs_and_the_figure(tmp_path: Path) -> None:
    drawn = 1 - np.eye(4, dtype=int)
    runs = [
        recorded(tmp_path / f"{n}.h5", Negatives(), rows(drawn, rank), layers=2, negatives=n)
        for n, rank in (("hard", [0.1, 0.0]), ("uniform-wrong", [0.5, 0.5]))
    ]
    result = Negatives().analyze(runs)
    assert [(r["run"], r["depth"], r["rank"]) for r in result.to_dict()["rows"]] == [
        ("hard", 1, pytest.approx(0.1)),
        ("hard", 2, 0.0),
        ("uniform-wrong", 1, 0.5),
        ("uniform-wrong", 2, 0.5),
    ]
    lines = [list(line.get_ydata()) for line in result.figure().axes[0].lines if line.get_marker() in ("o", "s")]
    assert pytest.approx([0.1, 0.0]) in lines


class TestRefusals:
    def test_two_classes_have_one_wrong_label(self, tmp_path: Path) -> None:
        drawn = np.array([[0, 5], [5, 0]])
        run = recorded(tmp_path / "a.h5", Negatives(), rows(drawn, [np.nan, np.nan]), layers=2, classes=2)
        result = Negatives().analyze([run])
        assert result.to_dict()["rows"][0]["rank"] is None
        assert any("its rank has no meaning" in note for note in result.notes)

    def test_class_form_draws_none(self, tmp_path: Path) -> None:
        run = recorded(tmp_path / "a.h5", Negatives(), {}, layers=2, form="class")
        with pytest.raises(ffprobe.FileError, match="scores every label at once"):
            Negatives().analyze([run])

    def test_not_recorded(self, make_run: Any) -> None:
        with pytest.raises(ffprobe.FileError, match=r"No negatives were recorded.*--plugin negatives"):
            Negatives().analyze([make_run()])

    def test_nothing_yet(self, tmp_path: Path) -> None:
        run = recorded(tmp_path / "a.h5", Negatives(), {}, layers=2, finish=False)
        with pytest.raises(ffprobe.FileError, match="The file has no negatives yet"):
            Negatives().analyze([run])
