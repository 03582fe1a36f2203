"""``ffprobe plugins check``: what is printed, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

from cli.program import ffprobe
from plugin_files import write
from testing.broken import loss

WRONG = loss("return nn.functional.softplus(p - n).mean()")


def test_a_good_plugin_has_a_line_for_each_check(tmp_path: Path) -> None:
    done = ffprobe("plugins", "check", "symba:alpha=3", cwd=tmp_path)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "loss symba"
    assert "  ok    wrong-order-costs-more" in lines
    assert lines[-1].startswith("plugin 'symba' of ffprobe-nn")
    assert lines[-1].endswith(f"{len(lines) - 2} passed")


def test_a_failed_check_prints_expected_got_and_why_within_the_width(tmp_path: Path) -> None:
    write(tmp_path, WRONG)
    done = ffprobe("plugins", "check", "./mine.py", cwd=tmp_path, env={"COLUMNS": "80"})
    assert done.code == 5
    lines = done.out.splitlines()
    at = lines.index("  FAIL  wrong-order-costs-more")
    assert lines[at + 1].split(maxsplit=1) == ["expected", "a larger loss for the wrong order"]
    assert lines[at + 2].split()[0] == "got"
    assert lines[at + 3].split()[0] == "why"
    assert max(map(len, lines[:-1])) <= 80
    assert "2 of 2" in done.err
    assert "wrong-order-costs-more, gradient-points-the-right-way" in " ".join(done.err.split())


def test_json_is_one_document(tmp_path: Path) -> None:
    write(tmp_path, WRONG)
    done = ffprobe("plugins", "check", "./mine.py", "--json", cwd=tmp_path)
    assert done.code == 5
    assert done.json["counts"]["failed"] == 2
    assert {"check", "status", "requirement", "why", "expected", "got"} < set(done.json["findings"][0])
    assert json.loads(done.err.splitlines()[-1])["error"] == "CheckFailed"


def test_a_plugin_that_cannot_be_loaded_has_another_exit_code_than_a_failed_check(tmp_path: Path) -> None:
    write(tmp_path, "raise OSError('no such library')")
    done = ffprobe("plugins", "check", "./mine.py", cwd=tmp_path)
    assert done.code == 3
    assert "The plugin 'mine' could not be loaded: OSError: no such library" in done.err
    assert ffprobe("plugins", "check", "./none.py", cwd=tmp_path).code == 2
