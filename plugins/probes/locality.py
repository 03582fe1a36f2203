"""Which parameters does the loss of each layer reach?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    import torch
    from matplotlib.figure import Figure

RECORD = "Train again with --plugin locality."
COUNTS = ("gradient", "changed", "gradient_outside", "changed_outside")
Step = list[tuple[int, range, dict[str, tuple["torch.Tensor | None", "torch.Tensor"]]]]
"""The updates of one step: loss layer, declared layers, and gradient and value of each parameter afterwards."""
ENCODER = -1


class Locality(ffprobe.PerRunProbe):
    """An audit of the learning rule: which parameters have a gradient after an update, and which have changed?

    In each audited epoch, random steps are audited; they come from the run's stream ``probes``, so that a resumed run
    audits the same ones. Values are compared with a copy from before the update, so rules that write weights directly
    are also covered. Only parameters are compared, because running statistics are not learned. An update may reach the
    layers that it declares (``Update.layers``), and the encoder if those include the first layer. A gradient that the
    graph of another group left behind counts as a leak.

    An audit of what an update writes cannot see what it reads: a loss of a lower layer that is scaled by the error of
    the last one writes to its own layer only. Therefore an intervention follows at the end of an audited epoch, at
    regular step intervals. In a sandbox, one step is repeated with random noise added to the weights of all layers from
    layer k on, for every k at which no update crosses from below k to k or above. The updates below k must be the same
    bit for bit. Two steps without noise must agree, too; otherwise the device does not reproduce results, and nothing
    is compared.

    Both are samples: they can find a leak, and cannot prove that there is none.
    """

    name = "locality"
    source = "Trifecta (arXiv:2311.18130) Appendix F; Update.layers declares the layers"
    question = "Which parameters does the loss of each layer reach?"
    label_every_note = True

    class Params(ffprobe.Params):
        """Settings of the audit."""

        steps: int = Field(2, ge=1, description="number of steps audited in an audited epoch, chosen at random")
        every: int = Field(
            1,
            ge=1,
            description="audit two consecutive epochs out of every 2 * every; the first two are always audited; 1 "
            "audits every epoch, so that a leak that begins late is found",
        )
        sandbox_every: int = Field(
            500, ge=1, description="minimum number of steps between two interventions; one always runs at the end"
        )

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self._before: dict[str, torch.Tensor] = {}
        self._counts: torch.Tensor | None = None
        self._updates: list[int] = []
        self._chosen: set[int] = set()

    def variables(self, run: ffprobe.RunContext) -> list[ffprobe.Variable]:
        layers = tuple(layer.name for layer in run.layers)
        parameters = tuple(_parameters(run.network))
        dims = (
            ffprobe.Dimension("row", None, long_name="audited epoch"),
            ffprobe.Dimension("loss", len(layers), "str", layers, long_name="layer of the loss"),
            ffprobe.Dimension("parameter", len(parameters), "str", parameters, long_name="parameter"),
        )
        texts = (
            "number of updates after which it has a gradient",
            "number of updates that changed it",
            "the same of gradient, if its layer is not declared",
            "the same of changed, if its layer is not declared",
        )
        counts = [
            ffprobe.Variable(name, ("row", "loss", "parameter"), "i4", "1", text, True, dimensions=dims)
            for name, text in zip(COUNTS, texts, strict=True)
        ]
        return [
            ffprobe.Variable("epoch", ("row",), "i4", "epoch", "epoch, from 0", dimensions=dims),
            ffprobe.Variable("updates", ("row", "loss"), "i4", long_name="audited updates", dimensions=dims),
            *counts,
            ffprobe.Variable(
                "compared",
                ("row", "loss"),
                "i4",
                "1",
                "number of updates compared with noise in the weights of deeper layers",
                dimensions=dims,
            ),
            ffprobe.Variable(
                "dependent",
                ("row", "loss", "parameter"),
                "i4",
                "1",
                "number of those updates in which its gradient or its value was not the same",
                True,
                dimensions=dims,
            ),
        ]

    @ffprobe.hookimpl
    def ffprobe_before_epoch(self, context: ffprobe.EpochContext) -> None:
        self._before, self._counts, self._updates, self._chosen = {}, None, [], set()
        if (context.epoch // 2) % self.params.every == 0:
            order = _random_order(context)
            self._chosen = {context.step + offset for offset in order[: self.params.steps]}
            self._updates = [0] * len(context.run.layers)
            self._copy_before(context.run, context.step)

    def _copy_before(self, run: ffprobe.RunContext, step: int) -> None:
        """Copy the parameters if the next step, ``step``, is audited; else free the copies."""
        audited = step in self._chosen
        self._before = {name: p.detach().clone() for name, p in _parameters(run.network).items()} if audited else {}

    @ffprobe.hookimpl
    def ffprobe_after_step(self, context: ffprobe.StepContext) -> None:
        if self._before or context.step + 1 in self._chosen:
            self._copy_before(context.run, context.step + 1)

    @ffprobe.hookimpl
    def ffprobe_after_update(self, context: ffprobe.UpdateContext) -> None:
        import torch

        if not self._before:
            return
        parameters = _parameters(context.run.network)
        device = next(iter(parameters.values())).device
        if self._counts is None:
            size = (len(context.run.layers), len(COUNTS), len(parameters))
            self._counts = torch.zeros(size, dtype=torch.int64, device=device)
        no = torch.zeros((), dtype=torch.bool, device=device)
        found = [context.gradient(p) for p in parameters.values()]
        gradient = torch.stack([no if g is None else (g != 0).any() for g in found])
        changed = torch.stack([(p.detach() != self._before[name]).any() for name, p in parameters.items()])
        outside = torch.tensor([not _is_declared(name, context.layers) for name in parameters], device=device)
        # kept on the device, because reading a value would wait for it
        self._counts[context.loss_layer] += torch.stack([gradient, changed, gradient & outside, changed & outside])
        self._updates[context.loss_layer] += 1
        for name, p in parameters.items():
            self._before[name].copy_(p.detach())

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context: ffprobe.EpochContext) -> None:
        import torch

        due = context.due(self.params.sandbox_every)
        if self._counts is not None or due:
            depth = len(context.run.layers)
            counts = self._counts
            if counts is None:
                counts = torch.zeros(depth, len(COUNTS), len(_parameters(context.run.network)), dtype=torch.int64)
            context.record("epoch", context.epoch)
            context.record("updates", self._updates or [0] * depth)
            for name, values in zip(COUNTS, counts.cpu().unbind(1), strict=True):
                context.record(name, values)
            compared, dependent = _intervene(context, due)
            context.record("compared", compared)
            context.record("dependent", dependent)
        self._before, self._counts = {}, None

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunLocality:
        return _RunLocality(run, label)

    def columns(self, results: Sequence[_RunLocality]) -> list[ffprobe.Column]:
        column = ffprobe.Column
        return [
            column("loss", "", "number of the layer that the loss is computed on, from 1", key=True),
            column("updates", "1", "number of audited updates by this loss", "d"),
            column("gradient", "", "layers with a parameter that had a gradient after an update"),
            column("changed", "", "layers with a parameter that changed"),
            column("leaks", "", "parameters reached outside of the layers that the rule declared"),
            column("compared", "1", "number of updates compared with noise in the weights of deeper layers", "d"),
            column("depends", "", "parameters whose update was then not the same bit for bit"),
        ]

    def notes(self, results: Sequence[_RunLocality], claims: Sequence[ffprobe.Claim]) -> list[str]:
        notes = super().notes(results, claims)
        if any(result.leaks(i) or result.dependent(i) for result in results for i in range(result.depth)):
            notes.append("Parameters have their names in the file, where layers are numbered from 0.")
        return notes

    def claims(self, results: Sequence[_RunLocality]) -> list[ffprobe.Claim]:
        return [result.claim(len(results) > 1) for result in results]

    def draw(self, figure: Figure, results: Sequence[_RunLocality]) -> None:
        """A heat map for each run: losses in rows, the layers that they reach in columns; leaks are framed."""
        from matplotlib.patches import Rectangle

        panels = figure.subplots(len(results), 1, squeeze=False)[:, 0]
        for axes, result in zip(panels, results, strict=True):
            layers = [str(i + 1) for i in range(result.depth)]
            ffprobe.heat_map(
                axes,
                result.matrix(),
                layers,
                ["enc.", *layers],
                "share of its updates",
                limits=(0, 1),
                numbers=None,
                square=True,
                xlabel="reaches layer",
                ylabel="loss on layer",
            )
            if len(results) > 1:
                axes.set_title(result.label, loc="left")
            for loss in range(result.depth):
                for index in {_layer_of(name) for name in result.leaks(loss)}:
                    corner = (index + 0.5, loss - 0.5)
                    axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="#bd1f01", linewidth=1.5))

    def figure_size(self, results: Sequence[_RunLocality]) -> tuple[float, float]:
        return 3.25, 2.6 * len(results)


def _parameters(network: Any) -> dict[str, torch.Tensor]:
    """Parameters by their names in the run file."""
    return {name.removeprefix("layers."): parameter for name, parameter in network.named_parameters()}


def _random_order(context: ffprobe.EpochContext) -> list[int]:
    """The steps of the epoch, from 0, in a random order that a resumed run draws again."""
    import torch

    first = context.epoch * context.run.steps_per_epoch
    generator = ffprobe.stream(int(context.run.config["seed"]), "probes", first)
    return torch.randperm(context.run.steps_per_epoch, generator=generator).tolist()


def _intervene(context: ffprobe.EpochContext, due: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers of updates compared ``[loss]``, and of those that were not the same ``[loss, parameter]``.

    The step is a random one of the epoch, and the one after it for layers that an update of the first one crosses:
    under a scheduler that alternates, these are other groups.
    """
    import torch

    depth, names = len(context.run.layers), list(_parameters(context.run.network))
    compared, dependent = torch.zeros(depth, dtype=torch.int64), torch.zeros(depth, len(names), dtype=torch.int64)
    step, open_cuts = context.step - context.run.steps_per_epoch + _random_order(context)[0], set(range(1, depth))
    for index in (step, step + 1) if due else ():
        reference = _sandbox_step(context, index, depth)
        crossed = {k for _, layers, _ in reference for k in range(layers.start + 1, layers.stop)}
        crossed |= {k for loss, layers, _ in reference for k in range(layers.start + 1, loss + 1)}
        cuts = {k for k in open_cuts - crossed if any(layers.stop <= k for _, layers, _ in reference)}
        if not cuts or any(map(len, _differences(reference, _sandbox_step(context, index, depth), depth))):
            continue
        open_cuts -= cuts
        for k in sorted(cuts):
            differences = _differences(reference, _sandbox_step(context, index, k), k)
            below = [loss for loss, layers, _ in reference if layers.stop <= k]
            for loss, found in zip(below, differences, strict=True):
                compared[loss] += 1
                for name in found:
                    dependent[loss, names.index(name)] += 1
    return compared, dependent


