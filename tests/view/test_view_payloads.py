"""The documents of a run: their numbers are those of the file."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asgi import application, ask
from PIL import Image

from ffprobe.store.reader import RunFile, open_run
from ffprobe.view.payload.curves import MAX_STEPS, _means
from ffprobe.view.payload.layers import filters, histogram
from ffprobe.view.payload.plain_values import plain
from ffprobe.view.payload.recorded_goodness import predicted
from ffprobe.view.payload.runs import differing_settings, flat_settings, unique_labels


@pytest.fixture(scope="module")
def app(trained: Path) -> Any:
    return application(trained)


@pytest.fixture(scope="module")
def run(trained: Path) -> Any:
    with open_run(trained) as file:
        yield file


def document(app: Any, rest: str = "") -> Any:
    key = app.catalog.entries()[0].id
    reply = ask(app, f"/api/runs/{key}{rest}")
    assert reply.status == 200, reply.body
    return reply.json


def test_the_list_has_what_the_run_is(app: Any, run: RunFile) -> None:
    listed = ask(app, "/api/runs").json
    (row,) = listed["runs"]
    assert (row["label"], row["state"], row["seed"], row["epochs"]) == ("toy", "finished", 0, 2)
    assert row["accuracy"] == pytest.approx(100 * float(run.read("final/model_test_accuracy")))
    assert row["plugins"]["scheduler"] == "olu"
    assert (listed["differing"], listed["title"]) == ([], "runs")


def test_the_overview_names_layers_groups_and_images(app: Any, run: RunFile) -> None:
    seen = document(app)
    assert [layer["name"] for layer in seen["layers"]] == ["1", "2", "3"]
    assert seen["layers"][0]["parameters"] == run.attributes["layer_parameters"][0]
    assert seen["layers"][0]["shape"] == [8, 4, 4]
    assert [group["trains"] for group in seen["groups"]] == [[0], [0, 1], [1, 2]]
    assert seen["groups"][1]["text"] == "The loss of layer 2 trains layers 1 and 2."
    assert seen["layers"][1]["groups"] == [1, 2]
    dead = (run.read("activations/1/pre/activation")[-1] == 0).all(axis=0)
    if not run.has("activations/1/pre/unreduced_dead"):
        assert seen["layers"][1]["dead"] == {"dead": int(dead.sum()), "of": dead.size}
    norms = run.read("probes/gradients/steps/norm")[-50:, 0, 1]
    assert seen["layers"][1]["gradient_norm"] == pytest.approx(float(np.nanmean(norms)))
    assert seen["evaluators"] == ["layer-goodness"]
    assert seen["images"] == {"test": 40, "validation": 40, "training": 40}
    assert seen["labels"] == list("0123456789")


def test_curves_have_the_numbers_of_the_file(app: Any, run: RunFile) -> None:
    seen = document(app, "/curves")
    assert seen["epoch"] == [1, 2]
    assert np.array(seen["series"]["loss"]["values"]) == pytest.approx(run.read("metrics/loss").T, rel=1e-5)
    accuracy = seen["series"]["validation_accuracy"]
    assert accuracy["unit"] == "%"
    assert np.array(accuracy["values"]) == pytest.approx(100 * run.read("metrics/validation_accuracy").T, rel=1e-5)
    separation = run.read("metrics/goodness_positive") - run.read("metrics/goodness_negative")
    assert np.array(seen["series"]["separation"]["values"]) == pytest.approx(separation.T, rel=1e-3, abs=1e-5)
    assert len(seen["steps"]["step"]) == run.variable("steps/step").shape[0] <= MAX_STEPS
    assert any(curve["name"].startswith("gradients: norm") for curve in seen["probes"])


def test_blocks_of_steps_are_averaged_without_what_was_not_measured() -> None:
    values = np.array([[1.0], [3.0], [math.nan], [5.0], [math.nan]])
    assert _means(values, np.array([0, 2, 4])).ravel()[:2].tolist() == [2, 5]
    assert math.isnan(_means(values, np.array([0, 2, 4]))[2, 0])


def test_samples_have_the_predictions_of_every_layer(app: Any, run: RunFile) -> None:
    seen, goodness = document(app, "/samples"), run.read("test/goodness")
    assert (seen["part"], seen["count"], seen["epochs"]) == ("test", 360, [2])
    assert seen["true"] == run.read("test/true_label").tolist()
    for layer in range(3):
        right = np.array(seen["predicted"][f"layer {layer + 1}"]) == run.read("test/true_label")
        assert right.mean() == pytest.approx(float(run.read("final/test_accuracy")[layer]))
    assert goodness.shape == (3, 360, 10)
    early = document(app, "/samples?part=validation&epoch=1")
    expected = run.read("evaluation/goodness")[0].argmax(axis=2)
    assert early["predicted"]["layer 2"] == expected[1].tolist()
    assert early["index"] == run.read("evaluation/source_index").tolist()


def test_one_sample_has_its_goodness_and_where_the_network_changes_its_mind(app: Any, run: RunFile) -> None:
    seen = document(app, "/samples/test/7")
    goodness = run.read("test/goodness")[:, 7]
    assert np.array(seen["goodness"]) == pytest.approx(goodness, rel=1e-5)
    best = goodness.argmax(axis=1).tolist()
    assert [seen["predicted"][f"layer {i + 1}"] for i in range(3)] == best
    assert seen["changes"] == [
        {"layer": i, "from": best[i - 1], "to": best[i]} for i in (1, 2) if best[i] != best[i - 1]
    ]
    assert seen["neighbours"] is None  # activations of test images are not recorded


def test_neighbours_of_a_validation_image_are_the_nearest_by_angle(app: Any, run: RunFile) -> None:
    held = np.flatnonzero(run.read("activations/held_out"))
    source = run.read("activations/source_index")
    index = run.read("evaluation/source_index").tolist().index(source[held[0]])
    seen = document(app, f"/samples/validation/{index}")
    features = run.read("activations/2/pre/activation")[-1].astype(float)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosine = unit @ unit[held[0]]
    cosine[held[0]] = -2
    assert seen["neighbours"][0]["distance"] == pytest.approx(1 - cosine.max(), abs=1e-5)
    assert seen["neighbours"][0]["true"] == run.read("activations/true_label")[cosine.argmax()]


def test_an_image_is_the_recorded_one(app: Any, run: RunFile) -> None:
    index = int(run.read("images/test/sample")[3])
    key = app.catalog.entries()[0].id
    reply = ask(app, f"/api/runs/{key}/images/test/{index}.png")
    assert reply.headers["content-type"] == "image/png"
    assert np.array(Image.open(io.BytesIO(reply.body))).tolist() == run.read("images/test/pixel")[3, 0].tolist()
    assert ask(app, f"/api/runs/{key}/images/test/359.png").status == 422


def test_a_layer_has_its_weights_and_the_images_that_excite_its_units(app: Any, run: RunFile) -> None:
    seen = document(app, "/layers/0")
    weight = run.read("weights/0/conv.weight")
    assert sum(seen["histogram"]["counts"]) == weight.size
    assert seen["weight_shape"] == list(weight.shape)
    assert seen["weight_norm"] == pytest.approx(run.read("metrics/weight_norm")[:, 0].tolist(), rel=1e-5)
    values = run.read("activations/0/pre/activation")[-1]
    by_unit = values.reshape(len(values), 8, -1).max(axis=2)
    first = seen["units"][0]["strongest"][0]
    assert first["activation"] == pytest.approx(float(by_unit[:, 0].max()), rel=1e-5)
    assert first["image"].startswith("/api/runs/")
    assert seen["dead_units"]["of"] == 128


def test_unknown_things_are_errors_with_a_sentence(app: Any) -> None:
    key = app.catalog.entries()[0].id
    for rest, status in (
        ("/layers/99", 422), ("/samples/test/360", 422), ("/samples?part=train", 422), ("/samples?epoch=7", 200),
        ("/samples?part=validation&epoch=7", 422), ("/samples?epoch=-1", 422), ("/samples/other/1", 422),
    ):  # fmt: skip
        reply = ask(app, f"/api/runs/{key}{rest}")
        assert reply.status == status, rest
        if status != 200:
            assert reply.json["error"].endswith(".")
    assert ask(app, "/api/runs/0123456789ab").status == 404


def test_scores_that_do_not_decide_have_no_label() -> None:
    nan = math.nan
    assert predicted(np.array([[0.1, 0.7, 0.2], [1, 1, 0], [nan, 1, 0], [0, 0, 0]])).tolist() == [1, -1, -1, -1]


def test_a_histogram_is_symmetric_about_zero() -> None:
    seen = histogram(np.array([-1.0, 0.0, 0.5, math.inf]))
    assert (seen["edges"][0], seen["edges"][-1], seen["not_finite"]) == (-1, 1, 1)
    assert sum(seen["counts"]) == 3


def test_filters_have_one_scale_with_zero_at_128() -> None:
    weight = np.zeros((2, 3, 1, 1), np.float32)
    weight[0, :, 0, 0], weight[1, 0, 0, 0] = (0.5, 0, -0.5), 1.0
    seen = filters(weight, [3, 8, 8])
    assert seen is not None
    assert (seen["channels"], seen["count"], seen["largest"]) == (3, 2, 1.0)
    assert list(base64.b64decode(seen["images"])) == [192, 128, 64, 255, 128, 128]  # 191.5 and 64.5, rounded to even
    flat = filters(np.ones((2, 66), np.float32), [1, 8, 8])
    assert flat is not None
    assert (flat["height"], flat["width"], flat["count"]) == (8, 8, 2)
    assert filters(np.ones((2, 60), np.float32), [1, 8, 8]) is None


def test_plain_values_are_json_without_control_characters() -> None:
    seen = plain({"a\x1b": [np.float32(0.1), math.nan, np.array([[1.0, math.inf]]), Path("x"), "\u202e<b>"]})
    assert seen == {"a\\x1b": [pytest.approx(0.1), None, [[1.0, None]], "x", "\\u202e<b>"]}
    assert plain(np.zeros((2, 0))) == [[], []]


def test_runs_that_differ_name_the_settings() -> None:
    tables = [{"loss": {"name": name, "alpha": 4}, "seed": seed} for name, seed in (("symba", 0), ("pvn", 1))]
    assert differing_settings([flat_settings(table) for table in tables]) == ["loss"]
    probes = {"probes": [{"name": "a", "x": 1}, {"name": "b"}], "list": [1, 2]}
    assert flat_settings(probes) == {"probes": "a, b", "list": [1, 2]}
    assert unique_labels([Path("a/x.h5"), Path("b/x.h5.partial"), Path("b/y.h5")]) == ["a/x", "b/x", "y"]
