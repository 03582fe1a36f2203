"""Every first-party plugin passes the contract of its kind."""

from __future__ import annotations

from typing import Any

import pytest

from ffprobe.plugin.discovery import Plugin, installed
from ffprobe.testing import CONTRACTS, check_plugin
from ffprobe.testing.checker import contracts

OURS = [plugin for plugin in installed() if plugin.distribution == "ffprobe-nn"]
QUICK: dict[str, Any] = {"repeats": 2, "mlp_repeats": 2, "hidden": 4}
"""Settings for faster analyses, used for plugins that have them."""


@pytest.mark.usefixtures("warm_python")
@pytest.mark.parametrize("plugin", OURS, ids=[plugin.name for plugin in OURS])
def test_contract(plugin: Plugin) -> None:
    fields = contracts(plugin)[0].subject.component.Params.model_fields
    quick = {name: value for name, value in QUICK.items() if name in fields}
    check_plugin(plugin, settings=quick).raise_for_failures()


def test_every_kind_has_a_contract() -> None:
    from ffprobe.components.kinds import KINDS

    assert set(CONTRACTS) == set(KINDS)
