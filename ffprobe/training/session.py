"""A run with an open run file, ready to train: a new run, or one that resumes from its last checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pluggy
import torch

from ffprobe.components.process_group import ProcessGroup
from ffprobe.config.settings import RunConfig
from ffprobe.errors import UsageError
from ffprobe.hookspecs import PROJECT
from ffprobe.plugin.registry import Registry
from ffprobe.store.names import another_name, partial_of
from ffprobe.store.schema import run_schema
from ffprobe.store.writer import RunWriter
from ffprobe.training.checkpoint import checkpoint_of, write_checkpoint
from ffprobe.training.image_choice import recorded_rows
from ffprobe.training.observers import Observers
from ffprobe.training.outcome import Outcome
from ffprobe.training.prepared_run import PreparedRun, prepare
from ffprobe.training.recorder import Recorder
from ffprobe.training.resume import (
    environment,
    experiment_state,
    file_identity,
    interrupted_replacement,
    may_replace,
    recorded_precision,
    resumable_state,
)
from ffprobe.training.trainer import Trainer


class Session:
    """A run with an open run file; created by ``open_record`` or ``Session.start``.

    Args:
        prepared: the prepared run.
        out: the run file.
        recorder: the recorder of the main process; None on other processes, which write nothing and call no observer.
        observers: the observers of the run.
        state: the checkpoint to resume from; None for a new run.
        replaces: the finished file that this run replaces at its end, as ``file_identity`` has it; None for none.

    Attributes:
        experiment: the experiment of the prepared run.
        trainer: the trainer, at its start or at the checkpoint.
    """

    def __init__(
        self,
        prepared: PreparedRun,
        out: Path,
        recorder: Recorder | None,
        observers: Observers,
        state: dict[str, Any] | None,
        replaces: list[int] | None = None,
    ) -> None:
        self.prepared, self.experiment, self.recorder, self.state = prepared, prepared.experiment, recorder, state
        self._out, self._replaces = out, replaces
        self.trainer = Trainer(self.experiment, observers, recorder, prepared.sampler, self._save, state)

    @classmethod
    def start(
        cls,
        config: RunConfig,
        registry: Registry,
        out: Path,
        *,
        command: str = "",
        process_group: ProcessGroup | None = None,
        **how: Any,
    ) -> Session:
        """Call ``prepare`` and ``open_record``; ``how`` are keyword arguments of ``open_record``."""
        precision = recorded_precision(out) if how.get("resume") else ""
        prepared = prepare(config, registry, command=command, process_group=process_group, auto_precision=precision)
        return open_record(prepared, out, **how)

    def run(self) -> Outcome:
        """Train; afterwards ``out`` is complete. After any error, ``out``.partial contains every committed epoch."""
        if self.recorder is None:
            outcome = self.trainer.run()
            self.experiment.process_group.barrier()
            return outcome
        try:
            outcome = self.trainer.run()
            self.recorder.commit()
            self.recorder.writer.finish()
            checkpoint_of(self._out).unlink(missing_ok=True)
        finally:
            self.recorder.writer.close()
        self.experiment.process_group.barrier()  # no process returns before the file is complete
        return outcome

    def close(self) -> None:
        """Close the run file without training."""
        if self.recorder is not None:
            self.recorder.writer.close()

    def _save(self, commit: int) -> None:
        state = self.state or {}
        assert self.prepared.metadata is not None
        write_checkpoint(
            checkpoint_of(self._out),
            {
                "commit": commit,
                "created_utc": state.get("created_utc", self.prepared.metadata.attributes["created_utc"]),
                "replaces": self._replaces,
                "resumed": state.get("resumed", []),
                "changes": state.get("changes", []),
                "environment": environment(self.experiment),
                "progress": self.trainer.progress(),
                "experiment": experiment_state(self.experiment),
                **({"best": self.trainer.best.state_dict()} if self.trainer.best.active else {}),
            },
        )


def open_record(
    prepared: PreparedRun,
    out: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    allow_changes: bool = False,
    observers: Sequence[tuple[str, Any]] = (),
) -> Session:
    """Open the run file and create the session that trains the run.

    Args:
        prepared: the prepared run.
        out: the run file; during training it is named ``out``.partial.
        overwrite: whether to replace an existing file.
        resume: whether to resume from the last checkpoint, or start if there is none.
        allow_changes: whether to resume although settings, data or versions changed; the file records the changes.
        observers: additional observers as (name, observer), such as the progress display; those of the config are
            already registered.

    Raises:
        UsageError: the file exists, or the run to resume differs.
        FileError: the file cannot be written, or the checkpoint cannot be read.
    """
    experiment = prepared.experiment
    group = experiment.process_group
    if prepared.metadata is None:
        no_observers = Observers(pluggy.PluginManager(PROJECT), _no_observer, _no_observer)
        return Session(prepared, out, None, no_observers, group.broadcast(None))
    manager = experiment.registry.manager
    for part in (*experiment.probes, *experiment.observers):
        taken = manager.has_plugin(part.name)  # a probe and an observer may have the same name
        manager.register(part, name=f"{part.kind} {part.name}" if taken else part.name)
    for name, observer in observers:
        manager.register(observer, name=name)
    manager.check_pending()
    state = group.broadcast(resumable_state(experiment, out, allow_changes) if resume else None)
    schema = run_schema(prepared.metadata)
    if state:
        record = {"resumed": state["resumed"], "changed_on_resume": state["changes"]}
        attributes = {name: value for name, value in record.items() if value}
        replaces = overwrite or may_replace(out, state)
        writer = RunWriter.resume(out, schema, commit=state["commit"], attributes=attributes, overwrite=replaces)
    else:
        writer = RunWriter.create(out, schema, overwrite=overwrite, discard=resume)
        checkpoint_of(out).unlink(missing_ok=True)  # left by an earlier run of this name
    replaced = file_identity(out) if overwrite else (state or {}).get("replaces")
    try:
        recorder = Recorder(writer, prepared.metadata)
        if not state:
            _record_labels(prepared, recorder)

        def log(plugin: str, message: str) -> None:
            recorder.log(session.trainer.step, message)

        session = Session(prepared, out, recorder, Observers(manager, recorder.probe, log), state, replaced)
    except BaseException:
        writer.close()
        raise
    return session


def _no_observer(*arguments: object) -> None:
    raise RuntimeError("this process has no observers")


def refuse_unless_resumable(out: Path, resume: bool, overwrite: bool) -> None:
    """Refuse an existing run file before anything is computed; the writer checks again.

    Raises:
        UsageError: ``out`` or its partial file exists, and neither ``resume`` nor ``overwrite`` is set.
    """
    if overwrite or (resume and not out.exists()):
        return
    if out.exists() and not (resume and interrupted_replacement(out)):
        raise UsageError(f"{out} already exists.", hint=f"{another_name(out)}, or --overwrite to replace it.")
    if partial_of(out).exists() and not resume:
        raise UsageError(
            f"{partial_of(out)} already exists; it is an unfinished run.",
            hint=f"Use --resume to continue it, or --overwrite to discard it. {another_name(out)} for a new one.",
        )


def _record_labels(prepared: PreparedRun, recorder: Recorder) -> None:
    assert prepared.metadata is not None
    split, sampler, fit = prepared.experiment.split, prepared.sampler, prepared.fit_samples
    recorder.labels("evaluation", split.validation.labels, source_index=split.validation_indices)
    if split.test is not None:
        recorder.labels("test", split.test.labels)
    sources = {"training": split.train_indices, "validation": split.validation_indices}
    for part, images in (("test", split.test), ("validation", split.validation), ("training", split.train)):
        if images is not None and (positions := prepared.metadata.images.get(part)):
            rows = torch.tensor(positions)
            recorder.put(f"images/{part}/pixel", images.inputs[rows].cpu().numpy())
            recorder.put(f"images/{part}/source_index", (sources[part][rows] if part in sources else rows).numpy())
    if sampler:
        score = len(sampler.images) - fit
        fitted, held_out_rows = recorded_rows(split.train_indices, fit), recorded_rows(split.validation_indices, score)
        indices = torch.cat([split.train_indices[fitted], split.validation_indices[held_out_rows]])
        held_out = torch.cat([torch.zeros(fit), torch.ones(score)]).int()
        recorder.labels("activations", sampler.images.labels, source_index=indices, held_out=held_out)
