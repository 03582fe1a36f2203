"""How large are gradients, and do a layer's two objectives pull the same way? The paper's Figures 2 and 7."""

from itertools import pairwise

from pydantic import Field, field_validator

import ffprobe

ROLES = ("own", "shared")
OWN, SHARED = range(2)
TURNS = 256
"""Steps ahead that are looked through for update groups that a rehearsal should see."""
SMALLEST_FP16, NORMAL_FP16 = 2.0**-24, 2.0**-14
RECORD = "Train again with --plugin gradients."
PLAIN_LENGTH = ("length", "rms", "layernorm")


class Gradients(ffprobe.Probe):
    """The l2 norm of every layer's weight gradient at every step, apart by role, and what fp16 would leave of it.

    A layer's role is ``own`` where the loss sits on that layer, ``shared`` where it sits on a later layer of its update
    group (OLU: the next one). Norms stay on the device until the epoch ends; those of an interrupted epoch are dropped.

    In rehearsals (every so many steps, on the epoch's last batch) every update group is tried with the same weights and
    negatives: the cosine between a layer's two gradients, and of the gradients of its activation the share that fp16
    without a loss scaler would round to zero (at most 2^-25) or keep with fewer bits (below 2^-14). Gradients that are
    exactly zero, such as those behind a ReLU, are not counted.
    """

    name = "gradients"
    source = "Trifecta (arXiv:2311.18130) Figures 2 and 7, Appendices E and F"

    class Params(ffprobe.Params):
        """What is recorded, and which layers are drawn."""

        every: int = Field(1, ge=1, description="record two steps in a row out of every 2 * every (both turns of OLU)")
        sandbox_every: int = Field(500, ge=1, description="minimum steps between two sandboxes; one runs at the end")
        layers: tuple[int, ...] = Field((), description="layers drawn, as [1,3,6]; first and last unless given")

        @field_validator("layers", mode="before")
        @classmethod
        def _one_is_a_list(cls, value):
            return [value] if isinstance(value, int) else value

    def __init__(self, params=None):
        super().__init__(params)
        self._weights, self._kept, self._cells, self._norms = [], [], [], []

    def variables(self, run):
        names = tuple(layer.name for layer in run.layers)

        def dims(group, text):
            return (
                ffprobe.Dimension(f"{group}/row", None, long_name=text),
                ffprobe.Dimension(f"{group}/role", 2, "str", ROLES, long_name="whose loss: the layer's own or a later"),
                ffprobe.Dimension(f"{group}/layer", len(names), "str", names, long_name="layer, first to last"),
            )

        steps, tried = dims("steps", "recorded step"), dims("rehearsals", "rehearsal")
        both, wide = ("row", "layer"), ("row", "role", "layer")
        variable = ffprobe.Variable
        return [
            variable("steps/step", ("row",), "i8", "step", "optimizer step, from 0", dimensions=steps),
            variable("steps/norm", wide, long_name="l2 norm of the weight's gradient", dimensions=steps),
            variable("rehearsals/step", ("row",), "i8", "step", "optimizer steps done", dimensions=tried),
            variable("rehearsals/cosine", both, long_name="cosine of own and shared gradient", dimensions=tried),
            variable("rehearsals/fp16_zero", wide, long_name="share that fp16 rounds to zero", dimensions=tried),
            variable("rehearsals/fp16_subnormal", wide, long_name="share subnormal in fp16", dimensions=tried),
        ]

    @ffprobe.hookimpl
    def ffprobe_before_epoch(self, context):
        import torch

        network = context.run.network
        self._weights = [network.layer(i).weight for i in range(len(context.run.layers))]
        self._kept, self._cells, self._norms = [], [], []
        self._norm = torch.linalg.vector_norm

    @ffprobe.hookimpl
    def ffprobe_after_update(self, context):
        step = context.step
        if (step // 2) % self.params.every:
            return
        if not self._kept or self._kept[-1] != step:
            self._kept.append(step)
        for index in context.layers:
            gradient = None if self._weights[index] is None else self._weights[index].grad
            if gradient is not None:
                self._cells.append((len(self._kept) - 1, OWN if index == context.loss_layer else SHARED, index))
                self._norms.append(self._norm(gradient))  # not read: that would wait for the device

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context):
        for step, row in zip(self._kept, self._rows(len(context.run.layers)), strict=True):
            context.record("steps/step", step)
            context.record("steps/norm", row)
        self._weights, self._kept, self._cells, self._norms = [], [], [], []
        if context.due(self.params.sandbox_every):
            context.record("rehearsals/step", context.step)
            for name, value in _rehearse(context).items():
                context.record(f"rehearsals/{name}", value)

    def _rows(self, depth):
        """The epoch's norms, ``[step, role, layer]``."""
        import numpy as np
        import torch

        rows = np.full((len(self._kept), 2, depth), np.nan)
        if self._norms:
            # a layer in several groups of one step: their gradients taken together
            squares = torch.stack(self._norms).double().square().cpu().numpy()
            cells = tuple(np.array(self._cells).T)
            rows[cells] = 0
            np.add.at(rows, cells, squares)
        return np.sqrt(rows)

    def analyze(self, runs):
        labels = ffprobe.run_labels(runs)
        found = [_Recorded(run, label) for run, label in zip(runs, labels, strict=True)]
        chosen = self.params.layers
        wrong = [layer for layer in chosen if not 1 <= layer <= max(one.depth for one in found)]
        if wrong:
            raise ffprobe.UsageError(f"There is no layer {wrong[0]}; they are counted from 1.")
        several = len(runs) > 1
        rows = [row for one in found for row in one.rows()]
        return ffprobe.Result(
            name=self.name,
            question="How large are the gradients of each layer's weight, and how much do they vary?",
            columns=_columns(several),
            rows=rows if several else [row[1:] for row in rows],
            notes=[note for one in found for note in one.notes(several)] + NOTES,
            claims=[claim for claim in (_figure_2(found), *_figure_7(found)) if claim],
            extra={"runs": [one.to_dict() for one in found]},
            draw=lambda figure: _draw(figure, found, chosen),
            size=(3.25, 2.2 * (len(found[0].roles) if not several else len(chosen or (1, 2)))),
            runs=runs,
        )


