"""A whole run: build, record, train, close."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ffprobe.config import RunConfig
from ffprobe.errors import FfprobeError
from ffprobe.registry import Registry
from ffprobe.store.schema import ActivationRecord, Variable
from ffprobe.training.activations import ActivationSampler
from ffprobe.training.blame import blamed
from ffprobe.training.experiment import Experiment, build
from ffprobe.training.facts import run_facts
from ffprobe.training.observers import Observers
from ffprobe.training.recorder import Recorder, open_recorder
from ffprobe.training.trainer import Outcome, Trainer


class Session:
    """One run from its config to its file.

    Args:
        config: resolved.
        registry: that resolved it.
        out: the run file.
        overwrite: replace an existing file.
        command: the command line, for the file.
        observers: more plugins that watch, by name (the progress display).
    """

    def __init__(
        self,
        config: RunConfig,
        registry: Registry,
        out: Path,
        *,
        overwrite: bool = False,
        command: str = "",
        observers: Sequence[tuple[str, Any]] = (),
    ) -> None:
        self.experiment = build(config, registry)
        self.sampler, fit = _sampler(self.experiment)
        self._fit = fit
        manager = registry.manager
        for probe in self.experiment.probes:
            manager.register(probe, name=probe.name)
        for name, observer in observers:
            manager.register(observer, name=name)
        manager.check_pending()
        self.recorder = self._open(out, overwrite, command)
        watching = Observers(manager, self.recorder.probe, self._log)
        self.trainer = Trainer(self.experiment, watching, self.recorder, self.sampler)

    def run(self) -> Outcome:
        """Train; on success ``out`` is complete, on any error what was committed lies in ``out``.partial."""
        try:
            outcome = self.trainer.run()
            self.recorder.commit()
            self.recorder.writer.finish()
            return outcome
        finally:
            self.recorder.writer.close()

    def _log(self, plugin: str, sentence: str) -> None:
        self.recorder.log(self.trainer.step, sentence)

    def _open(self, out: Path, overwrite: bool, command: str) -> Recorder:
        experiment = self.experiment
        context = experiment.context
        with blamed(experiment.registry, "declaring what a probe records"):
            declared: dict[str, Sequence[Variable]] = {p.name: p.variables(context) for p in experiment.probes}
        records: Sequence[ActivationRecord] = self.sampler.records if self.sampler else ()
        total = len(self.sampler.images) if self.sampler else 0
        samples = (self._fit, total - self._fit)
        facts = run_facts(experiment, records, samples, {k: v for k, v in declared.items() if v}, command)
        recorder = open_recorder(out, facts, overwrite=overwrite)
        split = experiment.split
        recorder.labels("evaluation", split.validation.labels, source_index=split.validation_indices)
        if split.test is not None:
            recorder.labels("test", split.test.labels)
        if self.sampler:
            indices = torch.cat([split.train_indices[: self._fit], split.validation_indices[: samples[1]]])
            held_out = torch.cat([torch.zeros(samples[0]), torch.ones(samples[1])]).int()
            recorder.labels("activations", self.sampler.images.labels, source_index=indices, held_out=held_out)
        return recorder


def _sampler(experiment: Experiment) -> tuple[ActivationSampler | None, int]:
    # three quarters to fit on, from images learned from; a quarter to score on, from images never learned from
    recording = experiment.config.settings.recording
    asked = any("activations" in probe.needs for probe in experiment.probes)
    if not (asked if recording.activations == "auto" else recording.activations):
        return None, 0
    split = experiment.split
    score = min(recording.samples // 4, len(split.validation))
    fit = min(recording.samples - recording.samples // 4, len(split.train))
    images = _concatenate(split.train.subset(torch.arange(fit)), split.validation.subset(torch.arange(score)))
    with blamed(experiment.registry, "running the untrained network", FfprobeError):
        return ActivationSampler(experiment.stack, images, recording.units, experiment.autocast), fit


def _concatenate(first: Any, second: Any) -> Any:
    pixels, labels = torch.cat([first.pixels, second.pixels]), torch.cat([first.labels, second.labels])
    return type(first)(pixels, labels, first.classes, first.mean, first.std)
