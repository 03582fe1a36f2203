"""Which parameters does each layer's loss really reach?"""

from pydantic import Field

import ffprobe

RECORD = "Train again with --plugin locality."
COUNTS = ("gradient", "changed", "gradient_outside", "changed_outside")


class Locality(ffprobe.Probe):
    """An audit of the learning rule: after an update, which parameters hold a gradient, and which have changed?

    The first steps of an epoch are audited, in two epochs out of every ``2 * every``. Numbers are compared with a copy
    from before the update, so that rules that write weights by hand are covered; only parameters are looked at, running
    statistics are not learned. An update may reach the layers that it declares (``Update.layers``), and the encoder
    where those begin with the first layer. A gradient that another group's graph left behind counts as a leak.
    """

    name = "locality"
    source = "Trifecta (arXiv:2311.18130) Appendix F; Update.layers is what is declared"

    class Params(ffprobe.Params):
        """How much is audited."""

        steps: int = Field(2, ge=1, description="steps audited at the beginning of an audited epoch")
        every: int = Field(
            10, ge=1, description="audit two epochs in a row out of every 2 * every, the first two always"
        )

    def __init__(self, params=None):
        super().__init__(params)
        self._before, self._counts, self._updates = {}, None, None

    def variables(self, run):
        layers = tuple(layer.name for layer in run.layers)
        parameters = tuple(_parameters(run.network))
        dims = (
            ffprobe.Dimension("row", None, long_name="audited epoch"),
            ffprobe.Dimension("loss", len(layers), "str", layers, long_name="layer that the loss sits on"),
            ffprobe.Dimension("parameter", len(parameters), "str", parameters, long_name="parameter"),
        )
        texts = ("hold a gradient", "changed", "hold one outside of the declared layers", "changed outside of them")
        return [
            ffprobe.Variable("epoch", ("row",), "i4", "epoch", "epoch, from 0", dimensions=dims),
            ffprobe.Variable("updates", ("row", "loss"), "i4", long_name="audited updates", dimensions=dims),
            *(
                ffprobe.Variable(
                    n, ("row", "loss", "parameter"), "i4", "1", f"updates after which they {t}", True, dimensions=dims
                )
                for n, t in zip(COUNTS, texts, strict=True)
            ),
        ]

    @ffprobe.hookimpl
    def ffprobe_before_epoch(self, context):
        self._before, self._counts, self._updates = {}, None, None
        if (context.epoch // 2) % self.params.every == 0:
            self._before = {name: p.detach().clone() for name, p in _parameters(context.run.network).items()}
            self._updates = [0] * len(context.run.layers)
            self._first = context.step

    @ffprobe.hookimpl
    def ffprobe_after_update(self, context):
        import torch

        if not self._before or context.step >= self._first + self.params.steps:
            self._before = {}  # frees the copies
            return
        parameters = _parameters(context.run.network)
        device = next(iter(parameters.values())).device
        if self._counts is None:
            size = (len(context.run.layers), len(COUNTS), len(parameters))
            self._counts = torch.zeros(size, dtype=torch.int64, device=device)
        no = torch.zeros((), dtype=torch.bool, device=device)
        gradient = torch.stack([no if p.grad is None else (p.grad != 0).any() for p in parameters.values()])
        changed = torch.stack([(p.detach() != self._before[name]).any() for name, p in parameters.items()])
        outside = torch.tensor([not _declared(name, context.layers) for name in parameters], device=device)
        # kept on the device: reading a number would wait for it
        self._counts[context.loss_layer] += torch.stack([gradient, changed, gradient & outside, changed & outside])
        self._updates[context.loss_layer] += 1
        for name, p in parameters.items():
            self._before[name].copy_(p.detach())

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context):
        if self._counts is not None:
            context.record("epoch", context.epoch)
            context.record("updates", self._updates)
            for name, counts in zip(COUNTS, self._counts.cpu().unbind(1), strict=True):
                context.record(name, counts)
        self._before, self._counts = {}, None

    def analyze(self, runs):
        labels = ffprobe.run_labels(runs)
        found = [_Recorded(run, label) for run, label in zip(runs, labels, strict=True)]
        several = len(runs) > 1
        rows = [row for one in found for row in one.rows()]
        column = ffprobe.Column
        columns = [
            *([column("run", "", "what tells the run apart", key=True)] if several else []),
            column("loss", "", "layer that the loss sits on, from 1", key=True),
            column("updates", "1", "audited updates by this loss", "d"),
            column("gradient", "", "layers with a parameter that held a gradient afterwards"),
            column("changed", "", "layers with a parameter that changed"),
            column("leaks", "", "parameters reached outside of the layers that the rule declared"),
        ]
        return ffprobe.Result(
            name=self.name,
            question="Which parameters does each layer's loss really reach?",
            columns=columns,
            rows=rows if several else [row[1:] for row in rows],
            notes=[note for one in found for note in one.notes(several)],
            claims=[one.claim(several) for one in found],
            extra={"runs": [one.to_dict() for one in found]},
            draw=lambda figure: _draw(figure, found),
            size=(3.25, 2.6 * len(found)),
            runs=runs,
        )


