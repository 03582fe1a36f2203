"""The HTML report: its content, escaping, figures, and how a real browser renders it."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import browse, inspect

import ffprobe
from ffprobe.analysis.plots.figure import new_figure
from ffprobe.analysis.plots.svg_image import MAX_MARKS, svg_data_url
from ffprobe.analysis.result.report import MAX_ROWS, Answer, RunSection, render_report

EVIL = "<script>alert(1)</script> & \"quotes\" 'single' </title></style>"


def draw_lines(figure: Any) -> None:
    axes = figure.subplots()
    axes.plot([1, 2, 3], [0.2, 0.5, 0.9], "o-")
    axes.set(xlabel="layer", ylabel="accuracy (%)", xlim=(1.5, 2.5))  # points outside must be clipped


def result(name: str = "layers", rows: int = 3, draw: Callable[[Any], None] | None = draw_lines, **more: Any) -> Any:
    columns = [
        ffprobe.Column("layer", "", "its name", key=True),
        ffprobe.Column("test", "%", "accuracy", ".1f"),
        ffprobe.Column("test_se", "%", "standard error", ".1f", spread_of="test"),
        ffprobe.Column("wide", "1", "many digits"),
    ]
    values = [(f"layer {i}", 90.0 + i, 0.5 if i else math.nan, math.nan if i == 1 else 1e7 / 3) for i in range(rows)]
    return ffprobe.Result(name, f"How good is {name}?", columns, values, draw=draw, **more)


def claims() -> list[Any]:
    return [
        ffprobe.Claim(f"Paper {i}", "it rises.", "it does.", agrees) for i, agrees in enumerate((True, False, None))
    ]


def section(label: str = "trifecta", answers: list[Answer] | None = None, **more: Any) -> RunSection:
    fields: dict[str, Any] = {
        "label": label,
        "path": f"{label}.h5",
        "unfinished": "",
        "command": "ffprobe run --preset trifecta",
        "again": f"ffprobe run --from {label}.h5 --out again.h5",
        "numbers": [{"name": "test accuracy", "value": "97.1 %", "about": "by the run's evaluator"}],
        "components": [("loss", "symba (alpha=4.0)")],
        "environment": [("seed", "0"), ("dataset SHA-256", "ab" * 32)],
        "config": '{"seed": 0}',
        "messages": [(7, "the probe x was switched off")],
        "answers": answers or [],
    }
    return RunSection(**{**fields, **more})


def answer(name: str, **more: Any) -> Answer:
    return Answer(name, f"what {name} asks", f"ffprobe analyze {name} run.h5 --plot {name}.png", **more)


def page(**more: Any) -> str:
    """A page of one run with everything in it."""
    answers = [
        answer("layers", result=result(claims=claims(), notes=["a caveat"]), source="Paper, Figure 1"),
        answer("depth", result=result("depth", rows=40, size=(6.75, 2.4))),
        answer("table-only", result=result("table-only", draw=None)),
        answer("gradients", missing="No gradients were recorded.", hint="Train again with --plugin gradients."),
        answer("broken", failure="ZeroDivisionError: division by zero"),
    ]
    return render_report("digits, trifecta", [section(answers=answers)], command="ffprobe report run.h5", **more)


def several() -> str:
    together = [answer("compare", result=result("compare", claims=claims())), answer("layers", result=result())]
    runs = [section("trifecta", [answer("probes", result=result("probes"))]), section("vanilla-ff")]
    return render_report("2 runs compared", runs, together)


def test_every_result_is_in_the_page_with_its_command() -> None:
    text = page()
    for part in (
        *(
            "How good is layers?",
            "after Paper, Figure 1",
            "a caveat",
            "ffprobe analyze layers run.h5 --plot layers.png",
        ),
        *("91.0 ± 0.5", "3.333e+06", "No gradients were recorded.", "Train again with --plugin gradients."),
        *(
            "ZeroDivisionError: division by zero",
            "ffprobe run --from trifecta.h5 --out again.h5",
            "step 7: the probe x",
        ),
        "Of 3 claims: 1 agree, 1 differ, 1 inconclusive.",
    ):
        assert part in text, part
    for mark, word in (("✓", "agrees"), ("✗", "differs"), ("?", "inconclusive")):
        assert len(re.findall(rf"{re.escape(mark)} {word}</span>", text)) == 2  # in the overview and beside the figure
    assert ">90.0</td>" in text  # no spread was measured, so none is shown


def test_the_same_answers_give_the_same_page() -> None:
    assert page() == page()
    assert several() == several()


def test_text_from_files_is_never_markup() -> None:
    bad = ffprobe.Result(
        EVIL, EVIL, [ffprobe.Column(EVIL, EVIL, EVIL, key=True)], [(EVIL,)], [EVIL], draw=lambda f: f.suptitle(EVIL),
        claims=[ffprobe.Claim(EVIL, EVIL, EVIL)],
    )  # fmt: skip

    def answers() -> list[Answer]:
        found = [{"result": bad, "source": EVIL}, {"result": bad}, {"missing": EVIL, "hint": EVIL}, {"failure": EVIL}]
        return [Answer(EVIL, EVIL, EVIL, **one) for one in found]

    fields = dict.fromkeys(("path", "unfinished", "command", "again", "config"), EVIL)
    lists = {"components": [(EVIL, EVIL)], "environment": [(EVIL, EVIL)], "messages": [(1, EVIL)]}
    numbers = [dict.fromkeys(("name", "value", "about"), EVIL)]
    runs = [section(EVIL, answers(), numbers=numbers, **fields, **lists) for _ in range(2)]
    text = render_report(EVIL, runs, answers(), command=EVIL, version=EVIL)
    assert text.lower().count("<script") == 0
    assert text.count("</title>") == 1
    assert text.count("</style>") == 1
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert 'quotes" ' not in re.sub(r">[^<]*<", "><", text)  # no quote of theirs ends an attribute


def test_a_figure_that_cannot_be_drawn_leaves_its_numbers() -> None:
    def draw(figure: Any) -> None:
        raise RuntimeError("no ink")

    text = render_report("t", [section(answers=[answer("layers", result=result(draw=draw))])])
    assert "The figure could not be drawn: RuntimeError: no ink" in text
    assert "91.0 ± 0.5" in text
    assert "<img" not in text


def test_a_long_table_is_collapsed_and_truncated() -> None:
    rows = MAX_ROWS + 7
    text = render_report("t", [section(answers=[answer("layers", result=result(rows=rows))])])
    assert f"<summary>Table of {MAX_ROWS} rows</summary>" in text
    assert f"The first {MAX_ROWS} of {rows} rows" in text
    assert text.count('<tr><th scope="row" class="text">layer ') == MAX_ROWS


def test_an_unfinished_run_says_so() -> None:
    text = render_report("t", [section(unfinished="This run is unfinished: 3 of 5 epochs.")])
    assert 'role="note">This run is unfinished: 3 of 5 epochs.' in text


def svg(url: str) -> str:
    """The SVG text of a data URL."""
    return base64.b64decode(url.removeprefix("data:image/svg+xml;base64,"), validate=True).decode("utf-8")


def test_a_figure_is_a_reproducible_svg_image_with_text() -> None:
    figure = new_figure(draw_lines)
    url = svg_data_url(figure)
    assert url == svg_data_url(figure) == svg_data_url(new_figure(draw_lines))
    text = svg(url)
    assert ">accuracy (%)</text>" in text
    assert "<dc:date>" not in text
    ids, used = re.findall(r' id="([^"]+)"', text), re.findall(r"url\(#([^)]+)\)", text)
    assert used
    assert set(used) <= set(ids)


def test_the_alternative_text_of_a_figure_is_escaped() -> None:
    described = ffprobe.Result("t", 'Title & "co" <here>', [ffprobe.Column("a")], [(1,)], draw=draw_lines)
    text = render_report("t", [section(answers=[answer("t", result=described)])])
    alt = "Title &amp; &#34;co&#34; &lt;here&gt; Axes: accuracy (%) against layer. The numbers are in the table below."
    [image] = re.findall(r"<img [^>]*>", text)
    assert re.fullmatch(rf'<img src="data:image/svg\+xml;base64,[A-Za-z0-9+/=]+" alt="{re.escape(alt)}">', image)


@pytest.mark.parametrize("kind", ["mesh", "scatter", "line"])
def test_an_artist_with_many_marks_is_rasterized_and_its_labels_are_not(kind: str) -> None:
    def draw(figure: Any, many: int = 40 * MAX_MARKS) -> None:
        axes, random = figure.subplots(), np.random.default_rng(0)
        if kind == "mesh":
            axes.pcolormesh(random.random((many // 100, 100)))
        elif kind == "scatter":
            axes.scatter(*random.random((2, many)))
        else:
            axes.plot(random.random(many), "o")
        axes.set_xlabel("still text")

    text = svg(svg_data_url(new_figure(draw)))
    assert "data:image/png;base64" in text
    assert ">still text</text>" in text
    assert len(text) < 900_000
    assert "data:image/png" not in svg(svg_data_url(new_figure(lambda figure: draw(figure, 400))))


@pytest.mark.parametrize(("make", "figures", "tables"), [(page, 3, 1 + 2 + 3), (several, 4, 1 + 4 + 3)])
def test_in_a_browser(tmp_path: Path, make: Callable[[], str], figures: int, tables: int) -> None:
    html = make()
    found = inspect(html, tmp_path)
    assert found["errors"] == found["requests"] == []
    assert (found["lang"], found["title"], len(found["h1"])) == ("en", found["h1"][0], 1)
    assert (len(found["figures"]), found["tables"], found["bare"]) == (figures, tables, 0)
    assert found["headings"][0] == 1
    assert all(b - a <= 1 for a, b in zip(found["headings"], found["headings"][1:], strict=False))
    assert found["duplicates"] == found["outside"] == []
    assert found["links"] == found["unnamed"] == found["unfocusable"] == 0
    for figure in found["figures"]:
        assert figure["alt"].startswith("How good is ")
        assert "accuracy (%) against layer" in figure["alt"]
        assert figure["type"] == "data:image/svg+xml"
        assert figure["natural"] > 200  # 0 if the browser could not draw it
        assert figure["width"] > 300
        assert figure["width"] / figure["height"] == pytest.approx(figure["ratio"], rel=0.02)
        assert figure["ground"] == [255, 255, 255]
    assert found["contrasts"][0][0] >= 4.5, found["contrasts"]
    assert found["overflow"] == 0


@pytest.mark.parametrize("make", [page, several])
def test_dark_mode_and_a_narrow_screen(tmp_path: Path, make: Callable[[], str]) -> None:
    found = inspect(make(), tmp_path, width=400, dark=True)
    assert found["ground"] == "rgb(13, 17, 23)"
    assert found["contrasts"][0][0] >= 4.5, found["contrasts"]
    assert found["overflow"] == 0
    assert {tuple(figure["ground"]) for figure in found["figures"]} == {(25, 25, 25)}  # and the figure is inverted
    assert all(figure["width"] <= 400 for figure in found["figures"])


def test_the_page_itself_runs_nothing_and_loads_nothing(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page(), encoding="utf-8")
    dom, console = browse(path, tmp_path)
    assert "How good is layers?" in dom
    assert console == []
    sneaked = page().replace(
        "</main>", '<script>document.title = "ran"</script><img src="https://example.org/x.png"></main>'
    )
    path.write_text(sneaked, encoding="utf-8")
    dom, console = browse(path, tmp_path)
    assert "<title>digits, trifecta</title>" in dom  # the policy blocked the script
    assert len([line for line in console if "Content Security Policy" in line]) == 2
