"""The topic of an audit that needs a network: which layers each loss changes, measured on a toy network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ffprobe.analysis.audit.finding import Finding, Topic
from ffprobe.errors import FfprobeError
from ffprobe.plugin.registry import Registry
from ffprobe.training.locality import LocalityReport, loss_locality, toy


def locality_topic(tables: Sequence[tuple[str, Mapping[str, Any]]], registry: Registry) -> Topic:
    """Which layers each loss changes, for each different set of components.

    Args:
        tables: (label, config) of each run or of named plugins. Code that a config names is imported here, so the
            caller has checked it.
        registry: finds the plugins.
    """
    labels_of: dict[str, list[str]] = {}
    configs: dict[str, Mapping[str, Any]] = {}
    for label, table in tables:
        learned = {
            key: value for key, value in table.items() if key not in ("seed", "probes", "observers", "recording")
        }
        key = json.dumps(learned, sort_keys=True, default=str)
        labels_of.setdefault(key, []).append(label)
        configs[key] = table
    findings: list[Finding] = []
    for key, table in configs.items():
        before = f"{', '.join(labels_of[key])}: " if len(configs) > 1 else ""
        findings += [Finding(one.status, f"{before}{one.text}") for one in _findings(table, registry)]
    note = "Measured by which parameters change on a narrow network with small random inputs, not in these runs."
    return Topic("Locality", (*findings, Finding("fact", note)))


def _findings(table: Mapping[str, Any], registry: Registry) -> list[Finding]:
    try:
        report = loss_locality(toy({**table, "probes": [], "observers": []}, registry), registry)
    except FfprobeError as error:
        return [Finding("open", f"Which layers each loss changes could not be measured: {error.what}")]
    return [
        Finding("ok" if _is_local(report) else "fact", f"{line[0].upper()}{line[1:]}.") for line in report.lines()
    ] + [
        Finding("ok", "No loss changes another layer than its own.")
        if _is_local(report)
        else Finding("fact", f"A loss changes up to {_widest(report)} of {report.depth} layers.")
    ]


def _is_local(report: LocalityReport) -> bool:
    return all(set(loss.layers) <= {loss.layer} for loss in report.losses)


def _widest(report: LocalityReport) -> int:
    return max(len(loss.layers) for loss in report.losses)
