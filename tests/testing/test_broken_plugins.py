"""Every check of every contract can fail: a plugin that violates the requirement fails exactly this check."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugin_files import write
from testing import broken_inside as inside
from testing import broken_outside as outside

from ffprobe.testing import CONTRACTS
from ffprobe.testing.checker import contracts

TABLES = {
    "component": inside.COMPONENT,
    "normalizer": inside.NORMALIZER,
    "goodness": inside.GOODNESS,
    "encoder": inside.ENCODER,
    "loss": inside.LOSS,
    "scheduler": outside.SCHEDULER,
    "negatives": outside.NEGATIVES,
    "evaluator": outside.EVALUATOR,
    "network": outside.NETWORK,
    "dataset": outside.DATASET,
    "rule": outside.RULE,
    "probe": outside.PROBE,
    "observer": outside.OBSERVER,
    "peer": outside.PEER,
    "executor": outside.EXECUTOR,
}
BROKEN = [(kind, check, text) for kind, table in TABLES.items() for check, text in table]
MODULES = ("normalizer", "goodness", "encoder")
"""These kinds share the checks of components that build a module."""


@pytest.mark.usefixtures("warm_python")
@pytest.mark.parametrize(("kind", "check", "text"), BROKEN, ids=[f"{k}-{c}-{i}" for i, (k, c, _) in enumerate(BROKEN)])
def test_a_broken_plugin_fails_its_check(tmp_path: Path, kind: str, check: str, text: str) -> None:
    (contract,) = contracts(write(tmp_path, text))
    finding = contract.run(check)
    assert finding.status == "failed", finding
    for part in (finding.requirement, finding.why, finding.expected, finding.got):
        assert part.strip()


def test_every_check_of_every_contract_has_a_plugin_that_fails_it() -> None:
    shown = {kind: {check for check, _ in table} for kind, table in TABLES.items()}
    shared = set().union(*(shown[kind] for kind in MODULES))
    for kind, contract in CONTRACTS.items():
        proved = shown["component"] | shown[kind] | (shared if kind in MODULES else set())
        assert set(contract.checks()) <= proved, f"{kind}: nothing breaks {set(contract.checks()) - proved}"
