"""What do each layer's activations look like: dead, sparse, selective, of how many dimensions, apart by class?"""

import ffprobe

MEASURES = {
    "dead": ("%", "units that are 0 on every image", ".1f"),
    "constant": ("%", "units that have one value on every image, 0 or another", ".1f"),
    "active": ("%", "activations that are not 0", ".1f"),
    "hoyer": ("1", "Hoyer's sparsity of an image's activations: 0 all units alike, 1 one unit alone", ".2f"),
    "class_entropy": ("1", "a unit's spread over classes: 0 answers to one class only, 1 to all alike", ".2f"),
    "effective_rank": ("1", "exp of the entropy of the covariance's eigenvalues", ".1f"),
    "participation_ratio": ("1", "(sum of eigenvalues)^2 / sum of their squares", ".1f"),
    "fisher_ratio": ("1", "tr S_b / tr S_w: scatter between classes over scatter within", ".3f"),
    "nearest_mean": ("%", "held-out accuracy of the nearest class mean", ".1f"),
}
"""Unit, description and format of every measure, by its name in ``ffprobe.Representation``."""
DRAWN = {
    "dead": "dead units (%)",
    "active": "active (%)",
    "class_entropy": "class entropy",
    "effective_rank": "effective rank",
    "fisher_ratio": "Fisher ratio",
    "nearest_mean": "nearest mean (%)",
}


class Representations(ffprobe.Probe):
    """Dead units, sparsity, class selectivity, dimensionality and class separation of each layer's activations.

    All recorded images count, with the neutral label, before and after the normalizer; the nearest class mean is fitted
    on images that were learned from and scored on held-out ones. Maps are average-pooled before they are recorded, so a
    unit is a pooled one: it is 0 only where all its positions are, and it is active where one of them is. Beside each
    number stands that of the untrained network.
    """

    name = "representations"
    source = (
        "DeeperForward (ICLR 2025) Appendix I (dead units); Tosato and others 2023 (arXiv:2305.18353) (sparse class"
        " ensembles); Roy and Vetterli 2007 (effective rank)"
    )
    needs = frozenset({"activations"})

    def analyze(self, runs):
        labels = ffprobe.run_labels(runs)
        found = [_Described(run, label) for run, label in zip(runs, labels, strict=True)]
        rows, several = [row for one in found for row in one.rows], len(runs) > 1

        def draw(figure):
            _draw(figure, rows, labels)

        return ffprobe.Result(
            name=self.name,
            question="What do each layer's activations look like, beside the untrained network's?",
            columns=_columns(several),
            rows=rows if several else [row[1:] for row in rows],
            notes=ffprobe.joint_notes([(one.label, one.notes()) for one in found]) + NOTES,
            claims=[claim for claim in (_sparse_and_selective(found, several),) if claim],
            extra={"runs": [one.to_dict() for one in found]},
            draw=draw,
            size=(3.25, 4.6),
            runs=runs,
        )


NOTES = [
    "A class entropy of 1 is a unit that answers to all classes alike, 0 one that answers to a single class; dead"
    " units do not count. Ranks are at most the number of images less 1.",
    "Fisher ratio and nearest mean look at plain Euclidean distances, so a normalizer that rescales them changes it.",
]


def _columns(several):
    keys = [("run", "what tells the run apart")] if several else []
    keys += [
        ("depth", "position of the layer, from 1; 0 is the input"),
        ("layer", "its name in the run file"),
        ("stage", "pre or post the normalizer"),
    ]
    columns = [ffprobe.Column(name, "", text, key=True) for name, text in keys]
    for name, (unit, text, form) in MEASURES.items():
        columns.append(ffprobe.Column(name, unit, f"{text}, after training", form))
        columns.append(ffprobe.Column(f"untrained_{name}", unit, f"{text}, before training", form))
    return columns


