"""A report has the data of the view inside: within its budget, and with nothing that could become code."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hostile_run import EVIL, evil_run

import ffprobe
from ffprobe.analysis.result.report import Answer, render_report, run_section
from ffprobe.api import analyze
from ffprobe.store.reader import open_run
from ffprobe.view.inlined import BUDGET, inlined, main_findings
from ffprobe.view.payload.catalog import run_id


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built front end with everything that could end the element that it is placed in."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "app.js").write_text('const a = "</script><script>alert(1)</script><!--";')
    (folder / "app.css").write_text("#app { color: red }")
    return folder


def data_of(text: str) -> Any:
    (data,) = re.findall(r'<script type="application/json" id="ffprobe-data">(.*?)</script>', text, re.DOTALL)
    return json.loads(data)["answers"]


def report(path: Path, page: Path, **more: Any) -> str:
    with open_run(path) as run:
        answers = [Answer("layers", "?", "ffprobe analyze layers", result=analyze("layers", run))]
        section = run_section(run, "toy")
        section.answers = answers
        findings = main_findings([run], ["toy"], answers)
        made = inlined([run], "title", [], {str(run.path): answers}, findings, page=page, **more)
        return render_report("title", [section], findings=findings, interactive=made)


def test_the_page_has_what_the_front_end_asks_for(trained: Path, page: Path) -> None:
    text = report(trained, page)
    answers, key = data_of(text), run_id(trained)
    assert answers["/api/runs"]["runs"][0]["id"] == key
    assert len(answers["/api/runs"]["findings"]) == 3
    for address in (
        f"/api/runs/{key}", f"/api/runs/{key}/curves", f"/api/runs/{key}/layers/2", f"/api/runs/{key}/samples",
        f"/api/questions?run={key}", f"/api/questions/layers?run={key}",
    ):  # fmt: skip
        assert address in answers
    samples = answers[f"/api/runs/{key}/samples"]
    for index in samples["images"]:
        url = answers[f"/api/runs/{key}/images/test/{index}.png"]
        assert base64.b64decode(url.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
        assert answers[f"/api/runs/{key}/samples/test/{index}"]["index"] == index
    assert answers[f"/api/questions/layers?run={key}"]["figure"]["axes"]
    assert len(text.encode()) < BUDGET / 2


def test_without_javascript_it_is_the_static_page(trained: Path, page: Path) -> None:
    text = report(trained, page)
    static = text[text.index('<div id="static">') : text.index('<script type="application/json"')]
    assert "How accurate is a prediction from each layer" in static
    assert "Main findings" in static
    assert 'id="app-style" media="not all"' in text


def test_only_the_two_scripts_of_the_page_may_run(trained: Path, page: Path) -> None:
    text = report(trained, page)
    scripts = re.findall(r'<script type="module">(.*?)</script>', text, re.DOTALL)
    assert len(scripts) == 2
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = policy.split("script-src ")[1].split(";")[0]
    assert html.unescape(allowed).split() == [f"'sha256-{one}'" for one in hashes]
    assert "default-src 'none'" in html.unescape(policy)
    assert "unsafe-eval" not in policy


def test_what_does_not_fit_is_left_out_the_least_important_first(trained: Path, page: Path) -> None:
    text = report(trained, page, taken=BUDGET - 60_000)
    answers, key = data_of(text), run_id(trained)
    assert len(text) - text.index('<script type="application/json"') < 60_000
    assert f"/api/runs/{key}/curves" in answers
    assert f"/api/runs/{key}/samples/test/0" not in answers


def test_hostile_texts_stay_inside_the_data(tmp_path: Path, page: Path) -> None:
    path = evil_run(tmp_path / "evil.h5")
    with open_run(path) as run:
        made = inlined([run], EVIL, [], {}, [EVIL], page=page)
        text = render_report(EVIL, [run_section(run, EVIL)], findings=[EVIL], interactive=made)
    assert made is not None
    assert "<" not in made.data
    assert made.data.isascii()
    assert text.count("<script") == 3  # the data, and two scripts
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert data_of(text)["/api/runs"]["runs"][0]["label"] == "evil"


def test_without_a_built_front_end_there_is_only_the_static_page(trained: Path, tmp_path: Path) -> None:
    with open_run(trained) as run:
        assert inlined([run], "title", [], {}, [], page=tmp_path) is None


def test_the_main_findings_are_accuracy_what_looks_broken_and_the_papers(trained: Path) -> None:
    with open_run(trained) as run:
        answers = [Answer("layers", "?", "", result=analyze("layers", run))]
        accuracy = 100 * float(run.read("final/model_test_accuracy"))
        first, broken, layer = main_findings([run], ["toy"], answers)
        assert first == f"The run classifies {accuracy:.2f} % of the test images correctly."
        assert broken.endswith(".")
        best = int(run.read("final/test_accuracy").argmax()) + 1
        assert layer.startswith(f"In toy, layer {best} of 3 alone classifies ")
        claims = [ffprobe.Claim("Paper", "it rises.", "it does.", agrees) for agrees in (True, True, False, None)]
        answers.append(Answer("x", "?", "", result=ffprobe.Result("x", "?", [], [], claims=claims)))
        assert main_findings([run], ["toy"], answers)[2] == (
            "Of 4 claims of papers, 2 agree with these runs and 1 differs."
        )
        two = main_findings([run, run], ["a", "b"], [])
        assert two[0].startswith("a is the most accurate run (")
