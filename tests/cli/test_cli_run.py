"""``ffprobe run`` from end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli.program import ffprobe
from plugin_files import POWERNORM, normalizer, write
from toy import WORDS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished toy Trifecta, ``run.h5``."""
    where = tmp_path_factory.mktemp("run")
    done = ffprobe("run", "--preset", "trifecta", *WORDS, "--json", cwd=where)
    assert done.code == 0, done.err
    (where / "run.json").write_text(done.out)
    return where


def test_json_has_one_accuracy_for_each_layer(folder: Path) -> None:
    import json

    document = json.loads((folder / "run.json").read_text())
    for key in ("validation_accuracy", "test_accuracy"):
        assert len(document[key]) == 3
        assert all(0 <= value <= 1 for value in document[key])
    assert document["config"]["scheduler"]["name"] == "olu"


def test_a_log_gets_a_line_per_epoch_and_stdout_a_table(tmp_path: Path) -> None:
    done = ffprobe("run", *WORDS, cwd=tmp_path)
    assert done.code == 0, done.err
    lines = [line for line in done.err.splitlines() if line.startswith("epoch")]
    assert [line.split(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert done.out.splitlines()[0].split() == ["layer", "validation", "test"]
    assert [line.split()[0] for line in done.out.splitlines()[1:]] == ["1", "2", "3", "model"]


def test_show_and_from(folder: Path) -> None:
    shown = ffprobe("show", "run.h5", "--json", cwd=folder).json
    assert shown["complete"] is True
    assert shown["epochs"] == shown["epochs_planned"] == 2
    assert "finished" in ffprobe("show", "run.h5", cwd=folder).out
    again = ffprobe("run", "--from", "run.h5", "--out", "again.h5", "--json", cwd=folder)
    assert again.json["test_accuracy"] == shown["test_accuracy"]


def test_analyze_probes_and_layers(folder: Path) -> None:
    for name in ("probes", "layers"):
        done = ffprobe("analyze", name, "run.h5", "--json", "--csv", "t.csv", "--plot", "t.png", cwd=folder)
        assert done.code == 0, done.err
        assert done.json["rows"]
        assert (folder / "t.csv").read_text().count("\n") > 3
        assert (folder / "t.png").stat().st_size > 5000
        assert ffprobe("analyze", name, "run.h5", cwd=folder).out


def test_what_was_not_recorded_is_refused_with_the_option(folder: Path) -> None:
    assert ffprobe("run", *WORDS, "--set", "probes=[]", "--out", "bare.h5", cwd=folder).code == 0
    done = ffprobe("analyze", "probes", "bare.h5", cwd=folder)
    assert done.code == 4
    assert "recording.activations" in done.err


def test_an_existing_file_is_refused_without_overwrite(folder: Path) -> None:
    before = (folder / "run.h5").read_bytes()
    done = ffprobe("run", *WORDS, cwd=folder)
    assert done.code == 2
    assert "--overwrite" in done.err
    assert (folder / "run.h5").read_bytes() == before


def test_powernorm_of_the_plan_works_as_it_stands(tmp_path: Path) -> None:
    write(tmp_path, POWERNORM, "powernorm.py")
    done = ffprobe("run", "--plugin", "./powernorm.py:exponent=0.7", *WORDS, "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.json["config"]["normalizer"] == {"name": "powernorm", "plugin": "./powernorm.py", "exponent": 0.7}


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = ffprobe(
        "run", "--plugin", "olu", "--plugin", "batchnorm", "--seed", "3", "--dry-run", "--json", cwd=tmp_path
    )
    assert done.json["scheduler"]["name"] == "olu"
    assert done.json["normalizer"]["name"] == "batchnorm"
    assert done.json["loss"]["name"] == "fixed-threshold"
    assert done.json["seed"] == 3
    assert "scheduler" in ffprobe("run", "--dry-run", cwd=tmp_path).out
    assert list(tmp_path.iterdir()) == []


def bad(words: str, code: int, *sentences: str) -> Any:
    return pytest.param(words.split("|"), code, sentences, id=words)


@pytest.mark.parametrize(
    ("words", "code", "sentences"),
    [
        bad("run|--plugin|batchnrm", 3, "batchnrm", "batchnorm"),
        bad("run|--plugin|batchnorm|--plugin|rms", 2, "batchnorm", "rms", "normalizer"),
        bad("run|--set|network.widht=1", 2, "widht", "width"),
        bad("run|--set|training.epochs=0", 2, "training.epochs"),
        bad("run|--epochs|many", 2, "--epochs", "integer"),
        bad("run|--set|nonsense", 2, "key=value"),
        bad("run|--preset|trifekta", 2, "trifecta"),
        bad("run|--preset|olu", 2, "olu is a plugin: --plugin olu"),
        bad("run|--plugin|trifecta", 3, "trifecta is a preset: --preset trifecta"),
        bad("run|--resume|--out|auto", 2, "--resume needs the name"),
        bad("run|--dataset|cifar", 3, "cifar10"),
        bad("run|--dataset|cifar10|--data-dir|/nowhere", 4, "/nowhere", "--download"),
        bad("run|--dataset|images", 2, "--data-dir"),
        bad("run|--device|cuda:99", 2, "cuda:99"),
        bad("run|--out|/nowhere/run.h5|--set|network=tiny", 4, "/nowhere"),
        bad("run|--config|none.toml", 4, "none.toml"),
        bad("run|--from|none.h5", 4, "none.h5"),
        bad("run|--plugin|./none.py", 2, "none.py"),
        bad("analyze|layrs|x.h5", 3, "layers"),
        bad("analyze|layers|x.h5", 4, "x.h5"),
        bad("show|x.h5", 4, "x.h5"),
        bad("plugins|info|simba", 3, "symba"),
        bad("replay|x.npz", 4, "x.npz"),
        bad("wonder", 2, "wonder"),
    ],
)
def test_mistakes_get_a_sentence_and_the_planned_code(
    tmp_path: Path, words: list[str], code: int, sentences: tuple[str, ...]
) -> None:
    done = ffprobe(*words, cwd=tmp_path)
    assert done.code == code, done.err
    for sentence in sentences:
        assert sentence in " ".join(done.err.split()), done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert not list(tmp_path.glob("*.h5*"))


def test_errors_are_json_when_json_was_asked_for(tmp_path: Path) -> None:
    import json

    done = ffprobe("run", "--plugin", "batchnrm", "--json", cwd=tmp_path)
    assert json.loads(done.err)["exit_code"] == done.code == 3


def test_verbose_shows_the_traceback(tmp_path: Path) -> None:
    assert "Traceback" in ffprobe("run", "--plugin", "batchnrm", "--verbose", cwd=tmp_path).err


@pytest.mark.parametrize(
    ("text", "code", "sentence"),
    [
        ("1/0", 3, "ZeroDivisionError"),
        (normalizer(build="raise ValueError('odd')"), 3, "ValueError: odd"),
        (normalizer("raise ValueError('odd')"), 1, "ValueError: odd"),
    ],
    ids=["import", "build", "forward"],
)
def test_a_failing_plugin_is_named_without_traceback(tmp_path: Path, text: str, code: int, sentence: str) -> None:
    write(tmp_path, text)
    done = ffprobe("run", "--plugin", "./mine.py", *WORDS, cwd=tmp_path)
    assert done.code == code, done.err
    assert "'mine'" in done.err
    assert sentence in done.err
    assert "mine.py" in done.err
    assert "Traceback" not in done.err


def test_a_newer_run_file_is_refused_politely(folder: Path) -> None:
    import h5py

    newer = folder / "newer.h5"
    newer.write_bytes((folder / "run.h5").read_bytes())
    with h5py.File(newer, "r+") as file:
        file.attrs["ffprobe_format"] = 99
    done = ffprobe("analyze", "layers", "newer.h5", cwd=folder)
    assert done.code == 4
    assert "newer" in done.err


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train/a/1": 8, "test/a/1": 8}, "class"),
        ({"train/a/1": 8, "train/b/1": 9, "test/a/1": 8, "test/b/1": 8}, "8"),
        ({"train/a/1": 8, "train/b/1": 0, "test/a/1": 8, "test/b/1": 8}, "train/b/1.png"),
        ({}, "train"),
    ],
    ids=["one-class", "mixed-sizes", "damaged", "empty"],
)
def test_bad_pictures_are_reported(tmp_path: Path, files: dict[str, int], message: str) -> None:
    from PIL import Image

    (tmp_path / "pictures").mkdir()
    for name, size in files.items():
        path = tmp_path / "pictures" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if size:
            Image.new("RGB", (size, size), (size, 0, 0)).save(path)
        else:
            path.write_bytes(b"not a picture")
    done = ffprobe("run", "--dataset", "images", "--data-dir", "pictures", *WORDS, cwd=tmp_path)
    assert done.code == 4, done.err
    assert message in done.err
    assert "Traceback" not in done.err
    assert not list(tmp_path.glob("*.h5*"))
