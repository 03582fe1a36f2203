"""How sharply does each layer's local loss curve where training took it? Largest eigenvalue of its Hessian."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ffprobe_plugins.probes.error_signals import SandboxParams, sandbox_variables
from ffprobe_plugins.probes.hessian import largest_eigenvalue

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    import torch
    from matplotlib.figure import Figure

RECORD = "Train again with --plugin sharpness."
MEASURES = {
    "largest": "largest eigenvalue of the Hessian of the layer's local loss",
    "scaled": "the same times the squared norm of the layer's parameters",
}


class Sharpness(ffprobe.PerRunProbe):
    """Largest eigenvalue of the Hessian of each layer's own loss in the layer's own parameters.

    The parameters are those that this loss depends on: weight and bias, a normalizer before the activation, a learned
    goodness. The layer's
    input is fixed, as for a greedy update; under overlapping updates, the loss of the next layer does not count.
    ``scaled`` is the eigenvalue times the squared norm of the parameters: where batch normalization follows the map, a
    larger weight computes the same function with a smaller eigenvalue, and ``scaled`` does not fall.

    It is measured in a sandbox, at regular step intervals, on the first images of the epoch's last batch with one draw
    of negatives, in training mode and double precision, by Lanczos iterations; where a ReLU has its kink, the Hessian
    of either side counts. Layers on which no loss is computed, and rules other than ``forward-forward``, have none.
    """

    name = "sharpness"
    source = (
        "largest Hessian eigenvalue: LeCun and others 1993, Keskar and others 2017 (arXiv:1609.04836); its dependence"
        " on scale: Dinh and others 2017 (arXiv:1703.04933)"
    )
    question = "How sharply does each layer's local loss curve at the trained weights?"

    class Params(SandboxParams):
        """Settings of the recording."""

    def variables(self, run: ffprobe.RunContext) -> list[ffprobe.Variable]:
        dims, variables = sandbox_variables(run)
        variable, both = ffprobe.Variable, ("row", "layer")
        texts = {**MEASURES, "loss": "the layer's local loss on these images"}
        return [*variables, *(variable(name, both, long_name=text, dimensions=dims) for name, text in texts.items())]

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context: ffprobe.EpochContext) -> None:
        if not context.due(self.params.sandbox_every):
            return
        assert context.images is not None and context.labels is not None
        images, labels = context.images[: self.params.images], context.labels[: self.params.images]
        context.record("step", context.step)
        context.record("images", len(images))
        for name, row in _measure(context, images, labels).items():
            context.record(name, row)

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunSharpness:
        return _RunSharpness(run, label)

    def columns(self, results: Sequence[_RunSharpness]) -> list[ffprobe.Column]:
        column = ffprobe.Column
        return [
            column("step", "step", "number of optimizer steps", key=True),
            column("depth", "", "layer number, from 1", key=True),
            column("loss", "1", "the layer's local loss on these images", ".3g"),
            column("largest", "1", MEASURES["largest"], ".3g"),
            column("scaled", "1", MEASURES["scaled"], ".3g"),
        ]

    def draw(self, figure: Figure, results: Sequence[_RunSharpness]) -> None:
        """The largest eigenvalue of the last sandbox by layer."""
        axes, series = figure.subplots(), []
        for result in results:
            y = result.measures["largest"][-1].tolist()
            label = result.label if len(results) > 1 else ""
            series.append(
                ffprobe.Series(label=label, x=range(1, len(y) + 1), y=[v if v > 0 else float("nan") for v in y])
            )
        axes.set_yscale("log")
        ffprobe.line_by_layer(axes, series, ylabel="largest Hessian eigenvalue")


def _measure(context: ffprobe.EpochContext, images: torch.Tensor, labels: torch.Tensor) -> dict[str, list[float]]:
    """Loss, eigenvalue and scaled eigenvalue of each layer, in a sandbox; NaN without a local loss."""
    depth = len(context.run.layers)
    rows = {name: [float("nan")] * depth for name in (*MEASURES, "loss")}
    with context.run.sandbox() as copy:
        learner, network, setup = copy.learner, copy.network, copy.setup
        if not isinstance(learner, ffprobe.GroupLearner) or context.run.config["rule"]["name"] != "forward-forward":
            return rows
        # negatives are chosen in the run's precision, and everything after that is computed in double precision
        state = learner.begin(images, labels, context.step, context.epoch)
        network.double()
        assert state.images is not None
        earlier: list[Any] = []
        inputs = {0: network.encode(state.images.double(), state.input_labels).detach()}
        for index in range(depth):
            layer = network.layer(index)
            activation = layer(inputs[index])
            if index in {stop - 1 for _, stop in setup.groups}:
                local = network.local_loss(
                    index,
                    activation,
                    labels,
                    setup.loss,
                    step=context.step,
                    epoch=context.epoch,
                    earlier=earlier,
                    layer_input=inputs[index],
                    images=state.images.double(),
                )
                earlier.append(local.goodness)
                if parameters := _used(local.loss, list(layer.own_parameters(objective=True))):
                    value = largest_eigenvalue(local.loss, parameters)
                    size = float(sum(p.detach().square().sum() for p in parameters))
                    for name, number in zip(rows, (value, value * size, float(local.loss.detach())), strict=True):
                        rows[name][index] = number
            inputs[index + 1] = network.pass_on(index, activation, inputs).detach()
    return rows


def _used(loss: torch.Tensor, parameters: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The parameters that the loss depends on: not those of a normalizer after the goodness."""
    import torch

    learned = [p for p in parameters if p.requires_grad]
    if not learned or not loss.requires_grad:
        return []
    found = torch.autograd.grad(loss, learned, retain_graph=True, allow_unused=True)
    return [p for p, gradient in zip(learned, found, strict=True) if gradient is not None]


class _RunSharpness:
    """The eigenvalues of one run."""

    def __init__(self, run: ffprobe.RunFile, label: str) -> None:
        self.run, self.label = run, label
        group = "probes/sharpness"
        if not run.has(f"{group}/largest"):
            raise ffprobe.FileError("No sharpness was recorded in this run.", where=str(run.path), hint=RECORD)
        self.steps = [int(step) for step in run.read(f"{group}/step")]
        if not self.steps:
            hint = "Resume the run until its first epoch is committed."
            raise ffprobe.FileError("The file has no sharpness yet.", where=str(run.path), hint=hint)
        self.images = int(run.read(f"{group}/images")[-1])
        names = ("loss", *MEASURES)
        self.measures: dict[str, np.ndarray] = {name: run.read(f"{group}/{name}").astype(float) for name in names}

    def rows(self) -> Iterator[tuple[Any, ...]]:
        for row, step in enumerate(self.steps):
            for i in range(self.measures["loss"].shape[1]):
                yield (step, i + 1, *(float(self.measures[name][row, i]) for name in ("loss", *MEASURES)))

    def notes(self) -> Iterator[str]:
        yield f"{self.images} images, one draw of negatives; the input of each layer is fixed."
        largest = self.measures["largest"][-1]
        if flat := [str(i + 1) for i, value in enumerate(largest) if value <= 0]:
            yield f"no direction of layer {', '.join(flat)} curves upwards, so it is not drawn."
        if missing := [str(i + 1) for i, value in enumerate(largest) if value != value]:
            yield f"layer {', '.join(missing)} has none: no loss of its own, or the iterations did not converge."

    def to_dict(self) -> dict[str, Any]:
        return {"label": self.label, "path": str(self.run.path), "steps": self.steps, "images": self.images}


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Sharpness]