NOTES = [
    "The spread is the interquartile range of log10 of the norm within a tenth of the run (median over the tenths), so"
    " a slow trend does not count as variation.",
    "fp16 zero and subnormal: of the activation's gradients that are not zero, on one batch, mean over rehearsals.",
]


def _columns(several):
    column = ffprobe.Column
    return [
        *([column("run", "", "what tells the run apart", key=True)] if several else []),
        column("depth", "", "position of the layer, from 1", key=True),
        column("role", "", "own: by the layer's own loss; shared: by that of a later layer of its group", key=True),
        column("norm_first", "1", "median l2 norm of the gradient in the first tenth of the run", ".2e"),
        column("norm_last", "1", "the same in the last tenth", ".2e"),
        column("spread", "decades", "interquartile range of log10 of the norm within a tenth of the run", ".2f"),
        column("cosine", "1", "of the own and the shared gradient on one batch, mean over rehearsals", ".2f"),
        column("fp16_zero", "%", "of the activation's gradients that fp16 rounds to zero", ".1f"),
        column("fp16_subnormal", "%", "of them that fp16 keeps with fewer bits", ".1f"),
    ]


def _rehearse(context):
    """Cosines ``[layer]`` and shares ``[role, layer]`` on one batch, each update group tried at the same weights."""
    import torch

    run, turns = context.run, None
    gradients, shares, sizes = {}, {}, {}
    while turns is None or turns:
        # a rehearsal for each turn, since each begins with the same weights, negatives and components
        with run.sandbox() as copy:
            layers = [copy.network.layer(i) for i in range(copy.network.depth)]
            turns = _turns(copy.setup, context.step, context.epoch, len(layers)) if turns is None else turns
            if not turns:  # the schedule has ended
                break
            turn, seen = turns.pop(0), {}
            for index, layer in enumerate(layers):
                layer.register_forward_hook(_catcher(seen, index))
            for update in copy.learner.step(context.images, context.labels, *turn):
                for index in update.layers:
                    key, weight = (index != update.loss_layer, index), layers[index].weight  # False is OWN, 0
                    if sizes.setdefault(key, len(update.layers)) < len(update.layers) or weight is None:
                        continue  # the shortest group speaks for the role: OLU's pair
                    sizes[key], shares[key] = len(update.layers), seen.get(index, (None, None))
                    gradients[key] = None if weight.grad is None else weight.grad.detach().flatten().clone()
                seen.clear()

    def table(values):
        nothing = torch.tensor(torch.nan, device=context.images.device)
        return torch.stack(
            [torch.stack([_or(values.get((r, i)), nothing) for i in range(len(layers))]) for r in (0, 1)]
        )

    pairs = {i: (gradients.get((OWN, i)), gradients.get((SHARED, i))) for i in range(len(layers))}
    cosines = {
        (OWN, i): torch.cosine_similarity(*pair, dim=0, eps=0.0)
        for i, pair in pairs.items()
        if all(one is not None for one in pair)
    }
    zero, subnormal = ({key: share[k] for key, share in shares.items()} for k in (0, 1))
    return {"cosine": table(cosines)[OWN], "fp16_zero": table(zero), "fp16_subnormal": table(subnormal)}


