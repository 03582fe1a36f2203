"""The one list of kinds of component, which everything else reads."""

from __future__ import annotations

from ffprobe.components.base import Component
from ffprobe.components.dataset import Dataset
from ffprobe.components.encoder import Encoder
from ffprobe.components.evaluator import Evaluator
from ffprobe.components.executor import Executor
from ffprobe.components.goodness import Goodness
from ffprobe.components.loss import Loss
from ffprobe.components.negatives import Negatives
from ffprobe.components.network import Network
from ffprobe.components.normalizer import Normalizer
from ffprobe.components.peer import Peer
from ffprobe.components.probe import Probe
from ffprobe.components.rule import Rule
from ffprobe.components.scheduler import UpdateScheduler

SINGLE_SLOTS: dict[str, type[Component]] = {
    base.kind: base
    for base in (
        Dataset,
        Network,
        Encoder,
        Normalizer,
        Goodness,
        Loss,
        Negatives,
        UpdateScheduler,
        Rule,
        Evaluator,
    )
}
"""The kinds of which a run has exactly one, by name, in the order in which a reader meets them."""


KINDS: dict[str, type[Component]] = {**SINGLE_SLOTS, Probe.kind: Probe, Peer.kind: Peer, Executor.kind: Executor}
"""Every kind of component, by name."""
