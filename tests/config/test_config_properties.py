"""Properties of parsing, merging and resolving that hold for any input."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ffprobe.components.kinds import SINGLE_SLOTS
from ffprobe.config.parsing import assignments, merge, parse_plugin, parse_value
from ffprobe.config.preset_files import BASE_PRESET, preset_names, read_preset
from ffprobe.config.resolve import resolve
from ffprobe.config.settings import Recording, RunSettings, Training
from ffprobe.errors import FfprobeError, UsageError
from ffprobe.plugin.registry import Registry
from ffprobe.sweep.grid import toml_value

PROPERTY = settings(deadline=None, max_examples=60)
NAMES = st.from_regex(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", fullmatch=True)
KEYS = st.from_regex(r"[a-z][a-z_0-9]*", fullmatch=True)
SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), NAMES
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3))
PLUGINS = st.one_of(NAMES, st.sampled_from(["./my file.py", "pkg.mod:attr"]))
SLOTS = st.sampled_from(sorted(SINGLE_SLOTS))
TABLES = st.dictionaries(
    st.one_of(KEYS, SLOTS),
    st.recursive(VALUES, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=6),
    max_size=4,
)


@cache
def registry() -> Registry:
    """One registry for all examples, so that each plugin is loaded once."""
    return Registry()


class TestParsing:
    @PROPERTY
    @given(st.text())
    def test_any_text_is_parsed_or_refused_as_usage(self, text: str) -> None:
        try:
            name, options = parse_plugin(text)
        except UsageError:
            return
        assert text.startswith(name)
        assert options or name == text
        assert all(key and key == key.strip() for key in options)

    @PROPERTY
    @given(PLUGINS, st.dictionaries(KEYS, VALUES, max_size=4))
    def test_a_plugin_with_settings_is_read_back(self, name: str, options: dict[str, Any]) -> None:
        text = ",".join(f"{key}={toml_value(value)}" for key, value in options.items())
        assert parse_plugin(f"{name}:{text}" if options else name) == (name, options)

    @PROPERTY
    @given(VALUES)
    def test_a_value_is_read_back(self, value: Any) -> None:
        read = parse_value(toml_value(value))
        assert (read, type(read)) == (value, type(value))

    @PROPERTY
    @given(st.dictionaries(KEYS, VALUES, max_size=4), KEYS)
    def test_assignments_are_nested_tables(self, options: dict[str, Any], table: str) -> None:
        words = [f"{table}.{key}={toml_value(value)}" for key, value in options.items()]
        assert assignments(words) == ({table: options} if options else {})


class TestMerging:
    @PROPERTY
    @given(TABLES)
    def test_an_empty_table_changes_nothing(self, table: dict[str, Any]) -> None:
        assert merge(table, {}) == table
        assert merge({}, merge({}, table)) == merge({}, table)

    @PROPERTY
    @given(TABLES, TABLES)
    def test_values_above_win_and_the_others_stay(self, below: dict[str, Any], above: dict[str, Any]) -> None:
        before = json.dumps([below, above])
        result = merge(below, above)
        assert json.dumps([below, above]) == before, "an argument was changed"
        assert result.keys() == below.keys() | above.keys()
        for key, value in result.items():
            if key not in above:
                assert value == below[key]
            elif not isinstance(value, dict):
                assert value == above[key]

    @PROPERTY
    @given(TABLES, TABLES)
    def test_merging_again_changes_nothing(self, below: dict[str, Any], above: dict[str, Any]) -> None:
        once = merge(below, above)
        assert merge(once, above) == once

    @PROPERTY
    @given(SLOTS, NAMES, NAMES, st.dictionaries(KEYS.filter(lambda key: key != "name"), VALUES, max_size=3))
    def test_a_slot_keeps_its_settings_only_with_its_component(
        self, slot: str, first: str, second: str, options: dict[str, Any]
    ) -> None:
        result = merge({slot: {"name": first, **options}}, {slot: second})
        assert result[slot] == {"name": second, **(options if first == second else {})}


def fields(model: Any, **strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Valid values for some settings of a model."""
    assert set(strategies) <= set(model.model_fields)
    return st.fixed_dictionaries({}, optional=strategies)


FRACTIONS = st.floats(0, 0.99, allow_nan=False)
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 2**63 - 1),
        "precision": st.sampled_from(["auto", "fp32", "bf16", "fp64"]),
        "training": fields(
            Training,
            epochs=st.integers(1, 10**6),
            learning_rate=st.floats(1e-300, 1e300),
            momentum=FRACTIONS,
            validation_fraction=FRACTIONS,
            augmentation=st.one_of(st.just("auto"), st.booleans()),
            crop_padding=st.one_of(st.none(), st.integers(0, 100)),
            optimizer=st.sampled_from(["adam", "adamw", "sgd"]),
            test=st.sampled_from(["end", "never", "every"]),
        ),
        "recording": fields(
            Recording,
            samples=st.integers(20, 10**6),
            epochs=st.lists(st.integers(0, 100), max_size=3),
            activations=st.one_of(st.just("auto"), st.booleans()),
        ),
        "network": st.fixed_dictionaries({"name": st.just("tiny")}, optional={"width": st.floats(0.01, 64)}),
        "loss": st.sampled_from(["symba", {"name": "symba", "alpha": 6}, {"name": "fixed-threshold"}]),
        "normalizer": st.sampled_from(["rms", "batchnorm", {"name": "layernorm", "position": "output"}]),
        "probes": st.lists(st.sampled_from(["probes", {"name": "locality"}, "weights"]), max_size=3),
    },
)


class TestResolving:
    @PROPERTY
    @given(CONFIGS)
    def test_a_config_is_read_back_from_its_dictionary(self, table: dict[str, Any]) -> None:
        config = resolve(merge(read_preset(BASE_PRESET), table), registry())
        plain = config.to_dict()
        assert resolve(plain, registry()) == config
        assert resolve(json.loads(json.dumps(plain)), registry()) == config, "as in a run file"
        for key in ("seed", "precision"):
            assert plain[key] == table.get(key, getattr(RunSettings(), key))

    def test_every_preset_is_read_back_from_its_dictionary(self) -> None:
        for name in preset_names():
            config = resolve(merge(read_preset(BASE_PRESET), read_preset(name)), registry())
            assert resolve(config.to_dict(), registry()) == config

    @PROPERTY
    @given(TABLES)
    def test_any_table_is_resolved_or_refused(self, table: dict[str, Any]) -> None:
        with suppress(FfprobeError):  # any other exception fails the test
            resolve(merge(read_preset(BASE_PRESET), table), registry())
