"""One result, three forms: the same numbers in the table, in JSON and CSV, and in the figure."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from ffprobe.analysis.plots.figure import line_by_layer
from ffprobe.analysis.result.result import Column, Result
from ffprobe.errors import FileError, UsageError

COLUMNS = [
    Column("layer", "", "which", key=True),
    Column("linear", "%", "accuracy", ".1f"),
    Column("linear_sd", "%", "over fits", ".1f", spread_of="linear"),
    *(Column(f"other_number_{i}", "ms", "more", ".2f") for i in range(6)),
]
ROWS = [(str(i), np.float32(90 + i / 3), 0.25, *(i + k / 7 for k in range(6))) for i in range(4)]
ROWS[2] = ("2", float("nan"), float("nan"), *ROWS[2][3:])


def make(**changes: object) -> Result:
    def draw(figure: Figure) -> None:
        line_by_layer(figure.subplots(), [{"label": "a", "x": [0, 1, 3], "y": [r[1] for r in ROWS if r[1] == r[1]]}])

    run = SimpleNamespace(path=Path("runs/a.h5"), attributes={"run_id": "4f2a"})
    what = {"name": "demo", "question": "How good?", "columns": COLUMNS, "rows": ROWS, "draw": draw, "runs": [run]}
    return Result(
        **{**what, "notes": ["A note of some length about chance, floors and what the paper saw."], **changes}
    )


def printed(result: Result, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(result.table())
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_json_is_one_document_with_null_for_values_not_measured() -> None:
    document = make(extra={"floors": np.array([1.0, np.inf]), "n": np.int64(3)}).to_dict()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert list(document) == ["name", "question", "runs", "columns", "rows", "notes", "claims", "extra"]
    assert document["runs"] == ["runs/a.h5"]
    assert document["columns"][1] == {"name": "linear", "unit": "%", "description": "accuracy"}
    assert document["rows"][0]["linear"] == 90.0
    assert document["rows"][2]["linear"] is None
    assert document["extra"] == {"floors": [1.0, None], "n": 3}


def test_csv_contains_the_numbers_of_json_with_all_digits(tmp_path: Path) -> None:
    result = make()
    with result.write_csv(tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, expected in zip(rows, result.to_dict()["rows"], strict=True):
        assert {k: float(v) if v else None for k, v in row.items()} == {
            k: None if v is None else float(v) for k, v in expected.items()
        }
    assert rows[1]["linear"] == repr(float(np.float32(90 + 1 / 3)))


@pytest.mark.parametrize(("width", "parts"), [(60, 2), (160, 1)])
def test_table_fits_the_terminal_and_loses_nothing(width: int, parts: int) -> None:
    text = printed(make(), width)
    assert max(map(len, text.splitlines())) <= width
    assert len(re.findall(r"^layer\b", text, re.MULTILINE)) == parts  # keys stand in every part
    for row in ROWS:
        for value in row[3:]:
            assert f"{value:.2f}" in text
    assert "90.3 ± 0.2" in text
    assert "nan" not in text
    assert "…" not in text


def test_depth_is_hidden_if_it_only_repeats_the_layer() -> None:
    columns = [Column("depth", key=True), Column("layer", key=True), Column("value")]
    plain = make(columns=columns, rows=[(0, "input", 5), (1, "1", 6), (None, "all", 7)])
    assert "depth" not in printed(plain, 160) and "depth" not in plain._repr_html_()
    assert plain.to_dict()["rows"][1] == {"depth": 1, "layer": "1", "value": 6}
    assert "depth" in printed(make(columns=columns, rows=[(1, "conv1", 6)]), 160)


def test_table_of_no_rows_still_has_its_heading() -> None:
    assert "linear" in printed(make(rows=[]), 160)


def test_rows_must_have_the_columns() -> None:
    with pytest.raises(ValueError, match="does not have the columns"):
        make(rows=[(1, 2)])


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        make(columns=[Column("a"), Column("a")], rows=[])


def test_html_is_escaped() -> None:
    html = make(columns=[Column("x", "<%>")], rows=[("<script>",)], notes=["a & b"])._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "(&lt;%&gt;)" in html
    assert "a &amp; b" in html


class TestFigure:
    def test_lines_are_the_rows(self) -> None:
        line = make().figure().axes[0].lines[0]
        values = [row["linear"] for row in make().to_dict()["rows"] if row["linear"] is not None]
        assert list(line.get_ydata()) == values

    @pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf", ".PNG"])
    def test_a_figure_file_has_metadata_and_a_csv_file_beside_it(self, tmp_path: Path, suffix: str) -> None:
        command = "ffprobe analyze demo runs/a.h5"
        written = make().save_figure(tmp_path / f"fig{suffix}", command=command)
        assert [path.name for path in written] == [f"fig{suffix}", "fig.csv"]
        assert written[1].read_text(encoding="utf-8") == make().write_csv(tmp_path / "b.csv").read_text(
            encoding="utf-8"
        )
        if suffix.lower() == ".png":
            image = Image.open(written[0])
            texts, data = " ".join(image.text.values()), b""
            assert image.width == pytest.approx(3.25 * 200, abs=1)
            assert np.asarray(image.convert("L")).std() > 5  # something was drawn
        else:
            data = written[0].read_bytes()
            texts = data.decode("latin-1")
        assert command in texts
        assert "run 4f2a" in texts
        if suffix == ".svg":
            assert ">layer</text>" in texts  # text stays text
        if suffix == ".pdf":
            assert b"/Type3" not in data  # fonts are embedded as TrueType

    @pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
    def test_same_figure_same_bytes(self, tmp_path: Path, suffix: str) -> None:
        first, again = (make().save_figure(tmp_path / f"{name}{suffix}")[0].read_bytes() for name in "ab")
        assert first == again
        assert b"CreationDate" not in first
        assert b"<dc:date>" not in first

    @pytest.mark.parametrize("name", ["fig.jpg", "fig", "fig.png.gz"])
    def test_another_format_is_refused_before_anything_is_drawn(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(UsageError, match=re.escape(".png, .svg, .pdf")):
            make(draw=lambda figure: pytest.fail("was drawn")).save_figure(tmp_path / name)
        assert not list(tmp_path.iterdir())

    def test_no_figure(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="'demo' has no figure"):
            make(draw=None).save_figure(tmp_path / "a.png")
        assert not list(tmp_path.iterdir())

    def test_a_file_that_cannot_be_written(self, tmp_path: Path) -> None:
        with pytest.raises(FileError, match="cannot be written"):
            make().save_figure(tmp_path / "nowhere" / "a.png")
        with pytest.raises(FileError, match="cannot be written"):
            make().write_csv(tmp_path)

    def test_settings_of_the_user_are_ignored_and_kept(self, tmp_path: Path) -> None:
        plain = make().save_figure(tmp_path / "a.png")[0].read_bytes()
        with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
            before = dict(matplotlib.rcParams)
            styled = make().save_figure(tmp_path / "b.png")[0].read_bytes()
            assert dict(matplotlib.rcParams) == before
        assert styled == plain

    def test_pyplot_is_never_imported(self) -> None:
        code = (
            "import sys; from ffprobe.analysis.result.result import Result; assert 'matplotlib' not in sys.modules;"
            "Result('a', 'b', [], [], draw=lambda figure: figure.subplots()).figure();"
            "assert 'matplotlib.pyplot' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


class TestInANotebook:
    def test_pandas_has_the_rows_with_all_digits(self) -> None:
        result = make()
        frame = result.to_pandas()
        assert list(frame.columns) == [column.name for column in result.columns]
        for got, row in zip(frame.itertuples(index=False), result.rows, strict=True):
            assert all(g == w or (g != g and (w is None or w != w)) for g, w in zip(got, row, strict=True))
        assert frame.attrs["question"] == result.question
        assert frame.attrs["units"] == {c.name: c.unit for c in result.columns if c.unit}

    def test_without_pandas_the_error_names_its_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(UsageError) as error:
            make().to_pandas()
        assert "ffprobe-nn[pandas]" in error.value.hint

    def test_rich_prints_the_table(self) -> None:
        console = Console(width=100, color_system=None)
        with console.capture() as one:
            console.print(make())
        with console.capture() as two:
            console.print(make().table())
        assert one.get() == two.get()

    def test_a_long_table_shows_its_first_and_last_rows(self) -> None:
        html = make(columns=[Column("n")], rows=[(n,) for n in range(1000)])._repr_html_()
        assert html.count("<tr>") == 1 + 20 + 1 + 20
        assert "1000 rows in total" in html and ">999<" in html

    def test_a_spread_is_next_to_its_value(self) -> None:
        html = make(columns=[Column("a"), Column("b", spread_of="a")], rows=[(1.0, 0.5)])._repr_html_()
        assert "1 ± 0.5" in html and ">b<" not in html

    def test_a_figure_is_a_picture_of_its_size(self) -> None:
        figure = make().figure()
        picture = Image.open(io.BytesIO(figure._repr_png_()))
        assert picture.format == "PNG"
        assert picture.size == pytest.approx(tuple(figure.get_size_inches() * figure.dpi), abs=1)

    def test_a_repr_is_one_line(self) -> None:
        assert "\n" not in repr(make()) and "rows" in repr(make())
