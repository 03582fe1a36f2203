"""In how many directions does a layer's error signal teach it? Effective rank of the per-sample gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ffprobe_plugins.probes.error_signals import SandboxParams, record_signals, sandbox_variables

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    import torch
    from ffprobe_plugins.probes.error_signals import ErrorSignal
    from matplotlib.figure import Figure

RECORD = "Train again with --plugin credit."
SIGNALS = ("local", "backprop")


class Credit(ffprobe.PerRunProbe):
    """Effective rank of each layer's error signal: ``(tr G)^2 / tr G^2``.

    G is the Gram matrix of the gradients of the loss with respect to the layer's activation, one row for each pass of
    an image. The rank is 1 if all gradients have the same direction (up to sign and length), and at most the number of
    rows. ``local`` is the gradient that the run's own rule gives the layer; under overlapping updates that of the
    layer's own loss. ``backprop`` is, through the same weights on the same images, that of the cross entropy with the
    last layer's goodness as logits, which needs one pass for each candidate label where goodness has the form ``pair``.

    It is measured in a sandbox, at regular step intervals, on the first images of the epoch's last batch. A layer that
    learns without a gradient of its activation has none, and its number is a dash.
    """

    name = "credit"
    source = "(tr G)^2 / tr G^2 of error signals: The Price of Locality (arXiv:2609.33240)"
    question = "In how many directions does the error signal of each layer teach it?"

    class Params(SandboxParams):
        """Settings of the recording."""

    def variables(self, run: ffprobe.RunContext) -> list[ffprobe.Variable]:
        dims, variables = sandbox_variables(run)
        variable = ffprobe.Variable
        for name in SIGNALS:
            rank, rows = f"effective rank of the {name} error signal", f"number of gradients of the {name} error signal"
            variables.append(variable(f"{name}_rank", ("row", "layer"), long_name=rank, dimensions=dims))
            variables.append(variable(f"{name}_rows", ("row", "layer"), "i4", "1", rows, dimensions=dims))
        return variables

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context: ffprobe.EpochContext) -> None:
        if (signals := record_signals(context, self.params)) is None:
            return
        for name, found in zip(SIGNALS, signals, strict=True):
            ranks, rows = _ranks(found, len(context.run.layers))
            context.record(f"{name}_rank", ranks)
            context.record(f"{name}_rows", rows)

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunCredit:
        return _RunCredit(run, label)

    def columns(self, results: Sequence[_RunCredit]) -> list[ffprobe.Column]:
        column = ffprobe.Column
        return [
            column("depth", "", "layer number, from 1", key=True),
            column("first", "1", "effective rank of the rule's error signal in the first sandbox", ".1f"),
            column("local", "1", "effective rank of the rule's error signal in the last sandbox", ".1f"),
            column("backprop", "1", "effective rank of backpropagation's in the last sandbox", ".1f"),
            column("share", "1", "local / backprop", ".2f"),
        ]

    def claims(self, results: Sequence[_RunCredit]) -> list[ffprobe.Claim]:
        several = len(results) > 1
        verdicts = [result.verdict(several) for result in results if result.is_local()]
        claim = (
            "the error signal of a layer that learns by its goodness has an effective rank of 2.2, that of"
            " backpropagation 31.7 (12 convolutions, CIFAR-10)."
        )
        joint = ffprobe.joint_claim("The Price of Locality (arXiv:2609.33240)", claim, verdicts)
        return [joint] if joint else []

    def draw(self, figure: Figure, results: Sequence[_RunCredit]) -> None:
        """A solid line for each run's rule, a dashed one for backpropagation through the same weights."""
        axes, series = figure.subplots(), []
        for colour, result in enumerate(results):
            names = [result.label, f"{result.label}, backprop"] if len(results) > 1 else ["local", "backprop"]
            for name, label, look in zip(SIGNALS, names, ("line", "second"), strict=True):
                y = result.ranks[name][-1].tolist()
                if any(v == v for v in y):
                    x = range(1, len(y) + 1)
                    series.append(ffprobe.Series(label=label, x=x, y=y, colour=colour, look=look))
        axes.set_yscale("log")
        ffprobe.line_by_layer(axes, series, ylabel="effective rank of error signal")


