"""A whole run: build, record, train, close, or go on where an earlier one stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pluggy
import torch

from ffprobe.components.process_group import ProcessGroup
from ffprobe.config.settings import RunConfig
from ffprobe.data.images import Images
from ffprobe.errors import FfprobeError, FileError, UsageError
from ffprobe.hookspecs import PROJECT
from ffprobe.inference.activations import ActivationSampler
from ffprobe.plugin.error_attribution import attribute_errors
from ffprobe.plugin.registry import Registry
from ffprobe.runtime.seeding import stream
from ffprobe.store.names import partial_of
from ffprobe.store.reader import open_run
from ffprobe.store.schema import ActivationRecord, RunMetadata, Variable, run_schema
from ffprobe.store.writer import RunWriter
from ffprobe.training.checkpoint import checkpoint_of, read_checkpoint, write_checkpoint
from ffprobe.training.experiment import Experiment, build
from ffprobe.training.metadata import run_metadata
from ffprobe.training.observers import Observers
from ffprobe.training.recorder import Recorder
from ffprobe.training.resume import environment, experiment_state, refuse_changes
from ffprobe.training.sanity_check import sanity_check
from ffprobe.training.trainer import Outcome, Trainer


class Session:
    """One run from its config to its file.

    Args:
        config: resolved.
        registry: that resolved it.
        out: the run file.
        overwrite: replace an existing file.
        resume: go on from the last committed epoch when there is one, else begin.
        allow_changes: go on although settings, data or versions changed; the file records what did.
        command: the command line, for the file.
        observers: more plugins that watch, by name (the progress display).
        process_group: the processes that train together; the leader alone writes, and alone has anyone who watches.
    """

    def __init__(
        self,
        config: RunConfig,
        registry: Registry,
        out: Path,
        *,
        overwrite: bool = False,
        resume: bool = False,
        allow_changes: bool = False,
        command: str = "",
        observers: Sequence[tuple[str, Any]] = (),
        process_group: ProcessGroup | None = None,
    ) -> None:
        self.experiment = build(config, registry, process_group=process_group)
        self.process_group = self.experiment.process_group
        # first of all: a broken component is named here, before anything runs the network or makes a file
        with attribute_errors(registry, "trying the first batch", FfprobeError):
            sanity_check(self.experiment, *self.experiment.loader.preview())
        self._out = out
        if not self.process_group.is_main:
            self._follow()
            return
        self.sampler, self._fit = _sampler(self.experiment)
        manager = registry.manager
        for probe in self.experiment.probes:
            manager.register(probe, name=probe.name)
        for name, observer in observers:
            manager.register(observer, name=name)
        manager.check_pending()
        self._facts = self._describe(command)
        self.state = self.process_group.broadcast(self._earlier(allow_changes) if resume else None)
        writer = self._continue(self.state, overwrite) if self.state else self._begin(overwrite or resume)
        self.recorder: Recorder | None = Recorder(writer, self._facts)
        try:
            if not self.state:
                self._record_labels()
            watching = Observers(manager, self.recorder.probe, self._log)
            self.trainer = Trainer(self.experiment, watching, self.recorder, self.sampler, self._save, self.state)
        except BaseException:
            writer.close()
            raise

    def run(self) -> Outcome:
        """Train; on success ``out`` is complete, on any error what was committed lies in ``out``.partial."""
        if self.recorder is None:
            outcome = self.trainer.run()
            self.process_group.barrier()
            return outcome
        try:
            outcome = self.trainer.run()
            self.recorder.commit()
            self.recorder.writer.finish()
            checkpoint_of(self._out).unlink(missing_ok=True)
        finally:
            self.recorder.writer.close()
        self.process_group.barrier()  # whoever leaves first must find the file finished
        return outcome

    def _follow(self) -> None:
        # one of the processes behind the leader: trains its part, writes nothing, tells nobody
        self.sampler, self.recorder = None, None
        self.state = self.process_group.broadcast(None)
        nobody = Observers(pluggy.PluginManager(PROJECT), _unheard, _unheard)
        self.trainer = Trainer(self.experiment, nobody, state=self.state)

    def _describe(self, command: str) -> RunMetadata:
        experiment, context = self.experiment, self.experiment.context
        with attribute_errors(experiment.registry, "declaring what a probe records"):
            declared: dict[str, Sequence[Variable]] = {p.name: p.variables(context) for p in experiment.probes}
        records: Sequence[ActivationRecord] = self.sampler.records if self.sampler else ()
        total = len(self.sampler.images) if self.sampler else 0
        probes = {name: variables for name, variables in declared.items() if variables}
        with attribute_errors(
            experiment.registry, "running the untrained network", FfprobeError
        ):  # its operations are counted
            return run_metadata(experiment, records, (self._fit, total - self._fit), probes, command)

    def _begin(self, overwrite: bool) -> RunWriter:
        writer = RunWriter.create(self._out, run_schema(self._facts), overwrite=overwrite)
        checkpoint_of(self._out).unlink(missing_ok=True)  # of an earlier run of this name
        return writer

    def _earlier(self, allow_changes: bool) -> dict[str, Any] | None:
        """The checkpoint to go on from; None when nothing was committed that could be lost."""
        partial = partial_of(self._out)
        if not partial.exists():
            return None
        with open_run(partial) as run:
            committed, epochs, created = run.committed, run.epochs, run.attributes.get("created_utc")
        path = checkpoint_of(self._out)
        if not path.exists():
            if epochs == 0:
                return None
            raise FileError(
                f"{epochs} epochs are committed, but the checkpoint to go on from is gone.",
                where=str(path),
                hint="--overwrite starts again; analyses read the partial as it is.",
            )
        state = read_checkpoint(path)
        try:
            if state["created_utc"] != created:
                if not committed:  # killed before it could remove what the run that it overwrites had left
                    return None
                raise FileError("The checkpoint belongs to another run.", where=str(path))
            changed = refuse_changes(state["environment"], environment(self.experiment), allow_changes)
            state["resumed"] = [*state["resumed"], f"after epoch {state['progress']['epoch']}"]
            state["changes"] = [*state["changes"], *changed]
        except (KeyError, TypeError, AttributeError) as error:
            raise FileError(f"The checkpoint lacks {error}.", where=str(path)) from error
        return state

    def _continue(self, state: Mapping[str, Any], overwrite: bool) -> RunWriter:
        said = {"resumed": state["resumed"], "changed_on_resume": state["changes"]}
        attributes = {name: value for name, value in said.items() if value}
        schema = run_schema(self._facts)
        return RunWriter.resume(self._out, schema, commit=state["commit"], attributes=attributes, overwrite=overwrite)

    def _save(self, commit: int) -> None:
        state = self.state or {}
        write_checkpoint(
            checkpoint_of(self._out),
            {
                "commit": commit,
                "created_utc": self._created,
                "resumed": state.get("resumed", []),
                "changes": state.get("changes", []),
                "environment": environment(self.experiment),
                "progress": self.trainer.progress(),
                "experiment": experiment_state(self.experiment),
            },
        )

    @property
    def _created(self) -> object:
        return self.state["created_utc"] if self.state else self._facts.attributes["created_utc"]

    def _log(self, plugin: str, sentence: str) -> None:
        assert self.recorder is not None
        self.recorder.log(self.trainer.step, sentence)

    def _record_labels(self) -> None:
        split, recorder, fit = self.experiment.split, self.recorder, self._fit
        assert recorder is not None
        recorder.labels("evaluation", split.validation.labels, source_index=split.validation_indices)
        if split.test is not None:
            recorder.labels("test", split.test.labels)
        if self.sampler:
            score = len(self.sampler.images) - fit
            learned, held = chosen(split.train_indices, fit), chosen(split.validation_indices, score)
            indices = torch.cat([split.train_indices[learned], split.validation_indices[held]])
            held_out = torch.cat([torch.zeros(fit), torch.ones(score)]).int()
            recorder.labels("activations", self.sampler.images.labels, source_index=indices, held_out=held_out)


def _unheard(*told: object) -> None:
    raise RuntimeError("nobody watches in this process")


def refuse_unless_resumable(out: Path, resume: bool, overwrite: bool) -> None:
    """Say before any work that a file is in the way; the writer looks again.

    Raises:
        UsageError: ``out`` or its partial exists and nothing was said about it.
    """
    if resume or overwrite:
        return
    if out.exists():
        raise UsageError(f"{out} exists already.", hint="Give another --out, or --overwrite to replace it.")
    if partial_of(out).exists():
        raise UsageError(
            f"{partial_of(out)} exists already: an unfinished run.",
            hint="--resume goes on with it, --overwrite throws it away.",
        )


def _sampler(experiment: Experiment) -> tuple[ActivationSampler | None, int]:
    # three quarters to fit on, from images learned from; a quarter to score on, from images never learned from
    recording = experiment.config.settings.recording
    features = not experiment.evaluator.reads_goodness
    if features and not recording.activations:
        raise UsageError(
            f"The evaluator {experiment.evaluator.name!r} is fitted on recorded activations, which are switched off.",
            hint="Leave --set recording.activations=false out.",
        )
    asked = features or any("activations" in probe.needs for probe in experiment.probes)
    if not (asked if recording.activations == "auto" else recording.activations):
        return None, 0
    split = experiment.split
    score = min(recording.samples // 4, len(split.validation))
    fit = min(recording.samples - recording.samples // 4, len(split.train))
    learned, held = chosen(split.train_indices, fit), chosen(split.validation_indices, score)
    images = _concatenate(split.train.subset(learned), split.validation.subset(held))
    labels = None
    if any("random-label" in probe.needs for probe in experiment.probes):
        generator = stream(experiment.config.settings.seed, "probes")
        labels = torch.randint(len(images.classes), (len(images),), generator=generator)
    with attribute_errors(experiment.registry, "running the untrained network", FfprobeError):
        return ActivationSampler(
            experiment.network, images, recording.max_features, experiment.autocast, labels, held
        ), fit


def chosen(indices: torch.Tensor, count: int) -> torch.Tensor:
    """Which of some images are recorded: places in ``indices`` (int64, positions in the data set), ``count`` of them.

    The order is a fixed scattering of the data set's positions (multiplication by the golden ratio of 2^32), whatever
    the seed, so that runs of different seeds record mostly the same images and can be compared on them.
    """
    return (indices * 2654435769 % 2**32).argsort()[:count]


def _concatenate(first: Images, second: Images) -> Images:
    pixels, labels = torch.cat([first.pixels[:], second.pixels[:]]), torch.cat([first.labels, second.labels])
    return Images(pixels, labels, first.classes, first.mean, first.std)
