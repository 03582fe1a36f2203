"""How many run files an analysis needs: declared by the probe, checked before any work."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.program import ffprobe
from plugin_files import write

PAIR = '''
import ffprobe

class Twins(ffprobe.Probe):
    """Two runs side by side."""
    name = "twins"
    least_runs = 2
    def analyze(self, runs): raise AssertionError("not reached")

@ffprobe.hookimpl
def ffprobe_components(): return [Twins]
'''


def test_a_question_without_runs_is_answered(tmp_path: Path) -> None:
    done = ffprobe("analyze", "symmetry", "--json", "--plot", "s.png", cwd=tmp_path)
    assert done.code == 0, done.err
    assert {row["loss"] for row in done.json["rows"]} >= {"symba", "fixed-threshold"}
    assert done.json["runs"] == []
    assert (tmp_path / "s.png").stat().st_size > 3000


@pytest.mark.parametrize("name", ["layers", "gradients", "scaling:images=4"])
def test_other_questions_need_a_run(tmp_path: Path, name: str) -> None:
    done = ffprobe("analyze", name, cwd=tmp_path)
    assert done.code == 2
    assert f"{name.partition(':')[0]!r} needs a run file; none given" in " ".join(done.err.split())
    assert done.out == ""


def test_a_question_about_two_runs_needs_two(tmp_path: Path) -> None:
    done = ffprobe("analyze", write(tmp_path, PAIR), "a.h5", cwd=tmp_path)
    assert done.code == 2
    assert "needs 2 run files; 1 given" in " ".join(done.err.split())