def _parameters(network):
    """Parameters by the names of the run file."""
    return {name.removeprefix("layers."): parameter for name, parameter in network.named_parameters()}


def _place(name):
    """The layer of a parameter, from 0; -1 for the encoder."""
    owner = name.partition(".")[0]
    return int(owner) if owner.isdecimal() else -1


def _declared(name, layers):
    place = _place(name)
    return place in layers or (place == -1 and 0 in layers)


class _Recorded:
    """The audit of one run."""

    def __init__(self, run, label):
        import numpy as np

        self.run, self.label, group = run, label, "probes/locality"
        if not run.has(f"{group}/changed"):
            raise ffprobe.FileError("This run was not audited.", where=str(run.path), hint=RECORD)
        self.epochs = [int(epoch) for epoch in run.read(f"{group}/epoch")]
        if not self.epochs:
            hint = "Let it go on until its first epoch is committed."
            raise ffprobe.FileError("No audit is in the file yet.", where=str(run.path), hint=hint)
        self.parameters = [str(name) for name in run.read(f"{group}/parameter")]
        self.depth = len(run.read(f"{group}/loss"))
        self.updates = run.read(f"{group}/updates").sum(axis=0)  # [loss]
        self.counts = {name: run.read(f"{group}/{name}").sum(axis=0) for name in COUNTS}  # [loss, parameter]
        self.places = np.array([_place(name) for name in self.parameters])

    def matrix(self):
        """Share of a loss's updates that reached a layer, ``[loss, encoder and layers]``; NaN without updates."""
        import numpy as np

        reached = np.maximum(self.counts["gradient"], self.counts["changed"])
        columns = [reached[:, self.places == place] for place in range(-1, self.depth)]
        most = np.stack([c.max(axis=1) if c.shape[1] else np.zeros(self.depth) for c in columns], axis=1)
        return np.where(self.updates[:, None] > 0, most / np.maximum(self.updates, 1)[:, None], np.nan)

    def reached(self, name, loss):
        """Places of the parameters that this loss reached, -1 for the encoder."""
        return sorted({int(place) for place in self.places[self.counts[name][loss] > 0]})

    def leaks(self, loss):
        """Names of parameters reached outside of what was declared."""
        both = self.counts["gradient_outside"][loss] + self.counts["changed_outside"][loss]
        return [name for name, count in zip(self.parameters, both, strict=True) if count]

    def span(self):
        """The most layers that one loss reaches, the encoder not counted."""
        both = [set(self.reached("gradient", i)) | set(self.reached("changed", i)) for i in range(self.depth)]
        return max(len(places - {-1}) for places in both)

    def verdict(self):
        """One of three sentences."""
        leaks = {i: names for i in range(self.depth) if (names := self.leaks(i))}
        if leaks:
            told = "; ".join(f"the loss on layer {i + 1} reaches {_few(names)}" for i, names in leaks.items())
            return f"LEAK: {told}, outside of the layers that the rule declared."
        span = self.span()
        if span == 0:
            return "nothing is learned: no audited update held a gradient or changed a parameter."
        return (
            "strictly local: each loss reaches its own layer only."
            if span == 1
            else (f"groups of up to {span} layers, and nothing outside of them.")
        )

    def rows(self):
        for loss in range(self.depth):
            count = int(self.updates[loss])
            texts = [_ranges(self.reached(name, loss)) for name in ("gradient", "changed")]
            leaks = _few(self.leaks(loss)) or "none"
            yield (self.label, loss + 1, count, *(texts if count else (None, None)), leaks if count else None)

    def notes(self, several):
        of = f"{self.label}: " if several else ""
        yield f"{of}{self.verdict()}"
        epochs = ", ".join(str(epoch + 1) for epoch in self.epochs[:6]) + (" ..." if len(self.epochs) > 6 else "")
        yield f"{of}{int(self.updates.sum())} updates audited, in epoch {epochs}."
        unseen = [str(i + 1) for i in range(self.depth) if not self.updates[i]]
        if unseen:
            yield (
                f"{of}no audited update had its loss on layer {', '.join(unseen)}; a longer audit is recorded with"
                " --plugin locality:steps=N."
            )
        if any(self.leaks(i) for i in range(self.depth)):
            yield "Parameters carry their names in the file, which count layers from 0."

    def claim(self, several):
        scheduler = (self.run.config.get("scheduler") or {}).get("name", "")
        most = {"greedy": 1, "olu": 2}.get(scheduler)
        of = f"{self.label}: " if several else ""
        here = f"{of}{self.verdict()}"
        agrees = None
        if most:
            clean = not any(self.leaks(i) for i in range(self.depth))
            agrees = clean and 0 < self.span() <= most
            here += f" It agrees under {scheduler} where a loss reaches at most {most} and nothing leaks."
        said = "Greedy updates stay within a layer; under OLU a loss reaches its layer and the one before, no further."
        return ffprobe.Claim("Trifecta, Appendix F", said, here, agrees)

    def to_dict(self):
        leaks = {str(i + 1): self.leaks(i) for i in range(self.depth) if self.leaks(i)}
        document = {"label": self.label, "verdict": self.verdict(), "span": self.span(), "leaks": leaks}
        return {**document, "reached": self.matrix(), "epochs": self.epochs}