class _Described:
    """The representations of one run."""

    def __init__(self, run, label):
        self.run, self.label = run, label
        self.recorded = ffprobe.RecordedActivations(run)
        self.rows, self.undefined = [], set()
        for place in self.recorded.places:
            trained = self._measure(place, -1)
            untrained = self._measure(place, 0) if self.recorded.untrained(place) else [float("nan")] * len(trained)
            self.undefined |= {name for name, v in zip(MEASURES, trained, strict=True) if v != v or v == float("inf")}
            paired = [v for pair in zip(trained, untrained, strict=True) for v in pair]
            self.rows.append((label, *place, *paired))

    def _measure(self, place, row):
        one, matrix = self.recorded, self.recorded.matrix(place, row)
        told = ffprobe.describe_representation(matrix, one.truth, one.held, matrix.name)
        percent = {name for name, (unit, _, _) in MEASURES.items() if unit == "%"}
        return [getattr(told, name) * (100 if name in percent else 1) for name in MEASURES]

    def at(self, depth, name):
        """A measure before the normalizer, after and before training."""
        row = next(row for row in self.rows if row[1] == depth and row[3] == "pre")
        i = 4 + 2 * list(MEASURES).index(name)
        return row[i], row[i + 1]

    def notes(self):
        one = self.recorded
        held = int(one.held.sum())
        yield f"{len(one.held)} images, {held} of them held out, after epoch {one.last_epoch}."
        if pooled := one.pooled():
            yield f"Activations were reduced before they were recorded ({pooled}): a unit is what that leaves."
        if not all(one.untrained(place) for place in one.places if place.depth):
            yield "The untrained network was not recorded, so there is nothing to compare with."
        if self.undefined:
            names = ", ".join(name for name in MEASURES if name in self.undefined)
            yield f"Not defined at some layers, where all images look alike or classes do not spread: {names}."

    def to_dict(self):
        held = int(self.recorded.held.sum())
        counts = {"images": len(self.recorded.held), "held_out_images": held, "epoch": self.recorded.last_epoch}
        return {"label": self.label, "path": str(self.run.path), **counts}


def _sparse_and_selective(found, several):
    """Tosato and others: Forward-Forward makes units few and selective for a class."""
    told = []
    for one in found:
        if ffprobe.run_components(one.run).get("rule") != "forward-forward":
            continue
        depths = [place.depth for place in one.recorded.places if place.depth and place.stage == "pre"]
        label, votes = one.label if several else "", []
        for depth in depths:
            (active, active_before), (entropy, entropy_before) = (one.at(depth, n) for n in ("active", "class_entropy"))
            if all(v == v for v in (active, active_before, entropy, entropy_before)):
                votes.append((active < active_before, entropy < entropy_before))
        if not votes:
            told.append((label, None, "the untrained network was not recorded, or its units are dead"))
            continue
        fewer, choosier = (sum(vote[k] for vote in votes) for k in (0, 1))
        both = sum(all(vote) for vote in votes)
        agrees = True if 2 * both > len(votes) else False if 2 * max(fewer, choosier) < len(votes) else None
        text = f"training leaves fewer units active in {fewer}, and units more selective in {choosier}, of {len(votes)}"
        told.append((label, agrees, f"{text} layers"))
    said = (
        "trained with Forward-Forward, few units answer to an image, and they are specific to its class (fully"
        " connected networks, small images with the label in them)."
    )
    return ffprobe.joint_claim("Tosato and others 2023 (arXiv:2305.18353)", said, told)


def _draw(figure, rows, labels):
    """Small multiples over depth; a colour for each run, filled before and hollow after the normalizer."""
    from matplotlib.lines import Line2D

    grid = figure.subplots(3, 2, sharex=True)
    for axes, (name, title) in zip(grid.flat, DRAWN.items(), strict=True):
        column, series = 4 + 2 * list(MEASURES).index(name), []
        for i, label in enumerate(labels):
            for stage, look in (("pre", "line"), ("post", "second")):
                own = [row for row in rows if row[0] == label and row[1] and row[3] == stage]
                x, y, before = ([row[k] for row in own] for k in (1, column, column + 1))
                series.append({"label": "", "x": x, "y": y, "colour": i, "look": look})
                if stage == "pre":
                    series.append({"label": "", "x": x, "y": before, "colour": i, "look": "floor"})
        ffprobe.line_by_layer(axes, series, ylabel=title)
        if axes not in grid[-1]:
            axes.set_xlabel("")
        axes.set_ylim(bottom=0)
    grey = {"color": "0.35", "linewidth": 1, "markersize": 3.6}
    key = {
        "before the normalizer": Line2D([], [], marker="o", **grey),
        "after the normalizer": Line2D([], [], marker="o", markerfacecolor="white", linestyle=(0, (3, 1.5)), **grey),
        "before, untrained": Line2D([], [], linestyle=(0, (1, 1.5)), **grey),
    }
    if len(labels) > 1:  # the first line of each run in the first panel stands for it
        lines = [container.lines[0] for container in grid.flat[0].containers][::3]
        key |= dict(zip(labels, lines, strict=True))
    figure.legend(key.values(), key.keys(), loc="outside lower center", ncols=2)


@ffprobe.hookimpl
def ffprobe_components():
    return [Representations]
