"""The training loop: epochs, batches, evaluations, commits. Only this module calls training hooks."""

from __future__ import annotations

import math
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ffprobe.data.samples import Samples
from ffprobe.distributed.shared_batches import average_statistics
from ffprobe.errors import FfprobeError, Interrupted
from ffprobe.hookspecs import EpochContext, ErrorContext, RunContext, StepContext, UpdateContext
from ffprobe.inference.activations import ActivationSampler
from ffprobe.inference.evaluate import goodness_tensor, layer_accuracy, model_accuracy, undecided_layers
from ffprobe.inference.feature_reading import feature_accuracy, feature_calibration
from ffprobe.network.multiply_adds import multiply_adds
from ffprobe.plugin.error_attribution import attribute_errors
from ffprobe.prediction.calibration import Calibration
from ffprobe.runtime.seeding import seeded
from ffprobe.training.best_epoch import BestEpoch
from ffprobe.training.checkpoint_state import unfit
from ffprobe.training.experiment import Experiment
from ffprobe.training.groups import first_epoch_of_all
from ffprobe.training.observers import Observers
from ffprobe.training.optimizers import learning_rate
from ffprobe.training.outcome import Outcome
from ffprobe.training.pipeline.build_stage import stage_loader
from ffprobe.training.pipeline.shared_evaluation import shared_goodness
from ffprobe.training.recorder import Recorder
from ffprobe.training.resume import restore
from ffprobe.training.sandbox import Sandbox, sandbox