def _few(names, most=4):
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _ranges(places):
    """``encoder, 1-2, 5`` for [-1, 0, 1, 4]."""
    parts, run = [], []
    for place in [*(p for p in places if p >= 0), None]:
        if run and (place is None or place != run[-1] + 1):
            parts.append(str(run[0] + 1) if len(run) == 1 else f"{run[0] + 1}-{run[-1] + 1}")
            run = []
        run.append(place)
    return ", ".join((["encoder"] if -1 in places else []) + parts) or "none"


def _draw(figure, found):
    """A heat map for each run: losses down, what they reach across; leaks are framed."""
    from matplotlib.patches import Rectangle

    panels = figure.subplots(len(found), 1, squeeze=False)[:, 0]
    for axes, one in zip(panels, found, strict=True):
        layers = [str(i + 1) for i in range(one.depth)]
        ffprobe.heat_map(
            axes,
            one.matrix(),
            layers,
            ["enc.", *layers],
            "share of its updates",
            limits=(0, 1),
            numbers=None,
            square=True,
            xlabel="reaches layer",
            ylabel="loss on layer",
        )
        if len(found) > 1:
            axes.set_title(one.label, loc="left")
        for loss in range(one.depth):
            for place in {_place(name) for name in one.leaks(loss)}:
                frame = Rectangle((place + 0.5, loss - 0.5), 1, 1, fill=False, edgecolor="#bd1f01", linewidth=1.5)
                axes.add_patch(frame)


@ffprobe.hookimpl
def ffprobe_components():
    return [Locality]
