"""A file with several components of one kind: one of them is chosen by its class or its name, and none is hidden."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plugin_files import write
from toy import toy_config

from ffprobe.config.resolve import picks
from ffprobe.config.trust import code_in, code_of
from ffprobe.errors import PluginError, UsageError
from ffprobe.plugin.discovery import find, split_choice
from ffprobe.plugin.registry import Registry

NETWORKS = """
import ffprobe

class _Both(ffprobe.Network):
    class Params(ffprobe.Params):
        width: int = 4
    def layers(self, shape, classes):
        return [ffprobe.LayerSpec("linear", self.params.width), ffprobe.LayerSpec("linear", self.params.width)]

class MixNet(_Both):
    name = "mix-net"

class PlainNet(_Both):
    name = "plain-net"

@ffprobe.hookimpl
def ffprobe_components():
    return [MixNet, PlainNet]
"""


@pytest.mark.parametrize("choice", ["MixNet", "mix-net"])
def test_one_component_of_a_file_is_chosen_by_class_or_name(tmp_path: Path, choice: str) -> None:
    path = write(tmp_path, NETWORKS, "nets.py")
    assert picks([f"{path}:{choice}:width=3"], Registry()) == {
        "network": {"name": "mix-net", "plugin": path, "width": 3},
    }
    registry = Registry()
    config = toy_config(registry, f"{path}:{choice}", network={"width": 5})
    assert config.slots["network"].component.__name__ == "MixNet"
    assert registry.component("network", "plain-net", f"{path}:PlainNet").__name__ == "PlainNet"


def test_without_a_choice_the_message_lists_them_and_shows_how_to_choose(tmp_path: Path) -> None:
    path = write(tmp_path, NETWORKS, "nets.py")
    with pytest.raises(UsageError) as raised:
        picks([path], Registry())
    assert "provides 2 components of the kind network: MixNet ('mix-net'), PlainNet ('plain-net')" in str(raised.value)
    assert f"--plugin {path}:PlainNet" in str(raised.value)


def test_an_unknown_choice_lists_what_the_file_provides(tmp_path: Path) -> None:
    path = write(tmp_path, NETWORKS, "nets.py")
    with pytest.raises(PluginError, match=r"provides no component 'Net'.*MixNet \(network 'mix-net'\), PlainNet"):
        Registry().load(f"{path}:Net")


def test_a_choice_is_the_same_code_as_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, NETWORKS, "nets.py")
    assert code_of([f"{path}:MixNet:width=3"]).keys() == code_in({"network": {"name": "x", "plugin": path}}).keys()
    assert find(f"{path}:MixNet") == find(path)


def test_only_a_file_is_split() -> None:
    assert split_choice("./nets.py:mix-net") == ("./nets.py", "mix-net")
    for name in ("symba", "module:Class", "./nets.py", "./nets.py:", "./nets.py:a b", "./a:b.py"):
        assert split_choice(name) == (name, "")


def offered(folder: Path, text: str) -> list[tuple[str, str, str]]:
    return [(o.kind, o.name, o.class_name) for o in find(write(folder, f"import ffprobe\n{text}")).offers]


CASES: dict[str, tuple[str, list[tuple[str, str, str]]]] = {
    "a base class without a name": (
        "class Base(ffprobe.Loss): pass\nclass Mine(Base): name = 'mine'",
        [("loss", "mine", "Mine")],
    ),
    "two levels": (
        "class A(ffprobe.Loss): pass\nclass B(A): pass\nclass Mine(B): name = 'mine'",
        [("loss", "mine", "Mine")],
    ),
    "a generic base": (
        "class Base(ffprobe.Loss, Generic[T]): pass\nclass Mine(Base[int]): name = 'mine'",
        [("loss", "mine", "Mine")],
    ),
    "a base class that is no component": ("class Base: pass\nclass Mine(Base): name = 'mine'", []),
    "a class of the file with the name of a public base class": (
        "class Loss: pass\nclass Mine(Loss): name = 'mine'",
        [],
    ),
    "an inherited name, in the list of components": (
        "class Base(ffprobe.Loss): name = 'mine'\nclass Mine(Base): pass\n"
        "@ffprobe.hookimpl\ndef ffprobe_components(): return [Mine]",
        [("loss", "mine", "Mine")],
    ),
    "several names in one assignment": (
        "class Mine(ffprobe.Loss): name, form = 'mine', 'class'",
        [("loss", "mine", "Mine")],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_components_are_found_in_the_source_through_base_classes_of_the_file(tmp_path: Path, case: str) -> None:
    text, expected = CASES[case]
    assert offered(tmp_path, text) == expected


def test_what_the_source_announces_is_what_the_file_provides(tmp_path: Path) -> None:
    path = write(tmp_path, NETWORKS, "nets.py")
    announced = {(o.kind, o.name, o.class_name) for o in find(path).offers}
    assert announced == {(c.kind, c.name, c.__name__) for c in Registry().load(path)}


def test_a_mismatch_of_forms_lists_what_fits() -> None:
    registry = Registry()
    with pytest.raises(UsageError) as raised:
        toy_config(registry, "cross-entropy")
    message = str(raised.value)
    for kind, form in (("goodness", "class"), ("loss", "pair")):
        names = [o for p in registry.plugins for o in p.offers if o.kind == kind]
        assert names
        for offer in names:
            component: Any = registry.component(kind, offer.name)
            assert offer.form in (component.form, "")
            assert component.form != form or offer.name in message
    assert "Choose a goodness of form 'class': " in message
    assert "or a loss of form 'pair': " in message
