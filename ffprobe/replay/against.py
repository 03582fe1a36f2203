"""A recording compared with a preset: where they part, and what that most likely means.

Idea: the recording's own replay and the preset start from the same weights and see the same batches. The first step,
layer and quantity in which they differ is where the two methods part. Single changes to the preset are then tried; the
one that lets both agree for longest is the likely meaning, and the search goes on from there.

Caveats: a meaning is an experiment, not a proof: another change may have the same effect on this recording. Layers,
batches, optimizer and learning rates are always those of the recording, so what is compared is the method.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ffprobe.components.peer import Peer, ReplayPlan, Trajectory
from ffprobe.config.parsing import merge
from ffprobe.config.preset_files import BASE_PRESET, read_preset
from ffprobe.config.settings import Training
from ffprobe.errors import FfprobeError
from ffprobe.plugin.registry import Registry
from ffprobe.replay.comparing import Replay
from ffprobe.replay.explanations import UNITS, Change, Entry, possible_changes
from ffprobe.replay.parting import Parting, first_parting
from ffprobe.replay.replaying import choice, claiming_peer, read_trajectory, replay
from ffprobe.replay.trace import Trace, trace

MOST = 6
"""Largest number of partings that are explained one after another."""
UNFIT = (FfprobeError, LookupError, TypeError, ValueError, ArithmeticError, RuntimeError, AttributeError)


@dataclass(frozen=True)
class Explained:
    """A parting and its likely meaning.

    Attributes:
        parting: where recording and preset part, with the changes before this one.
        meaning: the change that lets them agree for longer; empty if no change was found.
    """

    parting: Parting
    meaning: str


@dataclass
class AgainstPreset:
    """A recording compared with a preset.

    Attributes:
        file: path of the recording.
        preset: name of the preset.
        own: the replay of the recording with its own components, to which the preset is compared.
        kept: what is the recording's and not the preset's, in words.
        partings: the partings, in order; the first is that of the unchanged preset. Empty if both agree.
        explained: whether both agree to the last step with the changes of all partings.
    """

    file: str
    preset: str
    own: Replay
    kept: list[str] = field(default_factory=list)
    partings: list[Explained] = field(default_factory=list)
    explained: bool = True

    def lines(self) -> list[str]:
        """The result in sentences, one for each line."""
        share = max(self.own.excess.values())
        proof = "its own components repeat it" if self.own.passed else "even its own components do not repeat it"
        lines = [
            f"{Path(self.file).stem}, of {self.own.peer}, against {self.preset}: {proof} ({share:.2g} of tolerance)."
        ]
        lines += [f"  kept from the recording: {words}" for words in self.kept]
        for number, each in enumerate(self.partings):
            lines.append(f"  {'They then part' if number else 'They first part'} in {each.parting}.")
            lines.append(f"    most likely: {each.meaning}" if each.meaning else "    no single change explains this")
        if not self.partings:
            lines.append("  They agree in every step.")
        elif self.explained:
            lines.append("  With these changes they agree to the last step.")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """The result as a JSON object."""
        return {
            "file": self.file,
            "preset": self.preset,
            "replay": self.own.to_dict(),
            "kept": self.kept,
            "partings": [{**asdict(each.parting), "meaning": each.meaning} for each in self.partings],
            "explained": self.explained,
        }


def against(path: Path, preset: str, registry: Registry) -> AgainstPreset:
    """Hold a recording against a preset.

    Args:
        path: the recording, an ``.npz`` file.
        preset: name of a preset.
        registry: registry of peers and components.

    Raises:
        FileError: the recording is damaged or inconsistent.
        UsageError: there is no such preset.
        PluginError: no peer supports the recording's code.
    """
    table = merge(read_preset(BASE_PRESET), read_preset(preset))
    result = AgainstPreset(str(path), preset, replay(path, registry))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        trajectory = read_trajectory(path)
        _Search(trajectory, claiming_peer(trajectory, registry), registry, result).run(table)
    finally:
        torch.set_num_threads(threads)
    return result


class _Search:
    def __init__(self, trajectory: Trajectory, peer: Peer, registry: Registry, result: AgainstPreset) -> None:
        self.trajectory, self.peer, self.registry, self.result = trajectory, peer, registry, result

    def run(self, table: Mapping[str, Any]) -> None:
        plan = self.peer.plan(self.trajectory)
        recording = trace(plan, self.trajectory, self.peer, self.registry)
        components = self._components(table)
        self._note_training(table.get("training", {}), plan.training)
        parting, groups = self._parting(recording, components)
        while parting is not None and len(self.result.partings) < MOST:
            changes = list(possible_changes(components, plan.components, self.registry))
            best = None
            for exchange in (False, True):  # a whole component explains less, so it is tried last
                best = best or self._best(recording, parting, [c for c in changes if c.exchange == exchange])
            self.result.partings.append(Explained(parting, best.meaning(groups[parting.step - 1]) if best else ""))
            if best is None:
                break
            components = best.components
            parting, groups = self._parting(recording, components)
        self.result.explained = parting is None

    def _best(self, recording: Trace, parting: Parting, changes: list[Change]) -> Change | None:
        furthest, best = parting, None
        for change in changes:
            try:
                later, _ = self._parting(recording, change.components)
            except UNFIT:
                continue  # the change does not fit this recording
            if later is None:
                return change
            if later.rank > furthest.rank:
                furthest, best = later, change
        return best

    def _plan(self, components: Mapping[str, Entry]) -> ReplayPlan:
        # a fresh plan each time: what a peer defines for one replay may keep state
        plan = self.peer.plan(self.trajectory)
        kept = {slot: entry for slot, entry in plan.components.items() if isinstance(entry, type)}
        own = {
            slot: kept.get(slot, entry) if self._same(slot, entry, kept) else entry
            for slot, entry in components.items()
        }
        return replace(plan, components=own, record_outputs=())

    def _same(self, slot: str, entry: Entry, kept: Mapping[str, Any]) -> bool:
        return isinstance(entry, type) and slot in kept and entry.name == kept[slot].name

    def _parting(self, recording: Trace, components: Mapping[str, Entry]) -> tuple[Parting | None, Any]:
        found = trace(self._plan(components), self.trajectory, self.peer, self.registry)
        return first_parting(recording, found), found.groups

    def _components(self, table: Mapping[str, Any]) -> dict[str, Entry]:
        # the preset's component of every slot whose parameters the recording has
        plan = self.peer.plan(self.trajectory)
        chosen: dict[str, Entry] = dict(plan.components)
        for unit in UNITS:
            trial = dict(chosen)
            for slot in unit:
                trial[slot] = self._entry(slot, chosen.get(slot), table[slot])
            try:
                trace(self._plan(trial), self.trajectory, self.peer, self.registry)
            except UNFIT as error:
                reason = "the recording has no weights for it"
                if "state_dict" not in str(error):
                    reason = str(error).partition(". ")[0].splitlines()[0]
                names = " and ".join(f"{slot} {table[slot]['name']!r}" for slot in unit)
                own = " and ".join(repr(choice(slot, chosen[slot], self.registry).component.name) for slot in unit)
                self.result.kept.append(f"{own} instead of the preset's {names}, which does not fit: {reason}")
                continue
            chosen = trial
        return chosen

    def _entry(self, slot: str, own: Entry | None, preset: Mapping[str, Any]) -> Entry:
        # one component with other constants is the same method: the recording's constants are used
        if own is None or isinstance(own, type):
            return dict(preset)
        recorded, wanted = choice(slot, own, self.registry), choice(slot, preset, self.registry)
        if recorded.component.name != wanted.component.name:
            return dict(preset)
        ours, theirs = recorded.params.model_dump(), wanted.params.model_dump()
        if slot == "scheduler" or ("position" in ours and ours["position"] != theirs["position"]):
            return dict(preset)  # when layers learn, and where they are normalized, is the method
        for name in sorted(ours):
            if ours[name] != theirs[name]:
                self.result.kept.append(f"{slot}.{name} is {ours[name]}; the preset has {theirs[name]}")
        return own

    def _note_training(self, preset: Mapping[str, Any], recorded: Mapping[str, Any]) -> None:
        defaults = Training().model_dump()
        for name in ("optimizer", "weight_decay", "gradient_clip", "nesterov", "momentum"):
            ours, theirs = recorded.get(name, defaults[name]), preset.get(name, defaults[name])
            if name == "momentum" and recorded.get("optimizer") != "sgd":
                continue
            if ours != theirs:
                self.result.kept.append(f"training.{name} is {ours}; the preset has {theirs}")
