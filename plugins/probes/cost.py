"""What does it cost to reach an accuracy: time, operations, memory traffic and energy?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECORD = "Train again with --plugin cost."


class Cost(ffprobe.PerRunProbe):
    """Time, operations, memory traffic and energy until a run's validation accuracy reached a target; and the
    accuracy that it had when the shortest of the runs ended.

    Without ``accuracy``, the target is the highest accuracy that every run reached. A run reaches it at the first
    evaluated epoch whose accuracy, by the run's evaluator, is at least that; nothing is interpolated. Time is wall
    time, evaluation included. Comparing methods at equal accuracy and at equal time, on the same machine with the same
    number of threads, is where claims of lower cost most often fail.

    With ``--plugin cost`` a run also records, in a sandbox (at regular step intervals, two successive steps on the
    epoch's last batch): multiply-adds of a step, forward and backward, as torch counts them; and bytes of a step that
    operations read and write, as if nothing were cached or fused. Energy is read at the end of every epoch: of the
    processor from RAPL, of a GPU from NVML, where the system allows it. A run without these has only time, memory and
    the multiply-adds of a forward pass.
    """

    name = "cost"
    source = "equal accuracy and equal time, as in arXiv:2609.33240 and the audits that it cites"
    question = "What does it cost, in time, operations, memory and energy, to reach an accuracy?"
    settings_in_extra = True

    class Params(ffprobe.Params):
        """The target of the analysis, and how often steps are counted."""

        accuracy: float | None = Field(
            None, gt=0, le=100, description="target, validation accuracy in percent; empty: the highest that all reach"
        )
        sandbox_every: int = Field(
            500, ge=1, description="minimum number of steps between two counts; one always runs at the end"
        )

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self._meter: Any = None
        self._earlier = 0.0  # joules before a resume

    def state_dict(self) -> dict[str, Any]:
        return {"joules": self._earlier + self._meter.read() if self._meter else self._earlier}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._earlier = float(state["joules"])

    def variables(self, run: ffprobe.RunContext) -> list[ffprobe.Variable]:
        rows = (ffprobe.Dimension("row", None, long_name="completed epochs"),)
        counted = "by a training step at the end of the epoch; NaN where none was counted"
        wide, variable = ("row",), ffprobe.Variable
        return [
            variable("step", wide, "i8", "step", "number of optimizer steps", dimensions=rows),
            variable("multiply_adds", wide, "f8", "1", f"multiply-adds {counted}", dimensions=rows),
            variable("bytes", wide, "f8", "B", f"bytes read and written {counted}", dimensions=rows),
            variable("energy", wide, "f8", "J", "energy since the run began", dimensions=rows),
        ]

    @ffprobe.hookimpl
    def ffprobe_before_run(self, context: ffprobe.RunContext) -> None:
        self._meter = ffprobe.EnergyMeter(next(context.network.parameters()).device)

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context: ffprobe.EpochContext) -> None:
        operations = traffic = math.nan
        if context.due(self.params.sandbox_every):
            operations, traffic = _count(context)
        context.record("step", context.step)
        context.record("multiply_adds", operations)
        context.record("bytes", traffic)
        context.record("energy", self._earlier + self._meter.read())

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunCost:
        return _RunCost(run, label)

    def analyze_runs(self, runs: Sequence[ffprobe.RunFile]) -> list[Any]:
        results = super().analyze_runs(runs)
        target = self.params.accuracy
        target = min(result.best for result in results) if target is None else target
        time = min(float(result.seconds[-1]) for result in results)
        return [replace_target(result, target, time) for result in results]

    def columns(self, results: Sequence[_RunCost]) -> list[ffprobe.Column]:
        column = ffprobe.Column
        return [
            column("best", "%", "highest validation accuracy of an evaluated epoch", ".2f", better="higher"),
            column("epochs", "epoch", "epochs to the target accuracy", "d"),
            column("time", "s", "wall time to the target accuracy, evaluation included", ",.0f", better="lower"),
            column("operations", "1e12", "multiply-adds of training to the target accuracy", "#.3g", better="lower"),
            column(
                "traffic", "TB", "bytes that training read and wrote to the target accuracy", "#.3g", better="lower"
            ),
            column("energy", "kJ", "energy to the target accuracy", "#.3g", better="lower"),
            column("at_equal_time", "%", "accuracy when the shortest of the runs ended", ".2f", better="higher"),
            column("memory", "MB", "peak memory of the process, or of the GPU", ",.0f", better="lower"),
            column("step_time", "ms", "median wall time of a training step", "#.3g", detail=True),
            column("forward", "1e6", "multiply-adds of a forward pass for one input", ",.1f", detail=True),
        ]

    def notes(self, results: Sequence[_RunCost], claims: Sequence[ffprobe.Claim]) -> list[str]:
        first = results[0]
        how = "the highest that all runs reached" if self.params.accuracy is None and len(results) > 1 else "as set"
        how = "the run's best" if self.params.accuracy is None and len(results) == 1 else how
        notes = [f"Target: {first.target:.2f} % validation accuracy ({how})."]
        if len({result.machine for result in results}) > 1:
            notes.append("The runs differ in machine, threads or precision, so their times do not compare.")
        return notes + super().notes(results, claims)

    def draw(self, figure: Figure, results: Sequence[_RunCost]) -> None:
        """Validation accuracy over wall time; the dotted line is the target."""
        axes = figure.subplots()
        longest = max(float(result.seconds[-1]) for result in results)
        unit, factor = ("h", 3600) if longest > 7200 else ("min", 60) if longest > 120 else ("s", 1)
        for colour, result in enumerate(results):
            known = ~(result.accuracy != result.accuracy)
            axes.plot(
                result.seconds[known] / factor,
                result.accuracy[known],
                label=result.label,
                **ffprobe.line_look(colour),
            )
        axes.axhline(results[0].target, color="0.5", linestyle=":", linewidth=1)
        axes.set_xlabel(f"wall time ({unit})")
        axes.set_ylabel("validation accuracy (%)")
        axes.set_xlim(left=0)
        if len(results) > 1:
            figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)

    def figure_size(self, results: Sequence[_RunCost]) -> tuple[float, float]:
        return 4.5, 3.0


def _count(context: ffprobe.EpochContext) -> tuple[float, float]:
    """Multiply-adds and bytes of a step: the mean of two, since groups that alternate take turns."""
    assert context.images is not None and context.labels is not None
    steps = range(context.step - min(2, context.run.steps_per_epoch), context.step)
    with context.run.sandbox() as sandbox, ffprobe.OperationCounter() as counter:
        for step in steps:
            for _ in sandbox.learner.step(context.images, context.labels, step, context.epoch):
                pass
    return counter.multiply_adds / len(steps), counter.bytes / len(steps)


class _RunCost:
    """The costs of one run."""

    def __init__(self, run: ffprobe.RunFile, label: str) -> None:
        import numpy as np

        self.run, self.label = run, label
        self.target, self.equal_time = math.nan, math.nan
        if not run.epochs:
            raise ffprobe.FileError(
                "The run has no finished epoch.",
                where=str(run.path),
                hint="Ask again when one is finished; ffprobe show RUN --watch follows the run.",
            )
        self.accuracy = 100 * np.asarray(run.read("metrics/model_validation_accuracy"), dtype=np.float64)
        self.seconds = np.asarray(run.read("metrics/wall_time"), dtype=np.float64)
        if np.isnan(self.accuracy).all():
            raise ffprobe.FileError(
                "The run measured no validation accuracy.",
                where=str(run.path),
                hint="Ask again after its first evaluation, or train with more (training.num_evaluations).",
            )
        self.best = float(np.nanmax(self.accuracy))
        attributes: Any = run.attributes
        batch = int(run.config["training"]["batch_size"])
        images = int(attributes.get("training_images", batch))
        self.steps_per_epoch = max(1, images // min(batch, images))
        self.forward = float(sum(attributes.get("layer_multiply_adds", [math.nan])))
        speed = np.asarray(run.read("metrics/images_per_second"), dtype=np.float64)
        self.step_time = 1e3 * min(batch, images) / float(np.median(speed))
        self.memory = float(run.read("final/peak_memory")) / 1e6 if run.has("final/peak_memory") else math.nan
        names = ("device", "processor", "threads", "precision", "processes")
        self.machine = tuple(str(attributes.get(name)) for name in names)
        self.recorded = run.has("probes/cost/step") and run.variable("probes/cost/step").shape[0] > 0
        self.energy = np.full(len(self.seconds), np.nan)
        if self.recorded:
            energy = np.asarray(run.read("probes/cost/energy"), dtype=np.float64)
            self.energy[: len(energy)] = energy[: len(self.energy)]

    def epochs_to(self, target: float) -> int | None:
        """Number of epochs until the accuracy is at least ``target``; None if it never is."""
        import numpy as np

        reached = np.flatnonzero(self.accuracy >= target - 1e-4)  # the file has float32
        return int(reached[0]) + 1 if len(reached) else None

    def total(self, name: str, epochs: int) -> float:
        """The sum over the steps of the first epochs of what a step costs, by the count that follows it."""
        import numpy as np

        if not self.recorded:
            return math.nan
        value = np.asarray(self.run.read(f"probes/cost/{name}"), dtype=np.float64)
        counted = ~np.isnan(value)
        at, value = np.asarray(self.run.read("probes/cost/step"))[counted], value[counted]
        if not len(at):
            return math.nan
        steps = np.arange(epochs * self.steps_per_epoch) + 1
        return float(value[np.minimum(np.searchsorted(at, steps), len(at) - 1)].sum())

    def at_time(self, seconds: float) -> float:
        """The last accuracy that was measured until then, NaN if none was."""
        import numpy as np

        known = self.accuracy[(self.seconds <= seconds + 1e-9) & ~np.isnan(self.accuracy)]
        return float(known[-1]) if len(known) else math.nan

    def rows(self) -> Iterator[tuple[Any, ...]]:
        nan, epochs = math.nan, self.epochs_to(self.target)
        time = operations = traffic = energy = nan
        if epochs:
            time, energy = float(self.seconds[epochs - 1]), float(self.energy[epochs - 1]) / 1e3
            operations, traffic = self.total("multiply_adds", epochs) / 1e12, self.total("bytes", epochs) / 1e12
        reached = epochs if epochs else nan
        then = self.at_time(self.equal_time)
        more = (self.memory, self.step_time, self.forward / 1e6)
        yield (self.best, reached, time, operations, traffic, energy, then, *more)

    def notes(self) -> Iterator[str]:
        import numpy as np

        if self.epochs_to(self.target) is None:
            yield f"The target was not reached; the best is {self.best:.2f} %."
        if not self.recorded:
            yield f"Operations, traffic and energy of training were not recorded. {RECORD}"
        elif np.isnan(self.energy).all():
            yield "Energy was not measured: this machine does not tell it (RAPL, NVML)."
        if int(np.isnan(self.accuracy).sum()):
            count = int((~np.isnan(self.accuracy)).sum())
            yield f"{count} of {len(self.accuracy)} epochs were evaluated, so times are known no finer."

    def to_dict(self) -> dict[str, Any]:
        curve = [
            {"seconds": float(s), "accuracy": float(a)}
            for s, a in zip(self.seconds, self.accuracy, strict=True)
            if a == a
        ]
        machine = dict(zip(("device", "processor", "threads", "precision", "processes"), self.machine, strict=True))
        return {
            "label": self.label,
            "path": str(self.run.path),
            "target": self.target,
            "machine": machine,
            "curve": curve,
        }


def replace_target(result: _RunCost, target: float, time: float) -> _RunCost:
    """The same costs, compared at this accuracy and at this time."""
    result.target, result.equal_time = target, time
    return result


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Cost]
