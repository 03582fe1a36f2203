"""Tables 1 and 2: plugin sets over seeds, from run files of the real writer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ffprobe_plugins.probes.compare import TABLE_1, TABLE_2, Compare
from scipy import stats

import ffprobe
from ffprobe.store.schema import RunMetadata, run_schema
from ffprobe.store.writer import RunWriter

USUAL = {
    "dataset": {"name": "digits"},
    "network": {"name": "tff-s", "width": 1.0},
    "encoder": {"name": "label-channel", "learned": "auto"},
    "normalizer": {"name": "length", "to": "root-features"},
    "goodness": {"name": "mean-square"},
    "loss": {"name": "fixed-threshold", "threshold": 2.0},
    "negatives": {"name": "uniform-wrong"},
    "scheduler": {"name": "greedy"},
    "rule": {"name": "forward-forward"},
    "evaluator": {"name": "layer-goodness", "layers": "last"},
}
SYMBA = {"name": "symba", "alpha": 4.0}


class Shelf:
    """Writes run files of two epochs and opens them."""

    def __init__(self, folder: Path, network: ExitStack) -> None:
        self.folder, self.network, self.count = folder, network, 0

    def run(
        self,
        seed: int = 0,
        test: float | None = 50,
        validation: float | None = 60,
        epochs: int = 2,
        finish: bool = True,
        attributes: dict[str, Any] | None = None,
        training: dict[str, Any] | None = None,
        **slots: Any,
    ) -> Any:
        self.count += 1
        path = self.folder / f"{self.count}.h5"
        config = {**USUAL, **slots, "seed": seed, "training": {"epochs": epochs, "max_images": 0, **(training or {})}}
        facts = RunMetadata(
            layers=("0", "1"),
            classes=("a", "b"),
            validation=4,
            test=4,
            weights={},
            attributes={"config_json": json.dumps(config), "run_id": f"id {self.count}", **(attributes or {})},
        )
        with RunWriter.create(path, run_schema(facts)) as writer:
            for epoch in (1, 2):
                value = math.nan if validation is None or epoch == 2 else validation / 100
                writer.append("metrics", {"epoch": epoch, "model_validation_accuracy": value, "wall_time": 5.0 * epoch})
                writer.commit()
            for name, value in (("test", test), ("validation", validation)):
                if value is not None:
                    writer.put(f"final/model_{name}_accuracy", value / 100)
            writer.put("final/wall_time", 7.0)
            if not finish:
                return self.network.enter_context(ffprobe.open(f"{path}.partial"))
            return self.network.enter_context(ffprobe.open(writer.finish()))


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    with ExitStack() as network:
        yield Shelf(tmp_path, network)


def analyze(runs: list[Any], **settings: Any) -> Any:
    return Compare(Compare.Params(**settings)).analyze(runs)


def test_rows_are_plugin_sets_and_spreads_are_over_seeds(shelf: Shelf) -> None:
    plain, symba = (10.0, 14.0, 12.0), (31.0, 36.0, 32.0)
    runs = [shelf.run(seed, test=value) for seed, value in enumerate(plain)]
    runs += [shelf.run(seed, test=value, loss=SYMBA) for seed, value in enumerate(symba)]
    result = analyze(runs)
    first, second = result.to_dict()["rows"]
    assert (first["data"], first["plugins"], first["n"], first["epochs"], first["time"]) == (
        *("digits", "fixed-threshold", 3, 2, 7.0),
    )
    assert (first["test"], first["test_sd"]) == pytest.approx((12, 2))
    assert (second["test"], second["test_sd"]) == pytest.approx((33, 7**0.5))
    assert first["difference"] is None
    test = stats.ttest_rel(symba, plain)
    assert (second["difference"], second["p"]) == (pytest.approx(21), pytest.approx(test.pvalue, rel=1e-4))
    assert second["on"] == "test"
    low, high = test.confidence_interval(0.95)
    assert second["difference_half"] == pytest.approx((high - low) / 2)
    assert second["validation"] == pytest.approx(60)
    assert result.to_dict()["extra"]["groups"][1]["paired_seeds"] == [0, 1, 2]
    assert any("validation accuracy is the same for all 3 seeds" in note for note in result.notes)


def test_only_attributes_and_final_are_read(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [shelf.run(seed) for seed in (0, 1)]
    read: list[str] = []
    for run in runs:
        variable = run.variable
        monkeypatch.setattr(run, "variable", lambda path, variable=variable: (read.append(path), variable(path))[1])
        monkeypatch.setattr(type(run), "paths", lambda self: pytest.fail("the whole file was looked through"))
    analyze(runs)
    assert {path.partition("/")[0] for path in read} == {"final"}
    assert not any("_found" in vars(run) for run in runs)


def test_validation_is_used_without_a_test_set_and_never_mixed_with_it(shelf: Shelf) -> None:
    runs = [shelf.run(seed, test=None, validation=70 + seed, loss=SYMBA) for seed in (0, 1)]
    runs += [shelf.run(seed, test=99, validation=80 + 2 * seed) for seed in (0, 1)]
    first, second = analyze(runs).to_dict()["rows"]
    assert (first["test"], first["validation"]) == (None, pytest.approx(70.5))
    assert (second["test"], second["on"], second["difference"]) == (
        pytest.approx(99),
        "validation",
        pytest.approx(10.5),
    )
    notes = " ".join(analyze(runs).notes)
    assert "Not every run of digits, symba evaluated the test set: compared on validation." in notes


def test_an_unfinished_run_shows_its_last_measured_epoch_in_its_own_row(shelf: Shelf) -> None:
    result = analyze([shelf.run(0), shelf.run(1, finish=False, validation=66)])
    row = result.to_dict()["rows"][1]
    assert row["plugins"] == "vanilla-ff (unfinished, 2 epochs)"
    assert (row["test"], row["validation"], row["time"]) == (None, pytest.approx(66), 10)  # final is not vouched for


def test_nothing_measured_is_refused(shelf: Shelf) -> None:
    runs = [shelf.run(seed, test=None, validation=None) for seed in (0, 1)]
    with pytest.raises(ffprobe.FileError, match=r"None of these runs measured an accuracy.*first evaluation"):
        analyze(runs)


def test_layout_of_the_papers_table_1(shelf: Shelf) -> None:
    values = {}
    runs = []
    for i, loss in enumerate((USUAL["loss"], {**USUAL["loss"], "threshold": 10.0}, SYMBA)):
        for j, rest in enumerate(({}, {"normalizer": {"name": "batchnorm"}}, {"scheduler": {"name": "olu"}})):
            values[i, j] = 10 * i + j
            runs += [shelf.run(seed, test=values[i, j] + seed, loss=loss, **rest) for seed in (0, 2)]
    result = analyze(runs, layout="losses")
    names = [column.name for column in result.columns if not column.key and not column.spread_of]
    assert names == ["fixed-threshold threshold=2.0 test", "fixed-threshold threshold=10.0 test", "symba test"]
    rows = result.to_dict()["rows"]
    assert [row["plugins"] for row in rows] == ["length+greedy", "batchnorm", "olu"]
    found = {(i, j): rows[j][name] for i, name in enumerate(names) for j in range(3)}
    assert found == pytest.approx({at: value + 1 for at, value in values.items()})
    assert rows[0]["symba test_sd"] == pytest.approx(2**0.5)
    grid = analyze(runs).to_dict()["extra"]["layout"]
    assert grid["rows"][2]["symba"] == {"mean": pytest.approx(23), "sd": pytest.approx(2**0.5), "n": 2}


def test_layout_by_loss_refuses_rows_that_share_a_place(shelf: Shelf) -> None:
    with pytest.raises(ffprobe.UsageError, match="no place in a grid"):
        analyze([shelf.run(0), shelf.run(1, finish=False)], layout="losses")


def test_rows_by_chosen_keys(shelf: Shelf) -> None:
    runs = [
        shelf.run(0, test=10 * w, network={"name": "tff-s", "width": w}, loss=la) for w in (1, 2) for la in (SYMBA, {})
    ]
    rows = analyze(runs, by="network.width").to_dict()["rows"]
    assert [(row["plugins"], row["test"]) for row in rows] == [
        ("width=1", pytest.approx(10)),
        ("width=2", pytest.approx(20)),
    ]
    assert analyze(runs, by="network.width").claims == []


CIFAR = {"dataset": {"name": "cifar10"}, "epochs": 100}


def test_a_row_in_table_1s_setting_is_compared_with_its_number(shelf: Shelf) -> None:
    near = [shelf.run(seed, test=59.0 + seed / 4, loss=SYMBA, **CIFAR) for seed in (0, 1, 2)]
    far = [shelf.run(seed, test=50.0 + seed / 4, **CIFAR) for seed in (0, 1, 2)]
    claims = {claim.said.partition(" on ")[0]: claim for claim in analyze([*near, *far]).claims}
    ours, plain = claims["symba (4) with length and greedy"], claims["fixed-threshold (2) with length and greedy"]
    assert "59.22 ± 0.49 % over 3 runs" in ours.said
    assert (ours.agrees, plain.agrees) == (True, False)
    se = (0.49**2 / 3 + 0.25**2 / 3) ** 0.5
    freedom = se**4 / ((0.49**2 / 3) ** 2 / 2 + (0.25**2 / 3) ** 2 / 2)
    half = stats.t.ppf(0.975, freedom) * se
    assert f"{59.25 - 59.22:+.2f} [{0.03 - half:+.2f}, {0.03 + half:+.2f}]" in ours.here


def test_one_seed_is_inconclusive(shelf: Shelf) -> None:
    claims = analyze([shelf.run(0, test=29, **CIFAR), shelf.run(0, test=59, loss=SYMBA, **CIFAR)]).claims
    assert [claim.agrees for claim in claims] == [None, None]
    assert "one seed is too few" in claims[0].here


@pytest.mark.parametrize(
    "other",
    [
        {"dataset": {"name": "digits"}},
        {"epochs": 99},
        {"network": {"name": "tff-s", "width": 0.5}},
        {"network": {"name": "tff-d", "width": 1.0}},
        {"training": {"max_images": 1000}},
        {"evaluator": {"name": "layer-goodness", "layers": "all"}},
        {"test": None},
        {"loss": {"name": "fixed-threshold", "threshold": 3.0}},
        {"encoder": {"name": "label-channel", "learned": "yes"}},
    ],
)
def test_another_setting_is_not_compared_with_the_table(shelf: Shelf, other: dict[str, Any]) -> None:
    runs = [shelf.run(seed, **{**CIFAR, "test": 29.0 + seed, **other}) for seed in (0, 1)]
    (claim,) = analyze(runs).claims
    assert (claim.agrees, claim.verdict) == (None, "not comparable")
    assert "no row has that data set" in claim.here


@pytest.mark.parametrize(("best", "agrees"), [(80.0, True), (40.0, False), (60.5, None)])
def test_whether_all_three_together_are_best_is_reported(shelf: Shelf, best: float, agrees: bool | None) -> None:
    full = {"normalizer": {"name": "batchnorm"}, "scheduler": {"name": "olu"}, "loss": SYMBA}
    runs = [shelf.run(seed, test=best + seed, **full, **CIFAR) for seed in range(3)]
    runs += [shelf.run(seed, test=60 + seed, loss=SYMBA, **CIFAR) for seed in range(3)]
    claim = analyze(runs).claims[-1]
    assert "all three together" in claim.said
    assert claim.agrees is agrees


def test_table_2_knows_the_trifecta_on_other_data(shelf: Shelf) -> None:
    full = {"normalizer": {"name": "batchnorm"}, "scheduler": {"name": "olu"}, "loss": SYMBA}
    runs = [shelf.run(s, test=99.5 + s / 50, epochs=200, dataset={"name": "mnist"}, **full) for s in (0, 1)]
    (claim,) = analyze(runs).claims
    assert (claim.source, claim.agrees) == ("Trifecta, Table 2", True)
    assert "99.53 ± 0.04" in claim.said


def test_both_tables_agree_where_they_meet_and_have_every_cell() -> None:
    assert TABLE_1["symba", 4, "batchnorm", "olu"] == TABLE_2["tff-s", 100]["cifar10"]
    assert len(TABLE_1) == 12
    assert {len(cells) for cells in TABLE_2.values()} == {5}
    # the paper's own sums: Section 6 says what OLU, BN and both add to SymBa alone
    alone = TABLE_1["symba", 4, "length", "greedy"][0]
    gains = [TABLE_1["symba", 4, *rest][0] - alone for rest in (("length", "olu"), ("batchnorm", "greedy"))]
    assert [*gains, TABLE_1["symba", 4, "batchnorm", "olu"][0] - alone] == pytest.approx([6.60, 9.29, 16.01])


def test_the_figure_has_every_seed_and_stays_within_percent(shelf: Shelf, tmp_path: Path) -> None:
    runs = [shelf.run(seed, test=value) for seed, value in enumerate((3.0, 40.0))]
    runs += [
        shelf.run(0, test=95, loss=SYMBA),
        shelf.run(0, test=None, loss={"name": "none-measured"}, validation=None),
    ]
    result = analyze(runs)
    axes = result.figure().axes[0]
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert [list(line.get_xdata()) for line in hollow] == [[pytest.approx(3), pytest.approx(40)], [pytest.approx(95)]]
    low, high = axes.get_xlim()
    assert -6 < low < 3
    assert 95 < high < 106
    assert [text.get_text() for text in axes.texts] == ["fixed-threshold", "symba", "none-measured"]
    figure, _ = result.save_figure(tmp_path / "c.svg")
    assert "none-measured" in figure.read_text(encoding="utf-8")
