"""Checking a plugin: every component it offers against the contract of its kind, and what only watches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ffprobe.testing.contract import Contract
from ffprobe.testing.contracts import CONTRACTS
from ffprobe.testing.contracts.observer import ObserverContract, Watcher
from ffprobe.testing.findings import Report
from ffprobe.testing.subject import Subject, What, find_plugin, subjects


def check_plugin(
    what: What,
    *,
    settings: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
) -> Report:
    """Hold a plugin against the contracts of what it offers.

    Args:
        what: a plugin's name, ``./file.py``, ``module:attr``, or a module that was imported.
        settings: for its component, instead of the defaults.
        data_dir: where the files of a data set lie; what needs them is skipped where they are not there.

    Returns:
        One finding for each check; a failure does not raise (``report.raise_for_failures()`` does).

    Raises:
        PluginError: there is no such plugin, it would not load, or it offers nothing.
        UsageError: there is no such file, or a setting does not fit.
    """
    plugin = find_plugin(what)
    made = contracts(what, settings=settings, data_dir=data_dir)
    findings = tuple(contract.run(name) for contract in made for name in contract.checks())
    return Report(plugin.name, plugin.where, findings)


def contracts(
    what: What,
    *,
    settings: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
) -> list[Contract]:
    """The contracts that a plugin must keep, one for each component; one for its watching when it offers none.

    Raises:
        PluginError: there is no such plugin, it would not load, or it offers nothing.
        UsageError: there is no such file, or a setting does not fit.
    """
    plugin = find_plugin(what)
    registry, found = subjects(plugin, settings, Path(data_dir) if data_dir is not None else None)
    made = [CONTRACTS[subject.component.kind](subject) for subject in _picked(what, found)]
    if not found:
        made.append(ObserverContract(Subject(Watcher.named(plugin.name), Watcher.Params(), plugin, registry)))
    return made


def _picked(what: What, found: tuple[Subject, ...]) -> Iterator[Subject]:
    # a name that one of several components has means that one
    named = [subject for subject in found if subject.component.name == what]
    yield from named or found