def _sandbox_step(context: ffprobe.EpochContext, step: int, first: int) -> Step:
    """The updates of one step in a new sandbox, with noise in the weights of the layers from index ``first`` on."""
    import torch

    updates: Step = []
    with context.run.sandbox() as copy:
        parameters = _parameters(copy.network)
        generator = ffprobe.stream(int(context.run.config["seed"]), "probes", context.step)
        with torch.no_grad():
            for name, p in parameters.items():
                if _layer_of(name) >= first:
                    noise = torch.randn(p.shape, generator=generator).to(p)
                    p.add_(noise * p.abs().mean().clamp_min(0.1))  # also where all of it is 0
        for update in copy.learner.step(context.images, context.labels, step, context.epoch):
            state = {
                name: (None if (g := update.gradient(p)) is None else g.detach().clone(), p.detach().clone())
                for name, p in parameters.items()
                if _layer_of(name) < first
            }
            updates.append((update.loss_layer, update.layers, state))
    return updates


def _differences(before: Step, after: Step, below: int) -> list[list[str]]:
    """For each update of layers below index ``below``: the parameters of these layers that are not the same."""
    import torch

    pairs = [[state for _, layers, state in updates if layers.stop <= below] for updates in (before, after)]
    if len(pairs[0]) != len(pairs[1]):  # the schedule itself depends on the weights: nothing is the same
        return [[name for name in state if _layer_of(name) < below] for state in pairs[0]]
    found = []
    for one, other in zip(*pairs, strict=True):
        names = [name for name in one if _layer_of(name) < below]
        same = {
            name: torch.equal(one[name][1], other[name][1])
            and (one[name][0] is None) == (other[name][0] is None)
            and (one[name][0] is None or torch.equal(one[name][0], other[name][0]))
            for name in names
        }
        found.append([name for name in names if not same[name]])
    return found


