"""``ffprobe.run``, ``open``, ``analyze`` and ``predict`` do what the command line does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plugin_files import POWERNORM, write
from sklearn.datasets import load_digits

import ffprobe
from ffprobe.config.parsing import nested
from ffprobe.data.normalize import normalize

TOY: dict[str, Any] = {
    "network": "tiny",
    "network.width": 0.25,
    "precision": "fp32",
    "device": "cpu",
    "training": {"epochs": 2, "batch_size": 32, "max_images": 128},
    "recording.samples": 60,
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api")
    plugin = write(folder, POWERNORM, "powernorm.py")
    with ffprobe.run(folder / "run.h5", plugins=["symba", f"{plugin}:exponent=0.9"], settings=TOY) as run:
        assert run.complete
    return folder / "run.h5"


@pytest.fixture
def run(path: Path) -> Iterator[ffprobe.RecordedRun]:
    with ffprobe.open(path) as file:
        yield file


def test_settings_are_those_of_the_command_line(run: ffprobe.RecordedRun) -> None:
    assert run.config["loss"]["name"] == "symba"
    assert run.config["normalizer"]["exponent"] == 0.9
    assert run.config["network"] == {"name": "tiny", "width": 0.25}
    assert run.config["training"]["epochs"] == 2
    assert nested({"a.b": 1, "a": {"c": 2}, "loss": "symba"}) == {"a": {"b": 1, "c": 2}, "loss": {"name": "symba"}}


def test_an_existing_run_is_not_overwritten(path: Path) -> None:
    with pytest.raises(ffprobe.UsageError, match="already exists"):
        ffprobe.run(path, settings=TOY)
    before = path.stat().st_mtime_ns
    with ffprobe.run(path, settings=TOY, resume=True) as run:  # finished: nothing to go on with
        assert run.complete
    assert path.stat().st_mtime_ns == before


def test_analyze_takes_paths_and_open_runs(path: Path, run: ffprobe.RecordedRun) -> None:
    one, two = ffprobe.analyze("layers", path), ffprobe.analyze("layers", run)
    assert one.to_dict()["rows"] == two.to_dict()["rows"]
    assert run.has("metrics/loss")  # still open
    assert "<table>" in one._repr_html_()
    with pytest.raises(ffprobe.UsageError, match="needs a run file; none given"):
        ffprobe.analyze("layers")


def test_what_is_no_question_is_told(path: Path) -> None:
    with pytest.raises(ffprobe.PluginError, match="layers"):
        ffprobe.analyze("layer", path)
    with pytest.raises(ffprobe.PluginError, match="provides no probe"):
        ffprobe.analyze("symba", path)
    with pytest.raises(ffprobe.FileError, match="no such run"):
        ffprobe.analyze("layers", path.with_name("other.h5"))


def test_the_network_is_the_one_that_was_trained(run: ffprobe.RecordedRun) -> None:
    # the file's goodness of the test images, which training wrote, against the rebuilt network's
    from ffprobe_plugins.datasets.digits import Digits

    network, images = run.network(), Digits().load("test")
    x, labels = normalize(images.pixels, images.mean, images.std), torch.arange(10)
    with torch.no_grad():
        goodness = torch.stack([network(x, label.expand(len(x))) for label in labels], dim=2)  # [L, N, K]
    np.testing.assert_allclose(goodness.numpy(), run.read("test/goodness"), rtol=1e-4, atol=1e-5)
    predicted = ffprobe.predict(run, images.pixels.numpy())
    accuracy = (predicted == run.read("test/true_label")).mean()
    assert accuracy == pytest.approx(float(run.read("final/model_test_accuracy")), abs=1e-6)


def test_the_network_outlives_the_run_and_is_ordinary(path: Path) -> None:
    with ffprobe.open(path) as run:
        assert isinstance(run, ffprobe.RecordedRun)
        assert isinstance(run, ffprobe.RunFile)
        network = run.network()
        weight = run["weights/0/conv.weight"]
        np.testing.assert_array_equal(network.layer(0).weight.numpy(), weight[...])
    assert isinstance(network, torch.nn.Module)
    assert not network.training
    assert network(torch.zeros(2, 1, 8, 8), torch.tensor([0, 1])).shape == (3, 2)


def test_predict_refuses_other_images(path: Path) -> None:
    pictures = load_digits().images[:3, None]
    with pytest.raises(ffprobe.UsageError, match="uint8"):
        ffprobe.predict(path, pictures)
    with pytest.raises(ffprobe.UsageError, match=r"\[N, 1, 8, 8\]"):
        ffprobe.predict(path, pictures[:, :, :7].astype("uint8"))
    assert ffprobe.predict(path, pictures.astype("uint8")).shape == (3,)


def test_an_unfinished_run_has_no_network(tmp_path: Path) -> None:
    class Stop:
        @ffprobe.hookimpl
        def ffprobe_after_step(self, context: Any) -> None:
            if context.step == 1:
                raise KeyboardInterrupt

    from ffprobe.testing import toy_run

    with pytest.raises(KeyboardInterrupt):
        toy_run(out=tmp_path / "run.h5", observers=[Stop()])
    with pytest.raises(ffprobe.FileError, match="has not finished"):
        ffprobe.open(tmp_path / "run.h5.partial").network()


class NotAWord:
    """A class, as a plugin might be given by mistake."""


@pytest.mark.parametrize(
    ("plugins", "sentence"),
    [
        ([NotAWord], "plugins has the class NotAWord, which is neither a word nor a component"),
        (["olu", 3], "plugins has 3, which is neither a word nor a component"),
        ("olu", "plugins must be a list, not 'olu'"),
        (3, "plugins must be a list, not 3"),
    ],
)
def test_plugins_that_are_not_words_are_refused_with_what_is_accepted(
    tmp_path: Path, plugins: Any, sentence: str
) -> None:
    with pytest.raises(ffprobe.UsageError, match=sentence) as caught:
        ffprobe.run(tmp_path / "run.h5", plugins=plugins)
    assert "as --plugin takes them" in caught.value.hint


def test_settings_that_are_no_dictionary_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ffprobe.UsageError, match="settings must be a dictionary"):
        ffprobe.run(tmp_path / "run.h5", settings=["training.epochs=3"])  # type: ignore[arg-type]


def test_images_that_are_no_array_are_refused(path: Path) -> None:
    with pytest.raises(ffprobe.UsageError, match="must be a numpy array, not list"):
        ffprobe.predict(path, [[1, 2]])  # type: ignore[arg-type]
