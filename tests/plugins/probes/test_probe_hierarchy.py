"""A tree of classes that were made alike on purpose, and the setting that trains with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.hierarchy import Hierarchy
from recorded_layers import write_layers

import ffprobe
from ffprobe.config.parsing import assignments, merge
from ffprobe.config.preset_files import BASE_PRESET, read_preset
from ffprobe.config.resolve import resolve
from ffprobe.plugin.registry import Registry

N, CLASSES = 400, 6
RANDOM = np.random.default_rng(0)
TRUTH, HELD = np.arange(N) % CLASSES, np.arange(N) >= 300
NAMES = tuple("abcdef")
PAIRS = np.array([0, 1, 0, 1, 2, 2])  # which classes share a centre


def write(path: Path, truth: np.ndarray = TRUTH, **words: Any) -> Path:
    centres = 4 * RANDOM.normal(size=(3, 12))
    near = centres[PAIRS] + 0.3 * RANDOM.normal(size=(CLASSES, 12))
    last = near[truth] + RANDOM.normal(size=(N, 12))
    last[HELD] = np.nan  # held-out images must not be looked at
    first = RANDOM.normal(size=(N, 12))
    recorded = {("0", "pre"): {2: first}, ("1", "pre"): {2: last}}
    return write_layers(path, recorded, truth, HELD, attributes={"class_names": list(NAMES)}, **words)


def analyze(*paths: Path, **settings: Any) -> Any:
    runs = [ffprobe.open(path) for path in paths]
    try:
        return Hierarchy(Hierarchy.Params(**settings)).analyze(runs)
    finally:
        for run in runs:
            run.close()


def test_classes_that_are_similar_are_grouped(tmp_path: Path) -> None:
    found = analyze(write(tmp_path / "a.h5")).to_dict()
    rows = found["rows"]
    assert [row["class"] for row in rows if row["level"] == 0] == list(NAMES)
    assert {row["groups"] for row in rows} == {2, 4}  # 8 would be more than there are classes
    for level in (0, 1):
        group = {row["class"]: row["group"] for row in rows if row["level"] == level}
        pairs = [group[a] == group[b] for a, b in ("ac", "bd", "ef")]
        assert sum(pairs) == (3 if level == 0 else 2)  # four groups split one of the three pairs
        assert list(dict.fromkeys(group.values())) == list(range(2 if level == 0 else 4))


def test_the_note_is_a_setting_that_the_loss_takes(tmp_path: Path) -> None:
    note = analyze(write(tmp_path / "a.h5")).to_dict()["notes"][0]
    word = note.split("--set ")[1].strip("'")
    registry = Registry()
    preset = merge(read_preset(BASE_PRESET), read_preset("hcl-ff"))
    config = resolve(merge(preset, assignments([word])), registry)
    tree = config.slots["loss"].params.tree
    assert [len(level) for level in tree] == [CLASSES, CLASSES]


def test_a_setting_that_the_loss_refuses_is_not_printed(tmp_path: Path) -> None:
    recorded = {("0", "pre"): {2: RANDOM.normal(size=(N, 12))}, ("1", "pre"): {2: np.full((N, 12), 0.1)}}
    path = write_layers(tmp_path / "dead.h5", recorded, TRUTH, HELD, attributes={"class_names": list(NAMES)})
    result = analyze(path).to_dict()
    assert result["rows"] == []
    assert "--set" not in result["notes"][0]
    assert "does not separate the classes" in result["notes"][0]


@pytest.mark.parametrize("level", [[0] * CLASSES, [0, 2] * 3, [0, 1]], ids=["one-group", "a-gap", "fewer-classes"])
def test_the_setting_is_checked_against_the_loss(level: list[int]) -> None:
    from ffprobe_plugins.probes.hierarchy import _Level, _notes, _Tree

    tree = _Tree(list(NAMES), np.zeros((CLASSES - 1, 4)), [_Level(2, level)])
    [note] = _notes("run", tree)
    assert note.startswith("run: the loss hcl does not accept this tree:")
    assert "--set" not in note


def test_several_runs_and_another_layer(tmp_path: Path) -> None:
    paths = write(tmp_path / "a.h5"), write(tmp_path / "b.h5", seed=1)
    assert {row["run"] for row in analyze(*paths).to_dict()["rows"]} == {"a", "b"}
    assert analyze(paths[0], layer=1).to_dict()["rows"] != analyze(paths[0]).to_dict()["rows"]


def test_missing_recordings_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5")
    with pytest.raises(ffprobe.FileError, match="no recorded activations of layer 3"):
        analyze(path, layer=3)
    few = write(tmp_path / "few.h5", np.where(HELD, TRUTH, TRUTH % 5))
    with pytest.raises(ffprobe.FileError, match="5 of 6 classes"):
        analyze(few)
