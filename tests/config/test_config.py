"""Presets, config files and command-line options become one validated config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plugin_files import POWERNORM, write

from ffprobe.api import configure
from ffprobe.config.analysis_choice import find_question
from ffprobe.config.options import RunOptions
from ffprobe.config.parsing import assignments, merge, parse_plugin, parse_value
from ffprobe.config.preset_files import BASE_PRESET, preset_names, read_preset, read_toml
from ffprobe.config.resolve import picks, resolve
from ffprobe.errors import FileError, PluginError, UsageError
from ffprobe.plugin.registry import Registry
from ffprobe.store.renamed_settings import RENAMED


def made(*above: dict[str, Any]) -> Any:
    table = read_preset(BASE_PRESET)
    for one in above:
        table = merge(table, one)
    return resolve(table, Registry())


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_resolves(preset: str) -> None:
    assert made(read_preset(preset)).slots


def test_the_base_is_vanilla() -> None:
    config = made()
    chosen = {kind: choice.component.name for kind, choice in config.slots.items()}
    assert (chosen["loss"], chosen["normalizer"], chosen["scheduler"]) == ("fixed-threshold", "length", "greedy")
    assert chosen["dataset"] == "digits"


def test_a_document_resolves_to_itself(tmp_path: Path) -> None:
    registry = Registry()
    words = picks([write(tmp_path, POWERNORM) + ":exponent=0.25", "symba:alpha=6", "olu"], registry)
    table = merge(merge(read_preset(BASE_PRESET), words), assignments(["network.width=0.5", "training.epochs=3"]))
    config = resolve(table, registry)
    assert config.to_dict()["normalizer"]["exponent"] == 0.25
    assert resolve(config.to_dict(), Registry()).to_dict() == config.to_dict()


OLD_NAMES = [(table, old, new) for table in ("training", "recording") for old, new in RENAMED[table].items()]


@pytest.mark.parametrize(("table", "old", "new"), OLD_NAMES)
def test_an_old_name_of_a_setting_suggests_the_new_one(table: str, old: str, new: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f"[{table}]\n{old} = 1\n")
    for above in (assignments([f"{table}.{old}=1"]), read_toml(tmp_path / "config.toml")):
        with pytest.raises(UsageError, match=rf"no setting '{table}\.{old}'") as caught:
            made(above)
        assert caught.value.hint == f"Did you mean {new!r}?"


def test_old_names_of_settings_of_components_suggest_the_new_ones() -> None:
    registry = Registry()
    for word, new in (("layernorm:place=output", "position"), ("gradients:rehearse=3", "sandbox_every")):
        with pytest.raises(UsageError, match="There is no setting") as caught:
            made(picks([word], registry))
        assert caught.value.hint == f"Did you mean {new!r}?"
    with pytest.raises(UsageError) as caught:
        find_question("scaling:rehearse=3", registry, 1)
    assert caught.value.hint == "Did you mean 'sandbox_every'?"
    with pytest.raises(UsageError) as caught:  # a normalizer that never had the setting
        made({"normalizer": {"name": "rms", "place": "output"}})
    assert "position" not in caught.value.hint


def test_naming_another_component_forgets_the_settings_of_the_first() -> None:
    assert made({"loss": {"name": "symba", "alpha": 6}}, {"loss": {"name": "fixed-threshold"}})
    assert made({"loss": {"name": "symba", "alpha": 6}}, {"loss": {"name": "symba"}}).slots["loss"].params.alpha == 6


def test_a_slot_may_be_just_a_name() -> None:
    assert made({"network": "tff-d"}).slots["network"].component.name == "tff-d"


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"training": {"epoch": 3}}, "'training.epoch'.*'epochs'"),
        ({"traning": {}}, "'traning'.*'training'"),
        ({"epochs": 3}, "'epochs'.*Did you mean 'training.epochs'"),
        ({"training": {"epochs": 0}}, "'training.epochs' cannot be 0"),
        ({"training": {"epochs": "many"}}, "cannot be 'many'"),
        ({"training": 3}, "'training' cannot be 3"),
        ({"network": {"widht": 1}}, r"'network.widht' of the network 'tff-s'.*'width'"),
        ({"network": {"width": -1}}, "'network.width'"),
        ({"network": {"width": float("nan")}}, "'network.width'"),
        ({"loss": {}}, None),
        ({"loss": 3}, "'loss' cannot be 3; it is a table of settings"),
        ({"probes": "probes"}, "must be a list"),
        ({"normalizer": {"name": "none", "a": 1}}, "It has no settings"),
        ({"seed": -1}, "'seed'"),
        ({"precision": "fp16"}, "'precision'"),
    ],
)
def test_a_mistake_is_reported_with_the_closest_key(table: dict[str, Any], sentence: str | None) -> None:
    if sentence is None:
        assert made(table)
        return
    with pytest.raises(UsageError, match=sentence):
        made(table)


def test_two_plugins_for_one_slot_are_both_named() -> None:
    with pytest.raises(UsageError, match="'batchnorm' and 'rms' both fill the slot 'normalizer'"):
        picks(["batchnorm", "rms"], Registry())


def test_an_unknown_plugin_gets_suggestions() -> None:
    with pytest.raises(PluginError, match="batchnorm"):
        picks(["batchnrm"], Registry())


def test_forms_must_agree(tmp_path: Path) -> None:
    text = """
import ffprobe
class Cross(ffprobe.Loss):
    name = "cross"
    form = "class"
    def __call__(self, goodness, labels, context): return goodness.sum()
