"""Checks a plugin: every component that it offers against the contract of its kind, or its observer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ffprobe.testing.contract import Contract
from ffprobe.testing.contracts import CONTRACTS
from ffprobe.testing.contracts.observer import HooksContract, Watcher
from ffprobe.testing.findings import Report
from ffprobe.testing.subject import Subject, What, find_plugin, subjects


def check_plugin(
    what: What,
    *,
    settings: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
) -> Report:
    """Check a plugin against the contracts of its components.

    Args:
        what: a plugin's name, ``./file.py``, ``module:attr``, or an imported module.
        settings: settings for its component, in place of the defaults.
        data_dir: folder with the files of a data set; checks that need missing files are skipped.

    Returns:
        One finding per check; a failed check does not raise (``report.raise_for_failures()`` does).

    Raises:
        PluginError: there is no such plugin, it cannot be loaded, or it offers nothing.
        UsageError: there is no such file, or a setting is invalid.
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
    """The contracts of a plugin, one per component; the contract of an observer if it offers no component.

    Raises:
        PluginError: there is no such plugin, it cannot be loaded, or it offers nothing.
        UsageError: there is no such file, or a setting is invalid.
    """
    plugin = find_plugin(what)
    registry, components = subjects(plugin, settings, Path(data_dir) if data_dir is not None else None)
    made = [CONTRACTS[subject.component.kind](subject) for subject in _selected(what, components)]
    if not components:
        made.append(HooksContract(Subject(Watcher.named(plugin.name), Watcher.Params(), plugin, registry)))
    return made


def _selected(what: What, components: tuple[Subject, ...]) -> Iterator[Subject]:
    # the name of one of several components selects that component
    named = [subject for subject in components if subject.component.name == what]
    yield from named or components
