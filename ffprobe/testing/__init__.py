"""The test kit for plugins: contracts of every kind, a toy run of one second, a recorder of hooks.

A plugin's whole test file::

    from ffprobe.testing import contract_tests

    test_contract = contract_tests("powernorm")

Importing this package loads neither torch nor pytest; each name is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ffprobe.testing.checker import check_plugin as check_plugin
    from ffprobe.testing.contract import Contract as Contract
    from ffprobe.testing.contract import Skip as Skip
    from ffprobe.testing.contract import check as check
    from ffprobe.testing.contract import expect as expect
    from ffprobe.testing.contracts import CONTRACTS as CONTRACTS
    from ffprobe.testing.findings import Finding as Finding
    from ffprobe.testing.findings import Report as Report
    from ffprobe.testing.pytest_plugin import contract_tests as contract_tests
    from ffprobe.testing.recorder import HookRecorder as HookRecorder
    from ffprobe.testing.toy import ToyRun as ToyRun
    from ffprobe.testing.toy import toy_run as toy_run

_HOME = {
    "CONTRACTS": "contracts",
    "Contract": "contract",
    "Finding": "findings",
    "HookRecorder": "recorder",
    "Report": "findings",
    "Skip": "contract",
    "ToyRun": "toy",
    "check": "contract",
    "check_plugin": "checker",
    "contract_tests": "pytest_plugin",
    "expect": "contract",
    "toy_run": "toy",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'ffprobe.testing' has no attribute {name!r}")
    value = getattr(import_module(f"ffprobe.testing.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
