"""The page of the paper's Table 1, from made-up accuracies whose differences are known."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.fixture(scope="module")
def made() -> Any:
    spec = importlib.util.spec_from_file_location("table1_page", STUDIES / "table1_page.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["table1_page"] = module
    spec.loader.exec_module(module)
    return module


def cells(made: Any, batchnorm: float, olu: float, symba: float) -> dict[Any, dict[int, float]]:
    """Accuracies to which each ingredient adds its points, with noise that differs from seed to seed and cell."""
    found = {}
    for place, (loss, plugins) in enumerate(made.CELLS):
        points = batchnorm * (plugins[0] == "batchnorm") + olu * (plugins[1] == "olu") + symba * (loss[0] == "symba")
        found[loss, plugins] = {
            s: 50 + points + 0.01 * ((7 * place * (s + 1) + 3 * s * s + place) % 11) for s in range(3)
        }
    return found


def test_every_ordering_is_judged_against_the_paper(made: Any) -> None:
    rows = {row["ordering"]: row for row in made.judged(cells(made, 10, -4, 20))}
    assert len(rows) == 20
    assert rows["batchnorm over length, threshold 2, greedy"]["verdict"] == "holds"
    assert rows["batchnorm over length, threshold 10, greedy"]["paper"] == pytest.approx(-6.97)
    assert rows["batchnorm over length, threshold 10, greedy"]["verdict"] == "reversed"
    assert rows["olu over greedy, SymBa, length"]["verdict"] == "reversed"
    assert rows["olu over greedy, SymBa, length"]["found"].mean == pytest.approx(-4, abs=0.1)


def test_an_ingredient_is_averaged_over_its_contexts(made: Any) -> None:
    told = made.effects(cells(made, 10, -4, 20))
    lines = {line.split("|")[1].strip(): line.split("|") for line in told.splitlines() if line.count("|") == 5}
    assert float(lines["batchnorm over length"][3].split("±")[0]) == pytest.approx(10, abs=0.1)
    assert float(lines["olu over greedy"][3].split("±")[0]) == pytest.approx(-4, abs=0.1)
    # (11.75 + 9.74 - 6.97 + 8.14 + 9.29 + 9.41) / 6 in the paper's table
    assert float(lines["batchnorm over length"][2]) == pytest.approx(6.89)


def test_what_was_not_run_is_said_and_not_averaged(made: Any) -> None:
    some = cells(made, 10, -4, 20)
    del some[made.CELLS[0]]
    assert "not run" in made.table(some, "the paper")
    assert made.effects(some) == ""
    assert len(made.judged(some)) < 20


def test_greedy_updates_with_a_learned_label_encoder_are_rows_of_their_own(made: Any) -> None:
    def run(**encoder: str) -> Any:
        names = {"normalizer": {"name": "batchnorm"}, "scheduler": {"name": "greedy"}, "encoder": encoder}
        return SimpleNamespace(config={"loss": {"name": "symba", "alpha": 4}, **names})

    (symba,) = (loss for loss in made.LOSSES if loss[0] == "symba")
    assert made.cell_of(run(learned="auto")) == (symba, ("batchnorm", "greedy"))
    control = made.cell_of(run(learned="yes"))
    assert control[1] in made.CONTROLS and control in made.CELLS
    measured = cells(made, 10, -4, 20)
    assert "learned label" in made.table(measured, "the paper")
    assert "learned label" not in made.table({c: v for c, v in measured.items() if c[1] in made.PLUGINS}, "the paper")
    assert len(made.judged(measured)) == 20