@ffprobe.hookimpl
def ffprobe_components(): return [Cross]
"""
    registry = Registry()
    table = merge(read_preset(BASE_PRESET), picks([write(tmp_path, text)], registry))
    with pytest.raises(UsageError, match=r"'cross' needs goodness of form 'class'.*'mean-square'"):
        resolve(table, registry)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("olu", ("olu", {})),
        ("symba:alpha=6", ("symba", {"alpha": 6})),
        ("./a.py:b=[1,2],c=x,d=true", ("./a.py", {"b": [1, 2], "c": "x", "d": True})),
        ("pkg.mod:attr", ("pkg.mod:attr", {})),
        ("pkg.mod:attr:k=1.5", ("pkg.mod:attr", {"k": 1.5})),
    ],
)
def test_plugin_words(text: str, expected: tuple[str, dict[str, Any]]) -> None:
    assert parse_plugin(text) == expected


def test_settings_of_a_plugin_with_only_observer_hooks_are_refused(tmp_path: Path) -> None:
    text = "import ffprobe\n\n@ffprobe.hookimpl\ndef ffprobe_after_epoch(context):\n    pass\n"
    file = tmp_path / "watch.py"
    file.write_text(text, encoding="utf-8")
    assert picks([str(file)], Registry())["observers"] == [str(file)]
    with pytest.raises(UsageError, match="has only observer hooks and no settings, so 'folder' has no effect"):
        picks([f"{file}:folder=logs"], Registry())


def test_a_setting_without_value_is_refused() -> None:
    with pytest.raises(UsageError, match="'b' in"):
        parse_plugin("a:c=1,b")


@pytest.mark.parametrize(("text", "value"), [("3", 3), ("1e-3", 1e-3), ("true", True), ("a b", "a b"), ("'x'", "x")])
def test_values_are_toml_or_text(text: str, value: object) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize("word", ["width", "=3", "a..b=1"])
def test_bad_assignments_are_refused(word: str) -> None:
    with pytest.raises(UsageError):
        assignments([word])


def test_files_that_are_not_toml_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    for content in (b"a = ", b"\xff\xfe", b"a = " + b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(FileError, match="not TOML"):
            read_toml(path)
    path.write_bytes(b"#" * (2 << 20))
    with pytest.raises(FileError, match="larger"):
        read_toml(path)
    with pytest.raises(FileError, match="cannot be read"):
        read_toml(tmp_path / "none.toml")


TABLES = ("training", "recording", "data", "loss", "network")


@pytest.mark.parametrize("value", ["3", "[1, 2]", "[{epochs = 3}]"])
@pytest.mark.parametrize("key", TABLES)
def test_a_value_for_a_table_of_settings_is_refused_from_every_source(key: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(f"{key} = {value}\n")
    parsed = parse_value(value)
    for options, settings in (
        (RunOptions(set=(f"{key}={value}",)), None),
        (RunOptions(config=tmp_path / "c.toml"), None),
        (RunOptions(epochs=3), {key: parsed}),
    ):
        with pytest.raises(UsageError, match=f"'{key}' cannot be .*; it is a table of settings"):
            configure(Registry(), options, settings)


@pytest.mark.parametrize("key", ["probes", "observers"])
def test_a_single_value_for_a_list_is_refused(key: str) -> None:
    with pytest.raises(UsageError, match=f"'{key}' must be a list, not 3"):
        configure(Registry(), RunOptions(set=(f"{key}=3",)))


class TestConfigFile:
    """A file of ``--config`` has the grammar of ``[each]`` in a grid."""

    @pytest.mark.parametrize(
        "text",
        [
            'preset = "trifecta"\nplugin = ["olu", "rms"]\nepochs = 3\nlearning-rate = 1\nnetwork.width = 0.5\n'
            "seed = 4\n",
            'preset = "trifecta"\nplugin = "rms"\nlearning_rate = 1.0\nseed = 4\n[training]\nepochs = 3\n'
            "[network]\nwidth = 0.5\n",
            'preset = "trifecta"\nepochs = 3\nset = {"training.learning_rate" = 1.0, "network.width" = 0.5, seed = 4}\n'
            '[normalizer]\nname = "rms"\n',
        ],
        ids=["options", "tables", "set"],
    )
    def test_options_tables_and_set_mean_the_same(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "c.toml").write_text(text)
        found = configure(Registry(), RunOptions(config=tmp_path / "c.toml")).to_dict()
        words = RunOptions("trifecta", ("rms",), ("network.width=0.5",), epochs=3, learning_rate=1.0, seed=4)
        assert found == configure(Registry(), words).to_dict()

    def test_options_typed_lie_over_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "c.toml").write_text('preset = "trifecta"\nquick = true\nepochs = 3\nplugin = "rms"\n')
        options = RunOptions("vanilla-ff", ("batchnorm",), epochs=7, config=tmp_path / "c.toml")
        found = configure(Registry(), options).to_dict()
        assert (found["loss"]["name"], found["normalizer"]["name"]) == ("fixed-threshold", "batchnorm")
        assert (found["training"]["epochs"], found["training"]["batch_size"]) == (7, 32)

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("plugin = 3", "plugin must be a name"),
            ("set = 3", "set must be a table"),
            ('epochs = "3"', "epochs cannot be '3'"),
            ('quick = "yes"', "quick cannot be 'yes'"),
            ("epoch = 3", "epoch"),
        ],
    )
    def test_refusals(self, text: str, sentence: str, tmp_path: Path) -> None:
        (tmp_path / "c.toml").write_text(f"{text}\n")
        with pytest.raises(UsageError, match=sentence):
            configure(Registry(), RunOptions(config=tmp_path / "c.toml"))
