"""The table of data that are no pictures, from made-up accuracies and from one small split."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from ffprobe.data.samples import Samples
from ffprobe.training.split import Split

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.fixture(scope="module")
def made() -> Any:
    spec = importlib.util.spec_from_file_location("own_data", STUDIES / "own_data.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["own_data"] = module
    spec.loader.exec_module(module)
    return module


def test_the_table_has_mean_and_spread_of_every_method(made: Any) -> None:
    rows = [made.Row("wine", "bp", seed, 90.0 + seed, math.nan) for seed in range(3)]
    rows += [made.Row("wine", "ff", seed, 50.0 + 2 * seed, 80.0) for seed in range(2)]
    rows += [made.Row("mnist1d", "ff", 0, 30.0, 20.0), made.Row("wine", "logistic regression", 0, 95.0)]
    lines = made.table(rows).splitlines()
    assert lines[0] == "| | wine | mnist1d |"
    assert "| bp | 91.0 ± 1.0 (3) | – |" in lines
    assert "| ff | 51.0 ± 1.4 (2) | 30.0 (1) |" in lines
    assert "| *ff, first layer* | 80.0 ± 0.0 (2) | 20.0 (1) |" in lines
    assert not any("bp, first" in line for line in lines)
    assert "| logistic regression | 95.0 (1) | – |" in lines


def test_baselines_get_the_samples_of_the_run(made: Any) -> None:
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(80) % 2
    inputs = torch.randn(80, 3, generator=draws)
    inputs[:, 1] = 1000 + 0.01 * (labels + 0.1 * torch.randn(80, generator=draws))  # useless until it is standardized
    inputs[:, 2] *= 100
    samples = Samples(inputs, labels, ("a", "b"))
    train = samples.subset(torch.arange(60))
    train = train.with_statistics(train.inputs.mean(0).tolist(), train.inputs.std(0).tolist())
    test = samples.subset(torch.arange(60, 80)).with_statistics(train.mean, train.std)
    none = torch.arange(0)
    rows = list(made.baselines("toy", 3, Split(train, test, test, none, none)))
    assert [(row.data, row.method, row.seed) for row in rows] == [("toy", name, 3) for name in made.BASELINES]
    assert all(row.test == 100.0 for row in rows)


def test_the_page_is_written_between_its_marks(made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "plan", lambda *_: [])
    monkeypatch.setattr(made, "rows_of", lambda _: ([made.Row("wine", "bp", 0, 91.25)], "a processor"))
    (tmp_path / "page.md").write_text(f"before\n{made.BEGIN}old\n{made.END}after\n")
    made.main(tmp_path, tmp_path / "page.md", tmp_path / "rows.csv")
    text = (tmp_path / "page.md").read_text()
    assert text.startswith(f"before\n{made.BEGIN}") and text.endswith(f"{made.END}after\n")
    assert "| bp | 91.2 (1) |" in text and "a processor" in text and "old" not in text
    assert (tmp_path / "rows.csv").read_text().splitlines() == ["data,method,seed,test,first", "wine,bp,0,91.2500,nan"]
