"""For a plugin's test file: the contract as one test per check, and two fixtures.

``contract_tests`` needs no setup. For the fixtures ``toy`` and ``hook_recorder``, write
``pytest_plugins = ["ffprobe.testing.pytest_plugin"]`` into ``conftest.py``. Importing this module imports pytest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ffprobe.errors import FfprobeError
from ffprobe.testing.checker import contracts
from ffprobe.testing.contract import Contract
from ffprobe.testing.recorder import HookRecorder
from ffprobe.testing.subject import What
from ffprobe.testing.toy import ToyRun, toy_run


def contract_tests(
    what: What,
    *,
    settings: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
) -> Callable[..., None]:
    """A test function with one case per check of a plugin's contract.

    Assign it to a name that pytest collects: ``test_contract = contract_tests("powernorm")``.

    Args:
        what: a plugin's name, ``./file.py``, ``module:attr``, or an imported module.
        settings: settings for its component, in place of the defaults.
        data_dir: folder with the files of a data set.
    """
    try:
        made = contracts(what, settings=settings, data_dir=data_dir)
    except FfprobeError as error:
        return _failing_test(error)
    cases = [
        pytest.param(contract, name, id=f"{contract.kind}-{contract.subject.component.name}-{name}")
        for contract in made
        for name in contract.checks()
    ]

    @pytest.mark.parametrize(("contract", "check"), cases)
    def test_contract(contract: Contract, check: str) -> None:
        """Every check of the plugin's contract passes."""
        __tracebackhide__ = True
        finding = contract.run(check)
        if finding.status == "skipped":
            pytest.skip(finding.reason)
        if finding.status == "failed":
            pytest.fail(f"{finding.requirement}\n{finding}", pytrace=False)

    return test_contract


def _failing_test(error: FfprobeError) -> Callable[..., None]:
    # a failing test, because an error during collection would hide every other test of the file
    def test_loads() -> None:
        """The plugin loads."""
        pytest.fail(str(error), pytrace=False)

    return test_loads


@pytest.fixture
def hook_recorder() -> HookRecorder:
    """A new recorder of hooks, for ``toy(..., observers=[hook_recorder])``."""
    return HookRecorder()


@pytest.fixture
def toy(tmp_path: Path) -> Callable[..., ToyRun]:
    """``toy(*plugins, settings=..., observers=...)`` trains for a second and writes its run file to ``tmp_path``."""

    def run(*plugins: str | Path | ModuleType, **more: Any) -> ToyRun:
        return toy_run(*plugins, out=more.pop("out", tmp_path / "toy.h5"), **more)

    return run
