"""Every code block in README and docs/ runs, or a comment above it states why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs.page_blocks import ROOT, blocks, run_page

START = ROOT / "docs" / "index.md"
"""The README once more, with the links of the site."""
PAGES = sorted(
    page
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    if page != START and "```" in page.read_text(encoding="utf-8")
)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_runs(page: Path, tmp_path: Path) -> None:
    run_page(page, tmp_path)


def test_the_blocks_of_the_start_page_are_those_of_the_readme() -> None:
    assert [block.text for block in blocks(START)] == [block.text for block in blocks(ROOT / "README.md")]


def test_readme_is_short_where_it_says_how_to_use() -> None:
    use = next(block for block in blocks(ROOT / "README.md") if block.language == "python" and not block.special)
    assert len(use.text.splitlines()) <= 10


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("```bash\nexit 3\n```", "exit 3"),
        ("```python\nassert 1 > 2, 'no'\n```", "no"),
        ("```toml\na =\n```", "line 1"),
        ("```console\nffprobe\n```", "use bash, or say"),
        ("```\nffprobe\n```", "name one of the languages"),
        ("```python\na = 1\n", "not closed"),
        ("<!-- part of: other.txt -->\n```python\na = 1\n```", "not in other.txt"),
        ("<!-- file: other.txt -->\n```text\na = 1\n```", "differ"),
        ("<!-- run by: tests/none.py -->\n```bash\nls\n```", "there is no tests/none.py"),
    ],
)
def test_a_page_that_is_not_true_fails(
    page: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("docs.page_blocks.ROOT", tmp_path)
    (tmp_path / "page.md").write_text(page)
    (tmp_path / "other.txt").write_text("b = 2\n")
    with pytest.raises(Exception, match=message):
        run_page(tmp_path / "page.md", tmp_path)


def test_blocks_of_a_page_continue_where_the_last_one_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("docs.page_blocks.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nfrom pathlib import Path\nn = '1'\n```\n\n<!-- file: x.txt -->\n```text\nhello\n```\n\n"
        "```bash\nwc -l < x.txt > n.txt\n```\n\n```python\nassert n == Path('n.txt').read_text().strip()\n```\n\n"
        "<!-- not run: it ends -->\n```bash\nexit 1\n```\n"
    )
    run_page(page, tmp_path)
