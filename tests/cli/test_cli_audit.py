"""``ffprobe audit``: a run or plugins in, a page out."""

from __future__ import annotations

from pathlib import Path

from cli.program import ffprobe


def test_a_run_is_audited(trained_with_probes: Path, tmp_path: Path) -> None:
    done = ffprobe("audit", str(trained_with_probes), "--md", "page.md", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    topics = {topic["title"]: topic["findings"] for topic in done.json["topics"]}
    assert list(topics) == [
        "Locality",
        "Test set",
        "Seeds and spread",
        "Floors",
        "Trust",
        "Cost",
        "Versions and hashes",
    ]
    assert topics["Locality"][1]["text"] == "Losses of layers 2-3: its own layer and 1 before."
    assert topics["Locality"][2]["text"] == "A loss changes up to 2 of 3 layers."
    page = (tmp_path / "page.md").read_text()
    assert "- ! " in page and "one seed" in page
    assert all(f"## {title}" in page for title in topics)


def test_plugins_alone_have_their_locality(tmp_path: Path) -> None:
    done = ffprobe("audit", "symba", "greedy", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "Audit of symba greedy" in done.out and "No loss changes another layer than its own." in done.out
    done = ffprobe("audit", "--preset", "bp", "--json", cwd=tmp_path)
    assert "every layer" in done.json["topics"][0]["findings"][0]["text"]


def test_nothing_to_audit_and_unknown_names_are_refused(tmp_path: Path) -> None:
    done = ffprobe("audit", cwd=tmp_path)
    assert done.code == 2 and "nothing to audit" in done.err
    assert ffprobe("audit", "no-such.h5", cwd=tmp_path).code == 4
    assert ffprobe("audit", "no-such-plugin", cwd=tmp_path).code == 3