def _or(value, nothing):
    return nothing if value is None else value.to(nothing.dtype)


def _turns(setup, step, epoch, depth):
    """The next steps and epochs in which every update group that the scheduler will ask for is seen once."""
    left, turns = set(setup.groups), []
    for turn in ((step + i, epoch + j) for j in range(2) for i in range(TURNS)):
        groups = set(ffprobe.groups_of_step(setup.scheduler, *turn, depth))
        if left & groups:
            turns.append(turn)
            left -= groups
        if not left:
            break
    return turns


def _catcher(seen, index):
    """A forward hook that leaves in ``seen[index]`` what fp16 would do to the activation's gradient."""

    def count(gradient):
        size = gradient.detach().abs().float()
        nonzero = (size > 0).sum()
        zero = ((size > 0) & (size <= SMALLEST_FP16 / 2)).sum()  # a tie rounds to the even one, zero
        seen[index] = (zero / nonzero, ((size > SMALLEST_FP16 / 2) & (size < NORMAL_FP16)).sum() / nonzero)

    def hook(module, given, activation):
        if activation.requires_grad:
            activation.register_hook(count)

    return hook


class _Recorded:
    """The norms of one run."""

    def __init__(self, run, label):
        import numpy as np

        self.run, self.label = run, label
        group = "probes/gradients"
        if not run.has(f"{group}/steps/norm"):
            raise ffprobe.FileError("No gradients were recorded in this run.", where=str(run.path), hint=RECORD)
        self.steps = run.read(f"{group}/steps/step")
        self.norms = run.read(f"{group}/steps/norm").astype(float)  # [step, role, layer]
        if not np.isfinite(self.norms).any():
            hint = "Let it go on until the first epoch is committed." if not len(self.steps) else ""
            what = "No gradient is in the file yet." if not len(self.steps) else "This run's rule left no gradients."
            raise ffprobe.FileError(what, where=str(run.path), hint=hint)
        self.depth = self.norms.shape[2]
        self.roles = [role for role in range(2) if np.isfinite(self.norms[:, role]).any()]
        self.rehearsed = run.read(f"{group}/rehearsals/step")
        names = ("cosine", "fp16_zero", "fp16_subnormal")
        self.cosine, *self.shares = (run.read(f"{group}/rehearsals/{name}").astype(float) for name in names)

    def series(self, role, layer):
        """Steps and norms where there is one."""
        import numpy as np

        values = self.norms[:, role, layer]
        there = np.isfinite(values)
        return self.steps[there], values[there]

    def median(self, layer, role=OWN, part=slice(None)):
        import numpy as np

        values = self.series(role, layer)[1][part]
        return float(np.median(values)) if len(values) else np.nan

    def tenth(self, role, layer):
        return max(1, len(self.series(role, layer)[1]) // 10)

    def spread(self, role, layer):
        """Interquartile range of log10 within tenths, median over them; NaN with fewer than 4 steps in each."""
        import numpy as np

        values = self.series(role, layer)[1]
        if len(values) < 40:
            return np.nan
        found = []
        for part in np.array_split(values, 10):
            positive = part[part > 0]
            if len(positive) >= 4:
                low, high = np.percentile(np.log10(positive), (25, 75))
                found.append(high - low)
        return float(np.median(found)) if found else np.nan

    def rows(self):
        for layer in range(self.depth):
            for role in self.roles:
                values = self.series(role, layer)[1]
                if not len(values):
                    continue
                size = self.tenth(role, layer)
                first, last = (self.median(layer, role, part) for part in (slice(size), slice(-size, None)))
                shares = [100 * _mean(share[:, role, layer]) for share in self.shares]
                cosine = _mean(self.cosine[:, layer])
                yield (self.label, layer + 1, ROLES[role], first, last, self.spread(role, layer), cosine, *shares)

    def notes(self, several):
        of = f"{self.label}: " if several else ""
        rehearsed = ", ".join(str(step) for step in self.rehearsed[:6]) + " ..." * (len(self.rehearsed) > 6)
        yield f"{of}{len(self.steps)} steps recorded; rehearsed after step {rehearsed or '(not yet)'}."
        dead = [str(i + 1) for i in range(self.depth) if any((self.series(r, i)[1] == 0).any() for r in self.roles)]
        if dead:
            yield f"{of}at some steps the gradient is exactly zero in layer {', '.join(dead)}; no part of the spread."
        if SHARED not in self.roles:
            yield f"{of}no layer learns from another's loss, so there is no cosine."
        if len(self.steps) < 40:
            yield f"{of}fewer than 40 steps are too few for a spread."

    def to_dict(self):
        return {"label": self.label, "steps": len(self.steps), "rehearsals": [int(s) for s in self.rehearsed]}

    def setting(self):
        """Every slot but the normalizer: what must be equal for two normalizers to be compared."""
        config = self.run.config
        slots = ("dataset", "network", "loss", "goodness", "scheduler", "encoder", "negatives", "rule", "training")
        return {slot: config.get(slot) for slot in slots}

    @property
    def normalizer(self):
        return (self.run.config.get("normalizer") or {}).get("name", "")


def _mean(values):
    import numpy as np

    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def _figure_2(found):
    said = (
        "FCN, SymBa, greedy, CIFAR-10: from batch to batch the gradients of layers 1 and 6 vary more under layer"
        " normalization than under batch normalization."
    )
    source = "Trifecta, Figure 2"
    batch = next((one for one in found if one.normalizer == "batchnorm"), None)
    length = next((one for one in found if one.normalizer in PLAIN_LENGTH), None)
    if batch is None or length is None:
        return None
    if batch.setting() != length.setting():
        return ffprobe.Claim(source, said, "The runs differ in more than the normalizer.")
    layers = (0, batch.depth - 1)
    spreads = [(length.spread(OWN, i), batch.spread(OWN, i)) for i in layers]
    told = "; ".join(f"layer {i + 1}: {a:.2f} against {b:.2f}" for i, (a, b) in zip(layers, spreads, strict=True))
    here = f"{length.label} against {batch.label}, spread in decades, {told}; it agrees where both are larger."
    known = all(value == value for pair in spreads for value in pair)
    return ffprobe.Claim(source, said, here, all(a > b for a, b in spreads) if known else None)


def _figure_7(found):
    left = "FCN, SymBa, greedy, CIFAR-10: without normalization gradients shrink from layer to layer."
    right = "The same: without normalization layer 6's gradients are orders of magnitude below those with it."
    none = next((one for one in found if one.normalizer == "none"), None)
    if none is None:
        return
    medians = [none.median(i) for i in range(none.depth)]
    steps = [(a, b) for a, b in pairwise(medians) if a == a and b == b]
    falls = sum(b < a for a, b in steps)
    told = ", ".join(f"{value:.1e}" for value in medians)
    here = (
        f"{none.label}: medians by layer {told}; it agrees where at least four in five layers stand below the one"
        " before, and the last a tenth of the first or less."
    )
    enough = len(steps) >= 3
    agrees = falls >= 0.8 * len(steps) and medians[-1] <= 0.1 * medians[0] if enough else None
    yield ffprobe.Claim("Trifecta, Figure 7 (left)", left, here, agrees)
    others = [one for one in found if one.normalizer != "none" and one.setting() == none.setting()]
    if not others:
        return
    last = none.depth - 1
    ratios = [
        (one.label, one.median(last) / none.median(last) if none.median(last) else float("inf")) for one in others
    ]
    told = ", ".join(f"{label} {ratio:.3g} times" for label, ratio in ratios)
    here = f"Medians of the last layer over those of {none.label}: {told}; it agrees where all are 100 or more."
    yield ffprobe.Claim("Trifecta, Figure 7 (right)", right, here, all(ratio >= 100 for _, ratio in ratios))


def _draw(figure, found, chosen):
    """One run: a panel for each role, a line for each layer; several: a panel for each layer, a line for each run."""
    if len(found) == 1:
        (one,) = found
        layers = [layer - 1 for layer in chosen] or sorted({0, one.depth - 1})
        panels = []
        for role in one.roles:
            lines = [(f"layer {i + 1}", one, role, i) for i in layers if len(one.series(role, i)[1])]
            alone = f"{lines[0][0]}, " if len(lines) == 1 else ""
            panels.append((f"{alone}{ROLES[role]} loss" if len(one.roles) > 1 or alone else "", lines))
    else:
        layers = [layer - 1 for layer in chosen] or [0, None]
        panels = []
        for layer in layers:
            at = [(one, one.depth - 1 if layer is None else layer) for one in found]
            lines = [(one.label, one, OWN, i) for one, i in at if i < one.depth]
            numbers = sorted({i + 1 for _, i in at})
            panels.append((f"layer {numbers[0]}" if len(numbers) == 1 else "last layer", lines))
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for place, (title, lines) in zip(axes, panels, strict=True):
        drawn = [(label, *_bands(*one.series(role, layer))) for label, one, role, layer in lines]
        drawn = [line for line in drawn if len(line[1])]
        place.set_yscale("log")
        ffprobe.line_by_layer(
            place,
            [{"label": label, "x": x, "y": middle} for label, x, middle, _, _ in drawn],
            xlabel="step" if place is axes[-1] else "",
            ylabel="gradient norm",
        )
        for line, (_, x, _, low, high) in zip(list(place.lines), drawn, strict=False):
            line.set_markevery(max(1, len(x) // 6))
            place.fill_between(x, low, high, color=line.get_color(), alpha=0.25, linewidth=0)
        if title:
            place.set_title(title, loc="right")


def _bands(steps, values, most=80):
    """Steps cut into at most so many pieces of 8 or more: their middle, and the 10th, 50th and 90th percentile."""
    import numpy as np

    values = np.where(values > 0, values, np.nan)  # a logarithmic axis has no zero
    there = np.isfinite(values)
    steps, values = steps[there], values[there]
    if not len(values):
        return [], [], [], []
    parts = np.array_split(np.arange(len(values)), min(most, max(1, len(values) // 8)))
    low, middle, high = np.array([np.percentile(values[part], (10, 50, 90)) for part in parts]).T
    return [float(steps[part].mean()) for part in parts], middle.tolist(), low.tolist(), high.tolist()


@ffprobe.hookimpl
def ffprobe_components():
    return [Gradients]