def _layer_of(name: str) -> int:
    """Index of a parameter's layer, from 0; ``ENCODER`` for the encoder."""
    owner = name.partition(".")[0]
    return int(owner) if owner.isdecimal() else ENCODER


def _is_declared(name: str, layers: range) -> bool:
    index = _layer_of(name)
    return index in layers or (index == ENCODER and 0 in layers)


class _RunLocality:
    """The audit of one run."""

    def __init__(self, run: ffprobe.RunFile, label: str) -> None:
        import numpy as np

        self.run, self.label, group = run, label, "probes/locality"
        if not run.has(f"{group}/changed"):
            raise ffprobe.FileError("This run was not audited.", where=str(run.path), hint=RECORD)
        self.epochs = [int(epoch) for epoch in run.read(f"{group}/epoch")]
        if not self.epochs:
            hint = "Resume the run until its first epoch is committed."
            raise ffprobe.FileError("The file has no audit yet.", where=str(run.path), hint=hint)
        self.parameters = [str(name) for name in run.read(f"{group}/parameter")]
        self.depth = len(run.read(f"{group}/loss"))
        updates = run.read(f"{group}/updates")  # [row, loss]
        self.audited = [epoch for epoch, count in zip(self.epochs, updates.sum(axis=1), strict=True) if count]
        self.updates = updates.sum(axis=0)  # [loss]
        self.counts = {name: run.read(f"{group}/{name}").sum(axis=0) for name in COUNTS}  # [loss, parameter]
        self.indices = np.array([_layer_of(name) for name in self.parameters])
        self.intervened = run.has(f"{group}/dependent")  # files before version 0.2.0 have none
        self.compared = np.zeros(self.depth, int)
        self.dependence = np.zeros((self.depth, len(self.parameters)), int)
        if self.intervened:
            self.compared = run.read(f"{group}/compared").sum(axis=0)
            self.dependence = run.read(f"{group}/dependent").sum(axis=0)

    def matrix(self) -> np.ndarray:
        """Share of a loss's updates that reached a layer, ``[loss, encoder and layers]``; NaN without updates."""
        import numpy as np

        reached = np.maximum(self.counts["gradient"], self.counts["changed"])
        columns = [reached[:, self.indices == index] for index in range(ENCODER, self.depth)]
        most = np.stack([c.max(axis=1) if c.shape[1] else np.zeros(self.depth) for c in columns], axis=1)
        return np.where(self.updates[:, None] > 0, most / np.maximum(self.updates, 1)[:, None], np.nan)

    def reached(self, name: str, loss: int) -> list[int]:
        """Indices of the layers of the parameters that this loss reached, ``ENCODER`` for the encoder."""
        return sorted({int(index) for index in self.indices[self.counts[name][loss] > 0]})

    def leaks(self, loss: int) -> list[str]:
        """Names of the parameters reached outside of the declared layers."""
        both = self.counts["gradient_outside"][loss] + self.counts["changed_outside"][loss]
        return [name for name, count in zip(self.parameters, both, strict=True) if count]

    def dependent(self, loss: int) -> list[str]:
        """Names of the parameters whose update by this loss was not the same with noise in deeper weights."""
        return [name for name, count in zip(self.parameters, self.dependence[loss], strict=True) if count]

    def span(self) -> int:
        """Maximum over the losses of the last layer minus the first, plus 1; without the encoder.

        The layers of a loss are its own and those that it reaches; a loss that reaches nothing counts as 0.
        """
        spans = [0]
        for loss in range(self.depth):
            indices = {*self.reached("gradient", loss), *self.reached("changed", loss)} - {ENCODER}
            if indices:
                indices.add(loss)
                spans.append(max(indices) - min(indices) + 1)
        return max(spans)

    def verdict(self) -> str:
        """The result of the audit, one sentence."""
        leaks = {i: names for i in range(self.depth) if (names := self.leaks(i))}
        if leaks:
            text = "; ".join(f"the loss on layer {i + 1} reaches {_few(names)}" for i, names in leaks.items())
            return f"LEAK: {text}, outside of the layers that the rule declared."
        span, count = self.span(), int(self.updates.sum())
        if span == 0:
            return f"nothing is learned: none of {count} audited updates left a gradient or changed a parameter."
        reads = {i: names for i in range(self.depth) if (names := self.dependent(i))}
        if reads:
            text = "; ".join(f"the loss on layer {i + 1} ({_few(names)})" for i, names in reads.items())
            return f"DEPENDENT ON DEEPER LAYERS: noise in deeper weights changed the updates by {text}."
        reach = "each loss reached only its own layer" if span == 1 else f"a loss spanned up to {span} layers"
        return f"no parameter outside of the declared layers was written in {count} audited updates; {reach}."

    def rows(self) -> Iterator[tuple[Any, ...]]:
        for loss in range(self.depth):
            count = int(self.updates[loss])
            texts = [_ranges(self.reached(name, loss)) for name in ("gradient", "changed")]
            leaks, compared = _few(self.leaks(loss)) or "none", int(self.compared[loss])
            reads = (compared, (_few(self.dependent(loss)) or "none") if compared else None)
            yield (loss + 1, count, *(texts if count else (None, None)), leaks if count else None, *reads)

    def notes(self) -> Iterator[str]:
        yield self.verdict()
        epochs = ", ".join(str(epoch + 1) for epoch in self.audited[:6]) + (" ..." if len(self.audited) > 6 else "")
        yield f"{int(self.updates.sum())} updates audited at random steps, in epoch {epochs}."
        total = int(self.compared.sum())
        if not self.intervened:
            yield f"no intervention was recorded, so a loss that reads deeper layers would not be found. {RECORD}"
        elif not total:
            yield (
                "no intervention was possible: every update includes the last layer, or the device does not reproduce a"
                " step bit for bit."
            )
        elif not self.dependence.any():
            yield f"with noise in the weights of deeper layers, {total} of {total} updates were the same bit for bit."
        unseen = [str(i + 1) for i in range(self.depth) if not self.updates[i]]
        if unseen:
            yield (
                f"no audited update had its loss on layer {', '.join(unseen)}; for a longer audit, train with"
                " --plugin locality:steps=N."
            )

    def claim(self, several: bool) -> ffprobe.Claim:
        scheduler = (self.run.config.get("scheduler") or {}).get("name", "")
        most = {"greedy": 1, "olu": 2}.get(scheduler)
        of = f"{self.label}: " if several else ""
        here = f"{of}{self.verdict()}"
        agrees = None
        if most:
            clean = not any(self.leaks(i) or self.dependent(i) for i in range(self.depth))
            agrees = clean and 0 < self.span() <= most
            here += f" It agrees under {scheduler} if a loss reaches at most {most} and nothing leaks."
        claim = "Greedy updates stay within a layer; under OLU a loss reaches only its own layer and the one before."
        return ffprobe.Claim("Trifecta, Appendix F", claim, here, agrees)

    def to_dict(self) -> dict[str, Any]:
        leaks = {str(i + 1): self.leaks(i) for i in range(self.depth) if self.leaks(i)}
        document = {"label": self.label, "verdict": self.verdict(), "span": self.span(), "leaks": leaks}
        reads = {str(i + 1): self.dependent(i) for i in range(self.depth) if self.dependent(i)}
        counts = {"updates": int(self.updates.sum()), "compared": int(self.compared.sum())}
        return {**document, "dependent": reads, **counts, "reached": self.matrix(), "epochs": self.epochs}


def _few(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _ranges(indices: Sequence[int]) -> str:
    """``encoder, 1-2, 5`` for [-1, 0, 1, 4]."""
    parts, run = [], list[int]()
    for index in [*(i for i in indices if i >= 0), None]:
        if run and (index is None or index != run[-1] + 1):
            parts.append(str(run[0] + 1) if len(run) == 1 else f"{run[0] + 1}-{run[-1] + 1}")
            run = []
        if index is not None:
            run.append(index)
    return ", ".join((["encoder"] if ENCODER in indices else []) + parts) or "none"


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Locality]
