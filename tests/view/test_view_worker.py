"""The worker: answers of analyses, evaluators and maps, and that nothing is ever written."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from asgi import application, ask

from ffprobe.api import analyze
from ffprobe.store.reader import open_run
from ffprobe.view.worker.jobs import Jobs
from ffprobe.view.worker.loaded_network import load_image, load_network
from ffprobe.view.worker.maps import activation_and_goodness, compute_maps, map_document
from ffprobe.view.worker.requests import answer


def asked(**request: Any) -> tuple[int, Any]:
    status, body = answer(request, lambda text: None)
    return status, json.loads(body)


def state_of(folder: Path) -> dict[str, tuple[str, int]]:
    """Contents and time of the last change of everything in a directory."""
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "", path.stat().st_mtime_ns)
        for path in [folder, *folder.rglob("*")]
    }


def test_nothing_is_written_whatever_is_asked(folder: Path) -> None:
    before = state_of(folder)
    app, path = application(folder), str(folder / "toy.h5")
    key = app.catalog.entries()[0].id
    for rest in ("", "/curves", "/layers/1", "/samples", "/samples/validation/0", "/images/test/0.png"):
        assert ask(app, f"/api/runs/{key}{rest}").status == 200
    assert ask(app, f"/api/questions?run={key}").status == 200
    for request in (
        {"kind": "question", "name": "probes", "paths": [path]},  # writes a cache when the command line asks it
        {"kind": "evaluators", "path": path, "part": "test"},
        {"kind": "map", "path": path, "part": "test", "index": 0, "layer": 0, "label": 1, "map_kind": "gradcam"},
        {"kind": "neighbours", "path": path, "key": key, "part": "test", "index": 0},
    ):
        assert asked(**request)[0] == 200
    assert state_of(folder) == before


def test_a_question_has_the_rows_and_notes_of_the_command(trained: Path) -> None:
    status, seen = asked(kind="question", name="layers", paths=[str(trained)])
    result = analyze("layers", trained)
    document = result.to_dict()
    assert status == 200
    assert [column["name"] for column in seen["columns"]] == [column["name"] for column in document["columns"]]
    assert seen["rows"] == [list(row.values()) for row in document["rows"]]
    assert (seen["notes"], seen["claims"]) == (document["notes"], document["claims"])
    assert seen["figure"]["axes"][0]["marks"]
    assert seen["svg"].startswith("data:image/svg+xml;base64,")
    assert seen["csv"].count("\n") == len(result.rows) + 1


@pytest.mark.parametrize("name", ["nothing", "./evil.py", "os:system", "layers:x=1", ""])
def test_only_installed_analyses_can_be_asked(name: str, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit(3)")
    status, seen = asked(kind="question", name=name, paths=[str(trained)])
    assert (status, "There is no analysis" in seen["error"]) == (422, True)


def test_an_analysis_that_is_not_possible_says_why(trained: Path) -> None:
    status, seen = asked(kind="question", name="compare", paths=[str(trained)])
    assert (status, seen["error"]) == (422, "The analysis 'compare' needs 2 run files; 1 given.")


def test_evaluators_predict_what_the_run_measured(trained: Path) -> None:
    status, seen = asked(kind="evaluators", path=str(trained), part="test")
    assert status == 200
    with open_run(trained) as run:
        right = np.array(seen["evaluators"]["layer-goodness (of the run)"]) == run.read("test/true_label")
        assert right.mean() == pytest.approx(float(run.read("final/model_test_accuracy")))
    assert set(seen["evaluators"]) | set(seen["skipped"]) >= {"interval", "one-pass"}
    assert "activations" in seen["skipped"]["one-pass"]


def test_the_goodness_map_of_a_mean_of_squares_sums_to_twice_the_goodness(trained: Path) -> None:
    """For G = mean(a^2), sum a * dG/da = 2 G, and dG/da = 2 a / n."""
    for layer in range(3):
        seen = map_document(str(trained), "test", 0, layer, 3, "goodness")
        assert np.sum(seen["maps"][0]["values"]) == pytest.approx(2 * seen["goodness"], rel=1e-4)
        with open_run(trained) as run:
            assert seen["goodness"] == pytest.approx(float(run["test/goodness"][layer, 0, 3]), rel=1e-2)


def test_grad_cam_follows_its_formula(trained: Path) -> None:
    network = load_network(str(trained))
    activation, goodness = activation_and_goodness(network, load_image(str(trained), network, "test", 0), 0, 3)
    a = activation.detach()[0]
    weights = (2 * a / a.numel()).mean(dim=(1, 2))
    expected = torch.einsum("c,cyx->yx", weights, a).relu()
    assert compute_maps(activation, goodness, "gradcam")[0].numpy() == pytest.approx(expected.numpy(), rel=1e-4)
    assert compute_maps(activation, None, "features").equal(a)


def test_maps_of_a_signal_have_one_row_and_those_of_a_table_one_row_of_units() -> None:
    signal = torch.randn(1, 4, 6, requires_grad=True)
    assert compute_maps(signal, None, "features").equal(signal.detach()[0][:, None])
    goodness = signal.square().sum()
    assert compute_maps(signal, goodness, "goodness").equal(2 * signal.detach().square().sum(dim=1)[:, None])
    table = torch.randn(1, 5, requires_grad=True)
    assert compute_maps(table, table.square().sum(), "goodness").equal(2 * table.detach().square()[None])


def test_maps_refuse_what_does_not_exist(trained: Path) -> None:
    usual = {"kind": "map", "path": str(trained), "part": "test", "index": 0, "layer": 0, "label": 1}
    for change, map_kind in (
        ({"layer": 9}, "features"), ({"label": 10}, "features"), ({}, "x"), ({"index": 10_000}, "features"),
        ({"label": None, "layer": 0, "part": "validation", "index": 10_000}, "gradcam"),
    ):  # fmt: skip
        status, seen = asked(**{**usual, **change}, map_kind=map_kind)
        assert (status, bool(seen["error"])) == (422, True)


def test_jobs_answer_in_a_process_of_their_own_and_keep_their_answers(trained: Path) -> None:
    changed: list[str] = []
    jobs = Jobs(changed.append)
    request = {"kind": "question", "name": "curves", "paths": [str(trained)]}
    try:
        status, body = jobs.ask("a", request)
        assert (status, json.loads(body)["status"], json.loads(body)["job"]) == (202, "working", "a")
        deadline = time.monotonic() + 240  # it has a low priority, and this machine may be busy
        while (status := jobs.ask("a", request)[0]) == 202 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert status == 200
        assert changed == ["a"]
        assert jobs.ask("a", {"kind": "never asked again"})[0] == 200
        assert jobs._process is not None
        jobs._process.kill()  # out of memory, for example
        jobs._process.join()
        while (status := jobs.ask("b", request)[0]) == 202 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert status == 200  # a new process answers
    finally:
        jobs.close()
    assert jobs._process is None
