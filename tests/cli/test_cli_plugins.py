"""``ffprobe plugins``, ``--version``, ``doctor``, ``replay``."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.program import ffprobe
from plugin_files import POWERNORM, write
from reference.plain_forward_forward import HERE

from ffprobe.plugin.discovery import installed


def test_list_shows_kind_name_and_summary(tmp_path: Path) -> None:
    rows = ffprobe("plugins", "list", "--json", cwd=tmp_path).json
    symba = next(row for row in rows if row["name"] == "symba")
    assert symba["kind"] == "loss"
    assert symba["distribution"] == "ffprobe-nn"
    assert symba["summary"]
    text = ffprobe("plugins", "list", cwd=tmp_path).out
    assert all(row["name"] in text for row in rows)


def test_info_gives_settings_with_units_and_the_source(tmp_path: Path) -> None:
    document = ffprobe("plugins", "info", "symba", "--json", cwd=tmp_path).json
    assert document["settings"]["alpha"]["default"] == 4.0
    assert "arXiv" in document["source"]
    write(tmp_path, POWERNORM, "powernorm.py")
    assert "exponent" in ffprobe("plugins", "info", "./powernorm.py", cwd=tmp_path).out


def test_info_reports_which_layers_the_losses_train(tmp_path: Path) -> None:
    document = ffprobe("plugins", "info", "interlocking", "--json", cwd=tmp_path).json
    losses = {one["layer"]: one["layers"] for one in document["locality"]["losses"]}
    assert losses == {0: [0], **{i: [i - 1, i] for i in range(1, 6)}}
    assert document["locality"]["components"]["scheduler"] == "interlocking"
    assert "locality" not in ffprobe("plugins", "info", "uniform-wrong", "--json", cwd=tmp_path).json


def test_info_of_a_preset(tmp_path: Path) -> None:
    text = ffprobe("plugins", "info", "--preset", "dfa", cwd=tmp_path).out
    assert "loss of layer 6: every layer" in text
    document = ffprobe("plugins", "info", "--preset", "trifecta", "--json", cwd=tmp_path).json
    assert document["description"].startswith("The Trifecta (Dooms")
    assert document["components"]["scheduler"]["name"] == "olu"
    done = ffprobe("plugins", "info", "--preset", "trifekta", cwd=tmp_path)
    assert done.code == 2
    assert "trifecta" in done.err


def test_version_says_which_program_this_is(tmp_path: Path) -> None:
    assert "ffprobe-nn" in ffprobe("--version", cwd=tmp_path).out
    assert ffprobe("--version", "--json", cwd=tmp_path).json["torch"]


def test_doctor_reports(tmp_path: Path) -> None:
    document = ffprobe("doctor", "--json", cwd=tmp_path).json
    assert set(document) >= {"versions", "program", "device", "directory"}
    assert document["device"]["allocator"]


@pytest.mark.parametrize("columns", [50, 80, 140])
def test_analyze_help_lists_the_analyses_line_by_line(tmp_path: Path, columns: int) -> None:
    lines = ffprobe("analyze", "--help", cwd=tmp_path, env={"COLUMNS": str(columns)}).out.splitlines()
    assert max(map(len, lines)) <= min(columns, 80)
    offers = [offer for plugin in installed() for offer in plugin.offers if offer.kind == "probe"]
    starts = [line.split()[0] for line in lines if line[:2] == "  " and line[2:3].strip()]
    assert [name for name in starts if name in {o.name for o in offers}] == sorted(o.name for o in offers)
    text = " ".join(" ".join(lines).split())
    for offer in offers:
        question, mark, _ = offer.summary.rstrip(".").partition("?")
        assert f"{offer.name} {question}{mark}" in text


def test_replay_passes_and_fails_with_a_code(tmp_path: Path) -> None:
    file = str(HERE / "symba-batchnorm-olu.npz")
    assert ffprobe("replay", file, "--json", cwd=tmp_path).json["passed"] is True
    assert "passed" in ffprobe("replay", file, cwd=tmp_path).out
    import numpy as np

    arrays = dict(np.load(file))
    arrays["loss"] = arrays["loss"] + 0.1
    np.savez(tmp_path / "other.npz", **arrays)
    done = ffprobe("replay", "other.npz", cwd=tmp_path)
    assert done.code == 5
    assert "failed" in done.out