class Trainer:
    """Trains one experiment.

    Args:
        experiment: the experiment, before its first step.
        observers: the observers, which are notified of every event.
        recorder: writes the run file; None to record nothing.
        sampler: samples the activations to record; None to record none.
        save: called with the number of each commit that the run can be resumed from.
        state: the checkpoint to resume from: ``progress()`` of the earlier trainer, and the state of its experiment;
            None to start.
    """

    def __init__(
        self,
        experiment: Experiment,
        observers: Observers,
        recorder: Recorder | None = None,
        sampler: ActivationSampler | None = None,
        save: Callable[[int], None] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self._save, self._state = save, state
        self.experiment, self.observers, self.recorder, self.sampler = experiment, observers, recorder, sampler
        path = os.path.abspath(recorder.writer.path) if recorder else ""
        self.context: RunContext = replace(experiment.context, sandbox=self.sandbox, path=path)
        self.step, self.epoch = 0, 0
        self.outcome = Outcome()
        self._stop_signal = 0
        self._epochs_done = 0
        self._began = 0.0
        self._with_loss: list[tuple[int, int]] = []
        training = experiment.config.settings.training
        self.best = BestEpoch(training.early_stop, training.keep_best)
        self._epochs, self._per_epoch = training.epochs, len(experiment.loader)
        count = min(training.num_evaluations, self._epochs)
        self._evaluate_after = {math.ceil(self._epochs * (i + 1) / count) for i in range(count)}

    @property
    def epochs_done(self) -> int:
        """Number of epochs that were trained."""
        return self._epochs_done

    def stop_after_batch(self, signal_number: int) -> None:
        """Request the run to stop after the current batch."""
        self._stop_signal = signal_number
        if self.experiment.pipeline:
            self.experiment.pipeline.requested = signal_number

    def sandbox(self) -> AbstractContextManager[Sandbox]:
        """A copy of the run in its current state, for experiments of observers."""
        return sandbox(self.experiment, self.step)

    def progress(self) -> dict[str, Any]:
        """The progress of the run between two epochs, as plain values."""
        return {
            "epoch": self._epochs_done,
            "step": self.step,
            "seconds": time.monotonic() - self._began,
            "outcome": asdict(self.outcome),
        }

    def run(self) -> Outcome:
        """Train to the last epoch.

        Raises:
            Interrupted: the run was requested to stop; everything up to the last batch is committed.
            FfprobeError: a component failed or a loss is not finite; committed epochs are never lost.
        """
        try:
            # everything that draws from torch's global generator (dropout, a plugin) draws from a stream of this run
            with (
                seeded(self.experiment.config.settings.seed, "training"),
                attribute_errors(self.experiment.registry, "training", FfprobeError),
            ):
                return self._run()
        except BaseException as error:
            self.observers.fire("ffprobe_on_error", ErrorContext(self.context, self.epoch, self.step, error))
            raise

    def _run(self) -> Outcome:
        self._began = time.monotonic()
        if self._state:
            self._restore(self._state)
        self.observers.fire("ffprobe_before_run", self.context)
        if not self._state:
            self._record_initial()
            self._sample(0)
            self._commit()
        for epoch in range(self.epoch, self._epochs):
            if self.best.stops:
                break
            self.epoch = epoch
            self._run_epoch()
        self._finish()
        return self.outcome

    def _restore(self, state: Mapping[str, Any]) -> None:
        restore(self.experiment, state["experiment"], state.get("path", ""))
        progress = state["progress"]
        self.epoch = self._epochs_done = progress["epoch"]
        self.step = progress["step"]
        self._began -= progress["seconds"]
        self.outcome = Outcome(**progress["outcome"])
        if self.best.active and (best := state.get("best")):
            try:
                self.best.load_state_dict(best, self.experiment.network)
            except (ValueError, AttributeError) as error:
                raise unfit(str(error), Path(state.get("path", ""))) from error

    def _commit(self) -> None:
        if self.recorder:
            number = self.recorder.commit()
            if self._save:
                self._save(number)

    def _run_epoch(self) -> None:
        experiment, epoch, pipeline = self.experiment, self.epoch, self.experiment.pipeline
        self.observers.fire("ffprobe_before_epoch", EpochContext(self.context, epoch, self.step))
        if pipeline:  # what the main process records between two epochs must not count as waiting for a batch
            experiment.process_group.barrier()
        first, began = self.step, time.monotonic()
        rows: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        self._with_loss = []
        images = 0
        experiment.network.train()
        for x, labels, indices in stage_loader(experiment.loader, pipeline.grid) if pipeline else experiment.loader:
            rows.append(self.learn(x, labels))
            images += len(indices)
            # all processes stop after the same batch; a signal that arrives during the all-reduce stops the next one
            if stop := self._stop_of_all():
                self._stop_signal = stop
                self._interrupted(first, rows)
        if not experiment.config.settings.training.sync_batch_norm:
            average_statistics(experiment.network, experiment.setup.process_group)
        loss, positive, negative = self._columns(rows)
        if pipeline:
            loss, positive, negative = pipeline.synchronize(torch.stack([loss, positive, negative]))
        self._check_finite(loss, first)
        training_seconds = max(time.monotonic() - began, 1e-9)
        done = epoch + 1
        metrics: dict[str, Any] = {
            "loss": loss.nanmean(dim=0),
            "goodness_positive": positive.nanmean(dim=0),
            "goodness_negative": negative.nanmean(dim=0),
            "validation_accuracy": torch.full((experiment.network.depth,), torch.nan),
        }
        self.outcome.images_per_second = images / training_seconds
        metrics.update(self._evaluate(done) if done in self._evaluate_after else {})
        is_last = done == self._epochs or self.best.stops
        if self.recorder:
            self.recorder.steps(first, loss, positive, negative)
            self.recorder.epoch(done, {**metrics, **self._epoch_values()})
        if is_last or done in experiment.config.settings.recording.epochs:
            self._sample(done)
        per_layer = {k: v for k, v in metrics.items() if isinstance(v, torch.Tensor)}
        model: float = metrics.get("model_validation_accuracy", math.nan)
        result: dict[str, Any] = {"model_accuracy": model, "is_last": is_last}
        context = EpochContext(self.context, epoch, self.step, per_layer, images=x, labels=labels, **result)
        self.observers.fire("ffprobe_after_epoch", context)
        self._epochs_done = done
        self._commit()

    def _stop_of_all(self) -> int:
        """The signal that stops all processes after this batch; 0 for none."""
        if pipeline := self.experiment.pipeline:
            return pipeline.stop_signal  # of the main process; it came with the batch
        return self.experiment.process_group.all_reduce_max(self._stop_signal)

    @staticmethod
    def _columns(rows: Sequence[tuple[torch.Tensor, ...]]) -> Sequence[torch.Tensor]:
        return [torch.stack(column).cpu() for column in zip(*rows, strict=True)]

    def learn(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Train on one batch, notify the observers, and increment the step.

        Args:
            images: float ``[B, C, H, W]``, normalized.
            labels: the true labels, int64 ``[B]``.

        Returns:
            The loss, the mean goodness of the positives and that of the negatives, each float ``[layers]``; NaN for
            layers without a loss.
        """
        experiment, observers = self.experiment, self.observers
        settings = experiment.config.settings.training
        total = self._epochs * self._per_epoch
        rate = learning_rate(settings, experiment.learning_rate_steps, self.step, total)
        experiment.learner.set_learning_rate(rate)
        empty = torch.full((3, experiment.network.depth), torch.nan, device=images.device, dtype=images.dtype)
        loss, positive, negative = empty.unbind()
        notify_updates = observers.has_observers("ffprobe_after_update")
        for update in experiment.learner.step(images, labels, self.step, self.epoch):
            at = update.loss_layer
            loss[at] = update.loss
            self._with_loss.append((self.step, at))
            if update.positive is not None and update.negative is not None:
                positive[at], negative[at] = update.positive, update.negative
            if images.device.type == "cpu" and not torch.isfinite(update.loss):
                self._not_finite(at, self.step)
            if notify_updates:
                observers.fire(
                    "ffprobe_after_update",
                    UpdateContext(
                        self.context,
                        self.epoch,
                        self.step,
                        update.layers,
                        at,
                        update.loss,
                        update.positive,
                        update.negative,
                        changes=update.changes,
                    ),
                )
        if observers.has_observers("ffprobe_after_step"):
            observers.fire(
                "ffprobe_after_step",
                StepContext(self.context, self.epoch, self.step, loss, positive, negative, images, labels, rate),
            )
        self.step += 1
        return loss, positive, negative

    @cached_property
    def _complete_from(self) -> int:
        """The epoch from which on the accuracy decides: all layers have begun to learn."""
        setup, depth = self.experiment.setup, self.experiment.network.depth
        return first_epoch_of_all(setup.scheduler, setup.groups, depth, self._epochs, self._per_epoch)

    @cached_property
    def _layer_costs(self) -> tuple[float, ...]:
        return tuple(map(float, multiply_adds(self.experiment.network, self.experiment.split.train.shape)))

    def _evaluate(self, done: int) -> dict[str, Any]:
        experiment, outcome, best = self.experiment, self.outcome, self.best
        goodness = self._validate()
        if best.active and done > self._complete_from:
            accuracy = outcome.model_validation_accuracy
            # only the main process may know it, and all must decide the same
            best.update(done, experiment.process_group.broadcast(accuracy), experiment.network)
        is_last = done == self._epochs or best.stops
        if is_last and best.keep and best.epoch not in (0, done):
            now = 100 * (outcome.model_validation_accuracy or math.nan)
            kept = f"Kept the weights of epoch {best.epoch} (validation accuracy {100 * best.accuracy:.2f} %)"
            self._log(f"{kept}; those of epoch {done} have {now:.2f} %.")
            best.restore(experiment.network)
            goodness = self._validate()
        if self.recorder:
            self.recorder.evaluation(done, goodness)
            if is_last:
                self._log_undecided(goodness, "validation images")
        if best.stops:
            self._log(f"Stopped early, {best.since} evaluations after the best one, which was in epoch {best.epoch}.")
        metrics: dict[str, Any] = {
            "validation_accuracy": torch.tensor(outcome.validation_accuracy),
            "model_validation_accuracy": outcome.model_validation_accuracy,
        }
        if experiment.config.settings.training.test == "every" and experiment.split.test is not None:
            metrics["test_accuracy"] = layer_accuracy(*self._goodness(experiment.split.test))
        return metrics

    def _validate(self) -> torch.Tensor:
        """Evaluate the network as it is on the validation set and calibrate the evaluator; goodness ``[L, N, K]``."""
        experiment, outcome = self.experiment, self.outcome
        goodness, labels = self._goodness(experiment.split.validation)
        outcome.validation_accuracy = layer_accuracy(goodness, labels).tolist()
        form, costs = experiment.network.form, self._layer_costs
        if experiment.evaluator.reads_goodness:
            experiment.evaluator.calibrate(Calibration(goodness, labels, form, layer_costs=costs))
        elif self.sampler:
            experiment.evaluator.calibrate(feature_calibration(self.sampler, goodness, labels, form, costs))
        outcome.model_validation_accuracy = self._model_accuracy(experiment.split.validation, goodness)
        return goodness

    def _model_accuracy(self, images: Samples, goodness: torch.Tensor) -> float:
        experiment = self.experiment
        if experiment.evaluator.reads_goodness:
            return model_accuracy(experiment.evaluator, goodness, images.labels.cpu())
        if self.sampler is None:  # with several processes, only the main process has features and records this number
            return math.nan
        batch = experiment.config.settings.training.evaluation_batch
        return feature_accuracy(experiment.evaluator, self.sampler, images, batch)

    def _goodness(self, images: Samples) -> tuple[torch.Tensor, torch.Tensor]:
        experiment, process_group = self.experiment, self.experiment.process_group
        batch = experiment.config.settings.training.evaluation_batch
        labels = images.labels.cpu()
        if experiment.pipeline:
            return shared_goodness(experiment.network, images, batch, experiment.autocast, process_group), labels
        if process_group.size == 1 or len(images) < process_group.size:
            return goodness_tensor(experiment.network, images, batch, experiment.autocast), labels
        rows = process_group.shard(len(images))
        shard_images = images.subset(torch.arange(rows.start, rows.stop))
        shard = goodness_tensor(experiment.network, shard_images, batch, experiment.autocast)  # [L, rows, K]
        return process_group.all_gather(shard.transpose(0, 1), len(images)).transpose(0, 1).contiguous(), labels

    def _record_initial(self) -> None:
        if self.recorder:
            for name, value in self._weight_values().items():
                self.recorder.put(f"initial/{name}", value)

    def _weight_values(self) -> dict[str, list[float]]:
        network = self.experiment.network
        weights = [network.layer(i).weight for i in range(network.depth)]
        return {
            "weight_norm": [math.nan if w is None else float(w.detach().norm()) for w in weights],
            "weight_maximum": [math.nan if w is None else float(w.detach().abs().max()) for w in weights],
        }

    def _epoch_values(self) -> dict[str, Any]:
        settings = self.experiment.config.settings.training
        total = self._epochs * self._per_epoch
        return {
            **self._weight_values(),
            "learning_rate": learning_rate(settings, self.experiment.learning_rate_steps, self.step - 1, total),
            "wall_time": time.monotonic() - self._began,
            "images_per_second": self.outcome.images_per_second,
        }

    def _sample(self, done: int) -> None:
        if self.recorder and self.sampler:
            self.recorder.activations(done, *self.sampler.collect_with_statistics())

    def _finish(self) -> None:
        experiment, outcome, recorder = self.experiment, self.outcome, self.recorder
        if experiment.split.test is not None:
            goodness, labels = self._goodness(experiment.split.test)
            outcome.test_accuracy = layer_accuracy(goodness, labels).tolist()
            outcome.model_test_accuracy = self._model_accuracy(experiment.split.test, goodness)
            if recorder:
                recorder.put("test/goodness", goodness.numpy())
                self._log_undecided(goodness, "test images")
        outcome.seconds = time.monotonic() - self._began
        results = self._final()
        if recorder:
            for name, value in results.items():
                recorder.put(f"final/{name}", value)
            recorder.weights(experiment.network.named_state())
        self.observers.fire("ffprobe_after_run", replace(self.context, results=deepcopy(results)))

    def _log(self, message: str) -> None:
        if self.recorder:
            self.recorder.log(self.step, message)

    def _log_undecided(self, goodness: torch.Tensor, images: str) -> None:
        # a layer that compares no labels (all units dead, NaN) must not look like one that is wrong by 90 %
        if self.recorder:
            for message in undecided_layers(goodness, images):
                self.recorder.log(self.step, message)

    def _final(self) -> dict[str, Any]:
        outcome = self.outcome
        values = {
            "validation_accuracy": outcome.validation_accuracy,
            "test_accuracy": outcome.test_accuracy,
            "model_validation_accuracy": outcome.model_validation_accuracy,
            "model_test_accuracy": outcome.model_test_accuracy,
            "wall_time": outcome.seconds,
            "peak_memory": peak_memory(self.experiment.device),
        }
        return {name: value for name, value in values.items() if value not in (None, [])}

    def _interrupted(self, first: int, rows: Sequence[tuple[torch.Tensor, ...]]) -> None:
        loss, positive, negative = self._columns(rows)
        if pipeline := self.experiment.pipeline:
            loss, positive, negative = pipeline.merge(torch.stack([loss, positive, negative]))
        if self.recorder:
            self.recorder.steps(first, loss, positive, negative)
            self.recorder.commit()
        raise Interrupted(
            f"Stopped in epoch {self.epoch + 1} of {self._epochs}, after step {self.step}.",
            signal_number=self._stop_signal,
            hint=f"--resume continues after epoch {self.epoch}.",
        )

    def _check_finite(self, loss: torch.Tensor, first: int) -> None:
        # on a GPU, reading each loss would synchronize with the device, so losses are checked once per epoch. NaN also
        # means "this layer had no loss in this step", hence the list of layers that had one
        finite = torch.isfinite(loss).tolist()
        for step, layer in self._with_loss:
            if not finite[step - first][layer]:
                self._not_finite(layer, step)

    def _not_finite(self, layer: int, step: int) -> None:
        raise FfprobeError(
            "A loss is not finite.",
            where=f"layer {layer + 1}, step {step}, epoch {self.epoch + 1}",
            hint=f"The last good epoch is {self.epoch}. Try a lower training.learning_rate, or another normalizer.",
        )


def peak_memory(device: torch.device) -> float:
    """Peak memory in bytes: memory allocated by torch on a GPU, else the maximum resident set size of the process."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)
