"""One contract for each kind of component."""

from __future__ import annotations

from ffprobe.testing.contract import Contract
from ffprobe.testing.contracts.dataset import DatasetContract
from ffprobe.testing.contracts.encoder import EncoderContract
from ffprobe.testing.contracts.evaluator import EvaluatorContract
from ffprobe.testing.contracts.executor import ExecutorContract
from ffprobe.testing.contracts.goodness import GoodnessContract
from ffprobe.testing.contracts.loss import LossContract
from ffprobe.testing.contracts.negatives import NegativesContract
from ffprobe.testing.contracts.network import NetworkContract
from ffprobe.testing.contracts.normalizer import NormalizerContract
from ffprobe.testing.contracts.observer import ObserverContract
from ffprobe.testing.contracts.peer import PeerContract
from ffprobe.testing.contracts.probe import ProbeContract
from ffprobe.testing.contracts.rule import RuleContract
from ffprobe.testing.contracts.scheduler import SchedulerContract

CONTRACTS: dict[str, type[Contract]] = {
    contract.kind: contract
    for contract in (
        DatasetContract,
        NetworkContract,
        EncoderContract,
        NormalizerContract,
        GoodnessContract,
        LossContract,
        NegativesContract,
        SchedulerContract,
        RuleContract,
        EvaluatorContract,
        ProbeContract,
        ObserverContract,
        PeerContract,
        ExecutorContract,
    )
}
"""The contract of each kind."""
