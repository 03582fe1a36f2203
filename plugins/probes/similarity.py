"""How alike are layers to each other, and to the layers of another run? Linear CKA."""

from typing import Literal

from pydantic import Field

import ffprobe

LEAST_COMMON = 50
"""With fewer images in common two runs are not compared."""


class Similarity(ffprobe.Probe):
    """Linear CKA between all layers of a run, and between the layers of the first run and of each other run.

    Runs are compared on the images that all of them recorded, by their index in the data set. The debiased estimate
    is the default: the biased one grows towards 1 for unrelated layers as units outnumber images. Activations are those
    of the last recording, with the neutral label, reduced to ``recording.max_features`` numbers.
    """

    name = "similarity"
    source = "Kornblith and others 2019 (arXiv:1905.00414), equation 4; debiased as in Song and others 2012, equation 5"
    needs = frozenset({"activations"})

    class Params(ffprobe.Params):
        """What is compared, and how."""

        stage: Literal["pre", "post"] = Field("pre", description="activations before or after the normalizer")
        debiased: bool = Field(True, description="unbiased HSIC; False for the plain, biased estimate")
        images: int = Field(2000, ge=8, le=100_000, description="at most so many images, spread evenly over all")

    def analyze(self, runs):
        labels = ffprobe.run_labels(runs)
        recorded = [ffprobe.RecordedActivations(run) for run in runs]
        chosen = _common(recorded, self.params.images)
        _check_same(recorded, chosen)
        found = [_read(one, rows, self.params.stage) for one, rows in zip(recorded, chosen, strict=True)]
        pairs = [(i, i) for i in range(len(runs))] + [(0, i) for i in range(1, len(runs))]
        matrices = {pair: self._compare(found[pair[0]], found[pair[1]]) for pair in pairs}
        several, images = len(runs) > 1, len(chosen[0])
        depths = list(range(max(len(one) for one in found)))
        rows = []
        for (i, j), matrix in matrices.items():
            for (depth, layer), values in zip(found[i], matrix.tolist(), strict=True):
                head = (labels[i], labels[j]) if several else ()
                rows.append((*head, depth, layer, *values, *[None] * (len(depths) - len(values))))

        def draw(figure):
            _draw(figure, found, labels, matrices, several)

        return ffprobe.Result(
            name=self.name,
            question=f"How alike are the layers' representations of the same {images} images (linear CKA)?",
            columns=_columns(several, depths),
            rows=rows,
            notes=[*self._notes(found, labels, matrices, recorded, images)],
            claims=[claim for i in range(1, len(runs)) if (claim := _seeds(runs, labels, matrices, found, i))],
            extra={"settings": self.params.model_dump(), "images": images, "labels": labels},
            draw=draw,
            size=(3.25, 2.9) if not several else (6.75, 2.9 * -(-len(pairs) // 2)),
            runs=runs,
        )

    def _compare(self, first, second):
        """CKA ``[layers of one, layers of the other]``."""
        import numpy as np

        values = np.full((len(first), len(second)), np.nan)
        for i, a in enumerate(first.values()):
            for j, b in enumerate(second.values()):
                known = first is second and j < i
                values[i, j] = values[j, i] if known else ffprobe.linear_cka(a, b, debiased=self.params.debiased)
        return values

    def _notes(self, found, labels, matrices, recorded, images):
        if self.params.debiased:
            yield (
                "Debiased estimate (unbiased HSIC): about 0 for unrelated layers whatever their width; noise can take"
                " it below 0. A dash: a layer's HSIC with itself is not positive, with so few images."
            )
        else:
            yield "Biased estimate: too high, the more so the more units there are for an image."
        for i in range(1, len(found)):
            both = [k for k, pair in enumerate(zip(found[0], found[i], strict=False)) if pair[0] == pair[1]]
            same = ", ".join(f"{matrices[0, i][k, k]:.2f}" for k in both)
            yield f"Same layers of {labels[0]} and {labels[i]}, input first: {same}."
        fewest = min(len(one.truth) for one in recorded)
        if images < fewest:
            yield f"{images} of {fewest} recorded images: those that all runs recorded, at most {self.params.images}."
        if pooled := ", ".join(sorted({p for one in recorded if (p := one.pooled())})):
            yield f"Activations were reduced before they were recorded: {pooled}."


def _check_same(recorded, chosen):
    """Refuse runs whose chosen images are not the same ones.

    The recorded pixels decide. Where those are missing, the hash of the training images must be equal, which it is
    only for runs of one seed.
    """
    import numpy as np

    first, place = recorded[0], recorded[0].places[0]
    for one, rows in zip(recorded[1:], chosen[1:], strict=True):
        if place.depth or one.places[0].depth:
            hashes = [r.run.attributes.get("dataset_sha256") for r in (first, one)]
            same = hashes[0] == hashes[1]
        else:
            a, b = (_rows_of(r.matrix(place), k) for r, k in ((first, chosen[0]), (one, rows)))
            same = a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=1e-3)
        if not same or not np.array_equal(first.truth[chosen[0]], one.truth[rows]):
            what = "The runs recorded different images under the same index: CKA compares answers to the same images."
            hint = "Compare runs on the same data set, with the same version of its files."
            raise ffprobe.FileError(what, where=f"{first.run.path}, {one.run.path}", hint=hint)


def _common(recorded, most):
    """For each run, the rows of the images that all runs recorded, in the same order of images."""
    import numpy as np

    first = recorded[0]
    index = [one.run.read("activations/source_index") for one in recorded]
    if all(np.array_equal(index[0], other) for other in index):  # the same images in the same order
        rows = [np.arange(len(index[0]))] * len(index)
    else:
        shared = index[0]
        for other in index[1:]:
            shared = np.intersect1d(shared, other)
        places = [dict(zip(own.tolist(), range(len(own)), strict=True)) for own in index]
        rows = [np.array([place[k] for k in shared.tolist()], int) for place in places]
        if len(shared) < LEAST_COMMON:
            what = f"These runs have only {len(shared)} recorded images in common; {LEAST_COMMON} are the least."
            hint = "Record more images (--set recording.samples=...), or train with the same seed, which picks them."
            raise ffprobe.FileError(what, where=", ".join(str(one.run.path) for one in recorded), hint=hint)
    if len(rows[0]) < 8:
        what = f"CKA needs at least 8 images, and {len(rows[0])} were recorded."
        raise ffprobe.FileError(what, where=str(first.run.path), hint="Record more (--set recording.samples=...).")
    spread = np.unique(np.linspace(0, len(rows[0]) - 1, min(most, len(rows[0]))).round().astype(int))
    return [own[spread] for own in rows]


def _rows_of(matrix, rows):
    """Some rows of a recording, read in blocks."""
    import numpy as np

    kept, parts, start = np.zeros(matrix.shape[0], bool), [], 0
    kept[rows] = True
    for block in matrix.blocks(4096):
        parts.append(block[kept[start : start + len(block)]])
        start += len(block)
    return np.concatenate(parts)[np.argsort(np.argsort(rows))]  # blocks come in the file's order


def _read(recorded, rows, stage):
    """Centred features of the chosen images by (depth, layer); the input's stand first."""
    import numpy as np

    found = {}
    for place in recorded.places:
        if place.depth and place.stage != stage:
            continue
        matrix = recorded.matrix(place)
        x = _rows_of(matrix, rows)
        if not np.isfinite(x).all():
            hint = "The run diverged there: look at its losses and its learning rate."
            raise ffprobe.FileError("The activations hold NaN or infinity.", where=matrix.name, hint=hint)
        features = ffprobe.CentredFeatures(x)
        if features.constant:
            what = "CKA is not defined here: the layer answers alike to every image."
            raise ffprobe.FileError(
                what, where=matrix.name, hint="`ffprobe analyze representations` shows dead layers."
            )
        found[place.depth, place.layer] = features
    return found


def _columns(several, depths):
    keys = [("run", "whose layers the rows are"), ("with_run", "whose layers the columns are")] if several else []
    keys += [("depth", "position of the layer, from 1; 0 is the input"), ("layer", "its name in the run file")]
    columns = [ffprobe.Column(name, "", text, key=True) for name, text in keys]
    for depth in depths:
        name, text = ("input", "the image") if depth == 0 else (f"layer_{depth}", f"the layer at depth {depth}")
        columns.append(ffprobe.Column(name, "1", f"linear CKA with {text}", ".2f"))
    return columns


def _seeds(runs, labels, matrices, found, i):
    """Kornblith and others: the most similar layer of another seed is the same layer."""
    configs = [{k: v for k, v in runs[k].config.items() if k in ("network", "training")} for k in (0, i)]
    components = [ffprobe.run_components(runs[k]) for k in (0, i)]
    seeds = [runs[k].config.get("seed") for k in (0, i)]
    if configs[0] != configs[1] or components[0] != components[1] or seeds[0] == seeds[1]:
        return None
    matrix = matrices[0, i][1:, 1:]  # the input is the same in both
    if len(matrix) < 3 or matrix.shape[0] != matrix.shape[1]:
        return None
    hits = int((matrix.argmax(axis=1) == range(len(matrix))).sum())
    share = hits / len(matrix)
    agrees = True if share >= 0.9 else False if share <= 0.5 else None
    said = "between two networks that differ in their seed alone, the layer most alike is nearly always the same layer"
    said += " (convolutional networks under backpropagation on CIFAR-10)."
    here = f"so it is for {hits} of {len(matrix)} layers of {labels[0]} in {labels[i]}."
    return ffprobe.Claim("Kornblith and others 2019, Table 2", said, here, agrees)


def _draw(figure, found, labels, matrices, several):
    """A heat map for each pair of runs; all on the same colours."""
    import numpy as np

    count = len(matrices)
    grid = np.atleast_1d(figure.subplots(-(-count // 2), 2) if several else figure.subplots()).ravel()
    for axes in grid[count:]:
        axes.set_axis_off()
    used = list(grid[:count])
    image = None
    for axes, ((i, j), matrix) in zip(used, matrices.items(), strict=True):
        image = ffprobe.heat_map(
            axes,
            matrix,
            [_tick(key) for key in found[i]],
            [_tick(key) for key in found[j]],
            "linear CKA",
            limits=(0, 1),
            square=True,
            bar=not several,
            xlabel=f"layer of {labels[j]}" if several else "layer",
            ylabel=f"layer of {labels[i]}" if several else "layer",
        )
    if several:
        figure.colorbar(image, ax=list(grid), label="linear CKA").outline.set_visible(False)


def _tick(key):
    return str(key[0]) if key[0] else "input"


@ffprobe.hookimpl
def ffprobe_components():
    return [Similarity]