def effective_rank(gradients: torch.Tensor) -> float:
    """``(tr G)^2 / tr G^2`` of ``G = X X'`` for the rows X of the gradients ``[rows, ...]``; NaN if all are 0.

    No mean is subtracted, so a direction that all rows share counts.
    """
    x = gradients.flatten(1).float()
    x = x / x.abs().max()  # gradients may be so small that their fourth power is 0
    gram = (x @ x.T).double().cpu() if x.device.type != "mps" else (x @ x.T).cpu().double()
    return float(gram.trace() ** 2 / gram.square().sum())


def _ranks(signals: Mapping[int, ErrorSignal], depth: int) -> tuple[list[float], list[int]]:
    """Effective rank and number of rows of each layer; NaN and 0 without a gradient."""
    found = [signals[i].activation if i in signals else None for i in range(depth)]
    ranks = [float("nan") if gradients is None else effective_rank(gradients) for gradients in found]
    return ranks, [0 if gradients is None else len(gradients) for gradients in found]


class _RunCredit:
    """The effective ranks of one run."""

    def __init__(self, run: ffprobe.RunFile, label: str) -> None:
        self.run, self.label = run, label
        group = "probes/credit"
        if not run.has(f"{group}/local_rank"):
            raise ffprobe.FileError("No error signals were recorded in this run.", where=str(run.path), hint=RECORD)
        self.steps = [int(step) for step in run.read(f"{group}/step")]
        if not self.steps:
            hint = "Resume the run until its first epoch is committed."
            raise ffprobe.FileError("The file has no error signals yet.", where=str(run.path), hint=hint)
        self.images = int(run.read(f"{group}/images")[-1])
        self.ranks: dict[str, np.ndarray] = {s: run.read(f"{group}/{s}_rank").astype(float) for s in SIGNALS}
        self.passes = {s: int(run.read(f"{group}/{s}_rows")[-1].max()) for s in SIGNALS}

    def rows(self) -> Iterator[tuple[Any, ...]]:
        local, backprop = (self.ranks[name] for name in SIGNALS)
        for i, values in enumerate(zip(local[0], local[-1], backprop[-1], strict=True)):
            first, last, other = map(float, values)
            yield (i + 1, first, last, other, last / other)

    def notes(self) -> Iterator[str]:
        steps = ", ".join(map(str, self.steps[:6])) + " ..." * (len(self.steps) > 6)
        rows = f"at most {self.passes['local']} rows of local gradients, {self.passes['backprop']} of backpropagation's"
        yield f"sandboxes after step {steps}; {self.images} images: {rows}, which bound the ranks."
        if not (self.ranks["local"][-1] == self.ranks["local"][-1]).any():
            yield "the rule of this run teaches no layer by a gradient of its activation."
        if not self.passes["backprop"]:
            yield "backpropagation's cross entropy is not defined: the input shows no label, and goodness needs it."

    def is_local(self) -> bool:
        """Whether layers learn by losses of their own."""
        names = ffprobe.run_components(self.run)
        return names.get("rule") == "forward-forward" and names.get("scheduler") != "whole"

    def verdict(self, several: bool) -> ffprobe.RunVerdict:
        """Agrees if every layer's rank is below half of backpropagation's, differs if none is."""
        pairs = [(a, b) for _, _, a, b, _ in self.rows() if a == a and b == b]
        label = self.label if several else ""
        if not pairs:
            return ffprobe.judge(self.run, label, None, "no layer has both signals", paper=CNN12)
        below = sum(a < b / 2 for a, b in pairs)
        agrees = True if below == len(pairs) else None if below else False
        (low, high), (least, most) = ((min(v), max(v)) for v in zip(*pairs, strict=True))
        text = f"{low:.1f} to {high:.1f} against {least:.1f} to {most:.1f}; below half of it in {below} of {len(pairs)}"
        return ffprobe.judge(self.run, label, agrees, f"{text} layers", paper=CNN12)

    def to_dict(self) -> dict[str, Any]:
        ranks = {f"{name}_rank": values for name, values in self.ranks.items()}
        return {"label": self.label, "path": str(self.run.path), "steps": self.steps, "images": self.images, **ranks}


CNN12 = ffprobe.paper_setting("cnn12", "cifar10")
"""The paper's network of twelve convolutions, which is not a network of this project."""


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Credit]
