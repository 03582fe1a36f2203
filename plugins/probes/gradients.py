"""How large are gradients, and do a layer's two objectives point the same way? The paper's Figures 2 and 7."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ffprobe_plugins.probes.remaining_turns import remaining_turns
from pydantic import Field, field_validator

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    import torch
    from matplotlib.figure import Figure

ROLES = ("own", "shared")
OWN, SHARED = range(2)
SMALLEST_FP16, NORMAL_FP16 = 2.0**-24, 2.0**-14
RECORD = "Train again with --plugin gradients."
PLAIN_LENGTH = ("length", "rms", "layernorm")


class Gradients(ffprobe.PerRunProbe):
    """The l2 norm of every layer's weight gradient at every step, by role, and the effect of fp16 on it.

    A layer's role is ``own`` if the loss is computed on that layer, ``shared`` if it is computed on a later layer of
    the same update group (for OLU: the next layer). Norms stay on the device until the epoch ends; those of an
    interrupted epoch are dropped.

    For a rule without gradients (``soft-hebb``, ``hebbian``), the reported change takes the place of the gradient.

    In a sandbox (at regular step intervals, on the epoch's last batch) every update group is run with the same weights
    and negatives. It gives the cosine between a layer's two gradients. Of the gradients of its activation it gives the
    share that fp16 without a loss scaler would round to zero (at most 2^-25) or represent with fewer bits (below
    2^-14). Gradients that are exactly zero, such as those behind a ReLU, are not counted.
    """

    name = "gradients"
    source = "Trifecta (arXiv:2311.18130) Figures 2 and 7, Appendices E and F"
    question = "How large are the gradients of each layer's weight, and how much do they vary?"
    label_every_note = True

    class Params(ffprobe.Params):
        """Settings of the recording, and the layers in the figure."""

        every: int = Field(
            1, ge=1, description="record two consecutive steps out of every 2 * every (both update groups of OLU)"
        )
        sandbox_every: int = Field(
            500, ge=1, description="minimum number of steps between two sandboxes; one always runs at the end"
        )
        layers: tuple[int, ...] = Field(
            (), description="numbers of the layers drawn, from 1, such as [1,3,6]; by default the first and the last"
        )

        @field_validator("layers", mode="before")
        @classmethod
        def _one_is_a_list(cls, value: Any) -> Any:
            return [value] if isinstance(value, int) else value

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self._weights: list[torch.Tensor | None] = []
        self._steps: list[int] = []
        self._cells: list[tuple[int, int, int]] = []
        self._norms: list[torch.Tensor] = []

    def variables(self, run: ffprobe.RunContext) -> list[ffprobe.Variable]:
        names = tuple(layer.name for layer in run.layers)

        def dims(group: str, text: str) -> tuple[ffprobe.Dimension, ...]:
            role = "loss of the gradient: the layer's own or that of a later layer"
            return (
                ffprobe.Dimension(f"{group}/row", None, long_name=text),
                ffprobe.Dimension(f"{group}/role", 2, "str", ROLES, long_name=role),
                ffprobe.Dimension(f"{group}/layer", len(names), "str", names, long_name="layer, first to last"),
            )

        steps, sandboxes = dims("steps", "recorded step"), dims("rehearsals", "sandbox")
        both, wide = ("row", "layer"), ("row", "role", "layer")
        variable = ffprobe.Variable
        return [
            variable("steps/step", ("row",), "i8", "step", "optimizer step, from 0", dimensions=steps),
            variable("steps/norm", wide, long_name="l2 norm of the weight's gradient", dimensions=steps),
            variable("rehearsals/step", ("row",), "i8", "step", "number of optimizer steps", dimensions=sandboxes),
            variable("rehearsals/cosine", both, long_name="cosine of own and shared gradient", dimensions=sandboxes),
            variable("rehearsals/fp16_zero", wide, long_name="share that fp16 rounds to zero", dimensions=sandboxes),
            variable("rehearsals/fp16_subnormal", wide, long_name="share subnormal in fp16", dimensions=sandboxes),
        ]

    @ffprobe.hookimpl
    def ffprobe_before_epoch(self, context: ffprobe.EpochContext) -> None:
        import torch

        network = context.run.network
        self._weights = [network.layer(i).weight for i in range(len(context.run.layers))]
        self._steps, self._cells, self._norms = [], [], []
        self._norm = torch.linalg.vector_norm

    @ffprobe.hookimpl
    def ffprobe_after_update(self, context: ffprobe.UpdateContext) -> None:
        step = context.step
        if (step // 2) % self.params.every:
            return
        if not self._steps or self._steps[-1] != step:
            self._steps.append(step)
        for index in context.layers:
            weight = self._weights[index]
            gradient = None if weight is None else context.gradient(weight)
            if gradient is not None:
                self._cells.append((len(self._steps) - 1, OWN if index == context.loss_layer else SHARED, index))
                self._norms.append(self._norm(gradient))  # not read, because that would wait for the device

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context: ffprobe.EpochContext) -> None:
        for step, row in zip(self._steps, self._rows(len(context.run.layers)), strict=True):
            context.record("steps/step", step)
            context.record("steps/norm", row)
        self._weights, self._steps, self._cells, self._norms = [], [], [], []
        if context.due(self.params.sandbox_every):
            context.record("rehearsals/step", context.step)
            for name, value in _run_sandbox(context).items():
                context.record(f"rehearsals/{name}", value)

    def _rows(self, depth: int) -> np.ndarray:
        """The epoch's norms, ``[step, role, layer]``."""
        import numpy as np
        import torch

        rows = np.full((len(self._steps), 2, depth), np.nan)
        if self._norms:
            # a layer in several groups of one step: the norm of its gradients taken together
            squares = torch.stack(self._norms).double().square().cpu().numpy()
            cells = tuple(np.array(self._cells).T)
            rows[cells] = 0
            np.add.at(rows, cells, squares)
        return np.sqrt(rows)

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunGradients:
        return _RunGradients(run, label)

    def analyze_runs(self, runs: Sequence[ffprobe.RunFile]) -> list[_RunGradients]:
        results = super().analyze_runs(runs)
        depth = max(result.depth for result in results)
        for layer in self.params.layers:
            if not 1 <= layer <= depth:
                what = f"Layer {layer} does not exist; the network has {depth} layers."
                raise ffprobe.UsageError(what, hint="Layers are numbered from 1.")
        return results

    def columns(self, results: Sequence[_RunGradients]) -> list[ffprobe.Column]:
        column = ffprobe.Column
        spread = "interquartile range of log10 of the norm within a tenth of the run"
        return [
            column("depth", "", "layer number, from 1", key=True),
            column("role", "", "own: by the layer's own loss; shared: by that of a later layer of its group", key=True),
            column("norm_first", "1", "median l2 norm of the gradient in the first tenth of the run", ".2e"),
            column("norm_last", "1", "median l2 norm of the gradient in the last tenth of the run", ".2e"),
            column("spread", "decades", spread, ".2f"),
            column("cosine", "1", "cosine of the own and the shared gradient on one batch, mean over sandboxes", ".2f"),
            column("fp16_zero", "%", "share of the activation's gradients that fp16 rounds to zero", ".1f"),
            column("fp16_subnormal", "%", "share of them that fp16 represents with fewer bits", ".1f"),
        ]

    def notes(self, results: Sequence[_RunGradients], claims: Sequence[ffprobe.Claim]) -> list[str]:
        return super().notes(results, claims) + NOTES

    def claims(self, results: Sequence[_RunGradients]) -> list[ffprobe.Claim]:
        return [claim for claim in (_figure_2(results), *_figure_7(results)) if claim]

    def draw(self, figure: Figure, results: Sequence[_RunGradients]) -> None:
        """With one run, a panel per role and a line per layer; with several, a panel per layer and a line per run."""
        one_run, layers = len(results) == 1, self.params.layers
        panels = _panels_by_role(results[0], layers) if one_run else _panels_by_layer(results, layers)
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (title, lines) in zip(grid, panels, strict=True):
            drawn = [(label, _bands(*result.series(role, layer))) for label, result, role, layer in lines]
            drawn = [(label, bands) for label, bands in drawn if bands[0]]
            axes.set_yscale("log")
            ffprobe.line_by_layer(
                axes,
                [ffprobe.Series(label=label, x=x, y=middle) for label, (x, middle, _, _) in drawn],
                xlabel="step" if axes is grid[-1] else "",
                ylabel="gradient norm",
            )
            for line, (_, (x, _, low, high)) in zip(list(axes.lines), drawn, strict=False):
                line.set_markevery(max(1, len(x) // 6))
                axes.fill_between(x, low, high, color=line.get_color(), alpha=0.25, linewidth=0)
            if title:
                axes.set_title(title, loc="right")

    def figure_size(self, results: Sequence[_RunGradients]) -> tuple[float, float]:
        panels = len(results[0].roles) if len(results) == 1 else len(self.params.layers or (1, 2))
        return 3.25, 2.2 * panels


NOTES = [
    "The spread is the interquartile range of log10 of the norm within a tenth of the run (median over the tenths), so"
    " a slow trend does not count as variation.",
    "fp16 zero and subnormal: share of the activation's nonzero gradients, on one batch, mean over sandboxes.",
]


def _run_sandbox(context: ffprobe.EpochContext) -> dict[str, torch.Tensor]:
    """Cosines ``[layer]`` and shares ``[role, layer]`` on one batch, each update group run with the same weights."""
    import torch

    run, images, labels = context.run, context.images, context.labels
    assert images is not None and labels is not None
    gradients: dict[tuple[int, int], torch.Tensor | None] = {}
    shares: dict[tuple[int, int], tuple[torch.Tensor | None, torch.Tensor | None]] = {}
    sizes: dict[tuple[int, int], int] = {}
    turns: list[tuple[int, int]] | None = None
    while turns is None or turns:
        # one sandbox for each step, because each starts with the same weights, negatives and components
        with run.sandbox() as copy:
            layers = [copy.network.layer(i) for i in range(copy.network.depth)]
            turns = remaining_turns(copy.setup, context.step, context.epoch, len(layers)) if turns is None else turns
            if not turns:  # the schedule has ended
                break
            turn = turns.pop(0)
            seen: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
            for index, layer in enumerate(layers):
                layer.register_forward_hook(_catcher(seen, index))
            for update in copy.learner.step(images, labels, *turn):
                for index in update.layers:
                    key, weight = (OWN if index == update.loss_layer else SHARED, index), layers[index].weight
                    if sizes.setdefault(key, len(update.layers)) < len(update.layers) or weight is None:
                        continue  # the smallest group represents the role: OLU's pair
                    sizes[key], shares[key] = len(update.layers), seen.get(index, (None, None))
                    gradient = update.gradient(weight)
                    gradients[key] = None if gradient is None else gradient.detach().flatten().clone()
                seen.clear()

    def table(values: Mapping[tuple[int, int], torch.Tensor | None]) -> torch.Tensor:
        nan = torch.tensor(torch.nan, device=images.device)
        cells = [[values.get((role, i)) for i in range(len(layers))] for role in (OWN, SHARED)]
        return torch.stack([torch.stack([nan if v is None else v.to(nan.dtype) for v in row]) for row in cells])

    cosines = {
        (OWN, i): torch.cosine_similarity(own, shared, dim=0, eps=0.0)
        for i in range(len(layers))
        if (own := gradients.get((OWN, i))) is not None and (shared := gradients.get((SHARED, i))) is not None
    }
    zero, subnormal = ({key: share[k] for key, share in shares.items()} for k in (0, 1))
    return {"cosine": table(cosines)[OWN], "fp16_zero": table(zero), "fp16_subnormal": table(subnormal)}


def _catcher(seen: dict[int, Any], index: int) -> Callable[[Any, Any, torch.Tensor], None]:
    """A forward hook that stores in ``seen[index]`` the effect of fp16 on the activation's gradient."""

    def count(gradient: torch.Tensor) -> None:
        size = gradient.detach().abs().float()
        nonzero = (size > 0).sum()
        zero = ((size > 0) & (size <= SMALLEST_FP16 / 2)).sum()  # a tie rounds to even, which is zero
        seen[index] = (zero / nonzero, ((size > SMALLEST_FP16 / 2) & (size < NORMAL_FP16)).sum() / nonzero)

    def hook(module: Any, inputs: Any, activation: torch.Tensor) -> None:
        if activation.requires_grad:
            activation.register_hook(count)

    return hook


class _RunGradients:
    """The gradient norms of one run."""

    def __init__(self, run: ffprobe.RunFile, label: str) -> None:
        import numpy as np

        self.run, self.label = run, label
        group = "probes/gradients"
        if not run.has(f"{group}/steps/norm"):
            raise ffprobe.FileError("No gradients were recorded in this run.", where=str(run.path), hint=RECORD)
        self.steps = run.read(f"{group}/steps/step")
        self.norms: np.ndarray = run.read(f"{group}/steps/norm").astype(float)  # [step, role, layer]
        if not np.isfinite(self.norms).any():
            hint = "Resume the run until its first epoch is committed." if not len(self.steps) else ""
            what = (
                "The file has no gradients yet." if not len(self.steps) else "The rule of this run left no gradients."
            )
            raise ffprobe.FileError(what, where=str(run.path), hint=hint)
        self.depth = self.norms.shape[2]
        self.roles = [role for role in range(2) if np.isfinite(self.norms[:, role]).any()]
        self.sandboxes = run.read(f"{group}/rehearsals/step")
        names = ("cosine", "fp16_zero", "fp16_subnormal")
        self.cosine, *self.shares = (run.read(f"{group}/rehearsals/{name}").astype(float) for name in names)

    def series(self, role: int, layer: int) -> tuple[np.ndarray, np.ndarray]:
        """Steps and norms, where a norm was recorded."""
        import numpy as np

        values = self.norms[:, role, layer]
        known = np.isfinite(values)
        return self.steps[known], values[known]

    def median(self, layer: int, role: int = OWN, part: slice = slice(None)) -> float:
        import numpy as np

        values = self.series(role, layer)[1][part]
        return float(np.median(values)) if len(values) else float("nan")

    def spread(self, role: int, layer: int) -> float:
        """Interquartile range of log10 within tenths, median over them; NaN with fewer than 4 steps in each."""
        import numpy as np

        values = self.series(role, layer)[1]
        if len(values) < 40:
            return float("nan")
        ranges = []
        for part in np.array_split(values, 10):
            positive = part[part > 0]
            if len(positive) >= 4:
                low, high = np.percentile(np.log10(positive), (25, 75))
                ranges.append(high - low)
        return float(np.median(ranges)) if ranges else float("nan")

    def rows(self) -> Iterator[tuple[Any, ...]]:
        for layer in range(self.depth):
            for role in self.roles:
                count = len(self.series(role, layer)[1])
                if not count:
                    continue
                tenth = max(1, count // 10)
                first, last = (self.median(layer, role, part) for part in (slice(tenth), slice(-tenth, None)))
                shares = [100 * _mean(share[:, role, layer]) for share in self.shares]
                cosine = _mean(self.cosine[:, layer])
                yield (layer + 1, ROLES[role], first, last, self.spread(role, layer), cosine, *shares)

    def notes(self) -> Iterator[str]:
        steps = ", ".join(str(step) for step in self.sandboxes[:6]) + " ..." * (len(self.sandboxes) > 6)
        yield f"{len(self.steps)} steps recorded; sandboxes after step {steps or '(not yet)'}."
        dead = [str(i + 1) for i in range(self.depth) if any((self.series(r, i)[1] == 0).any() for r in self.roles)]
        if dead:
            layers = ", ".join(dead)
            yield f"at some steps the gradient is exactly zero in layer {layers}; the spread excludes these steps."
        if SHARED not in self.roles:
            yield "no layer learns from another layer's loss, so there is no cosine."
        if len(self.steps) < 40:
            yield "fewer than 40 steps are too few for a spread."

    def to_dict(self) -> dict[str, Any]:
        return {"label": self.label, "steps": len(self.steps), "rehearsals": [int(s) for s in self.sandboxes]}

    def setting(self) -> dict[str, Any]:
        """All slots but the normalizer: two normalizers are comparable if these are equal."""
        config = self.run.config
        slots = ("dataset", "network", "loss", "goodness", "scheduler", "encoder", "negatives", "rule", "training")
        return {slot: config.get(slot) for slot in slots}

    @property
    def normalizer(self) -> str:
        return str((self.run.config.get("normalizer") or {}).get("name", ""))


def _mean(values: np.ndarray) -> float:
    import numpy as np

    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


FCN = ffprobe.paper_setting("fcn", "cifar10", 100)


def _figure_2(results: Sequence[_RunGradients]) -> ffprobe.Claim | None:
    source = "Trifecta, Figure 2"
    claim = (
        "FCN, SymBa, greedy, CIFAR-10: from batch to batch the gradients of layers 1 and 6 vary more under layer"
        " normalization than under batch normalization."
    )
    batch = next((result for result in results if result.normalizer == "batchnorm"), None)
    length = next((result for result in results if result.normalizer in PLAIN_LENGTH), None)
    if batch is None or length is None:
        return None
    if batch.setting() != length.setting():
        reason = "The runs differ in more than the normalizer"
        return ffprobe.joint_claim(source, claim, [ffprobe.judge([batch.run, length.run], "", None, reason, paper=FCN)])
    layers = (0, batch.depth - 1)
    spreads = [(length.spread(OWN, i), batch.spread(OWN, i)) for i in layers]
    text = "; ".join(f"layer {i + 1}: {a:.2f} against {b:.2f}" for i, (a, b) in zip(layers, spreads, strict=True))
    here = f"{length.label} against {batch.label}, spread in decades, {text}; it agrees if both are larger"
    known = all(value == value for pair in spreads for value in pair)
    agrees = all(a > b for a, b in spreads) if known else None
    return ffprobe.joint_claim(source, claim, [ffprobe.judge([length.run, batch.run], "", agrees, here, paper=FCN)])


def _figure_7(results: Sequence[_RunGradients]) -> Iterator[ffprobe.Claim | None]:
    left = "FCN, SymBa, greedy, CIFAR-10: without normalization gradients shrink from layer to layer."
    right = "The same: without normalization layer 6's gradients are orders of magnitude below those with it."
    none = next((result for result in results if result.normalizer == "none"), None)
    if none is None:
        return
    medians = [none.median(i) for i in range(none.depth)]
    steps = [(a, b) for a, b in pairwise(medians) if a == a and b == b]
    falls = sum(b < a for a, b in steps)
    text = ", ".join(f"{value:.1e}" for value in medians)
    here = (
        f"{none.label}: medians by layer {text}; it agrees if at least four in five layers are below the one before,"
        " and the last is at most a tenth of the first"
    )
    enough = len(steps) >= 3
    agrees = falls >= 0.8 * len(steps) and medians[-1] <= 0.1 * medians[0] if enough else None
    verdict = ffprobe.judge(none.run, "", agrees, here, paper=FCN)
    yield ffprobe.joint_claim("Trifecta, Figure 7 (left)", left, [verdict])
    others = [result for result in results if result.normalizer != "none" and result.setting() == none.setting()]
    if not others:
        return
    last = none.depth - 1
    base = none.median(last)
    ratios = [(result.label, result.median(last) / base if base else float("inf")) for result in others]
    text = ", ".join(f"{label} {ratio:.3g} times" for label, ratio in ratios)
    here = f"Medians of the last layer over those of {none.label}: {text}; it agrees if all are at least 100"
    runs = [none.run, *(result.run for result in others)]
    verdict = ffprobe.judge(runs, "", all(ratio >= 100 for _, ratio in ratios), here, paper=FCN)
    yield ffprobe.joint_claim("Trifecta, Figure 7 (right)", right, [verdict])


_Bands = tuple[list[float], list[float], list[float], list[float]]
_Panels = list[tuple[str, list[tuple[str, _RunGradients, int, int]]]]
"""For each panel its title and its lines: label, run, role, layer."""


def _panels_by_role(result: _RunGradients, numbers: Sequence[int]) -> _Panels:
    """A panel for each role, a line for each layer."""
    layers = [number - 1 for number in numbers] or sorted({0, result.depth - 1})
    panels: _Panels = []
    for role in result.roles:
        lines = [(f"layer {i + 1}", result, role, i) for i in layers if len(result.series(role, i)[1])]
        single = f"{lines[0][0]}, " if len(lines) == 1 else ""
        panels.append((f"{single}{ROLES[role]} loss" if len(result.roles) > 1 or single else "", lines))
    return panels


def _panels_by_layer(results: Sequence[_RunGradients], numbers: Sequence[int]) -> _Panels:
    """A panel for each layer, a line for each run."""
    layers: list[int | None] = [number - 1 for number in numbers]
    panels: _Panels = []
    for layer in layers or [0, None]:
        at = [(result, result.depth - 1 if layer is None else layer) for result in results]
        lines = [(result.label, result, OWN, i) for result, i in at if i < result.depth]
        shown = sorted({i + 1 for _, i in at})
        panels.append((f"layer {shown[0]}" if len(shown) == 1 else "last layer", lines))
    return panels


def _bands(steps: np.ndarray, values: np.ndarray, most: int = 80) -> _Bands:
    """At most ``most`` intervals of 8 steps or more: their middle, and the 10th, 50th and 90th percentile."""
    import numpy as np

    values = np.where(values > 0, values, np.nan)  # a logarithmic axis has no zero
    known = np.isfinite(values)
    steps, values = steps[known], values[known]
    if not len(values):
        return [], [], [], []
    parts = np.array_split(np.arange(len(values)), min(most, max(1, len(values) // 8)))
    low, middle, high = np.array([np.percentile(values[part], (10, 50, 90)) for part in parts]).T
    return [float(steps[part].mean()) for part in parts], middle.tolist(), low.tolist(), high.tolist()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Gradients]
