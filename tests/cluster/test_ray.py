"""``ffprobe sweep --executor ray`` on a cluster of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.program import ffprobe

from ffprobe.testing import check_plugin

pytestmark = [pytest.mark.stress, pytest.mark.usefixtures("ray")]


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_it_keeps_the_contract() -> None:
    report = check_plugin("ray")
    assert report.passed, str(report)
    assert not [finding for finding in report.findings if finding.status == "skipped"], str(report)


def test_a_sweep_from_plan_to_end(grid: Path, tmp_path: Path) -> None:
    done = ffprobe("sweep", "grid.toml", "--executor", "ray", "--jobs", "2", cwd=tmp_path, timeout=300)
    assert done.code == 0, done.err
    assert len(list((tmp_path / "runs").glob("*.h5"))) == 4
    assert "seed=1_olu: finished after" in done.err


def test_a_run_that_fails_is_told_with_its_log(grid: Path, tmp_path: Path) -> None:
    grid.write_text(grid.read_text().replace("epochs = 2", 'epochs = 2\ndata-dir = "nowhere"\ndataset = "images"'))
    done = ffprobe("sweep", "grid.toml", "--executor", "ray", "--jobs", "4", cwd=tmp_path, timeout=300)
    assert done.code == 1
    assert "4 of 4 runs failed." in done.err
    assert "exit code 4" in done.err
