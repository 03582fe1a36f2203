"""How similar are layers to each other, and to the layers of another run? Linear CKA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

LEAST_COMMON = 50
"""Minimum number of common images to compare two runs."""


class Similarity(ffprobe.Probe):
    """Linear CKA between all layers of a run, and between the layers of the first run and of each other run.

    Runs are compared on the images that all of them recorded, matched by their index in the data set. The debiased
    estimate is the default, because the biased one approaches 1 for unrelated layers if there are many more units than
    images. CKA is not defined for a layer with the same activations for every image (a dead layer): the table then has
    a dash. Activations are those of the last recording, with the neutral label, reduced to ``recording.max_features``
    values.
    """

    name = "similarity"
    source = "Kornblith and others 2019 (arXiv:1905.00414), equation 4; debiased as in Song and others 2012, equation 5"
    needs = frozenset({"activations"})

    class Params(ffprobe.Params):
        """Settings of the comparison."""

        stage: Literal["pre", "post"] = Field("pre", description="activations before (pre) or after (post) normalizers")
        debiased: bool = Field(True, description="use unbiased HSIC; if False, the plain, biased estimate")
        images: int = Field(
            2000, ge=8, le=100_000, description="maximum number of images, spaced evenly over the recorded ones"
        )

    def analyze(self, runs: Sequence[ffprobe.RunFile]) -> ffprobe.Result:
        labels = ffprobe.run_labels(runs)
        recorded = [ffprobe.RecordedActivations(run) for run in runs]
        chosen = _common(recorded, self.params.images)
        _check_same(recorded, chosen)
        features = [
            _read(activations, rows, self.params.stage) for activations, rows in zip(recorded, chosen, strict=True)
        ]
        pairs = [(i, i) for i in range(len(runs))] + [(0, i) for i in range(1, len(runs))]
        matrices = self._matrices(runs, features, pairs)
        several, images = len(runs) > 1, len(chosen[0])
        depths = list(range(max(len(layers) for layers in features)))
        rows: list[tuple[Any, ...]] = []
        for (i, j), matrix in matrices.items():
            for (depth, layer), values in zip(features[i], matrix.tolist(), strict=True):
                head = (labels[i], labels[j]) if several else ()
                rows.append((*head, depth, layer, *values, *[None] * (len(depths) - len(values))))
        return ffprobe.Result(
            name=self.name,
            question=f"How similar are the layers' representations of the same {images} images (linear CKA)?",
            columns=_columns(several, depths),
            rows=rows,
            notes=[*self._notes(features, labels, matrices, recorded, images)],
            claims=[claim for i in range(1, len(runs)) if (claim := _same_layers(runs, labels, matrices, i))],
            extra={"settings": self.params.model_dump(), "images": images, "labels": labels},
            draw=lambda figure: _draw(figure, features, labels, matrices),
            size=(3.25, 2.9) if not several else (6.75, 2.9 * -(-len(pairs) // 2)),
            runs=runs,
        )

    def _matrices(
        self, runs: Sequence[ffprobe.RunFile], features: Sequence[_Features], pairs: Sequence[tuple[int, int]]
    ) -> _Matrices:
        """CKA of each pair of runs."""
        shapes = {f"{i}-{j}": (len(features[i]), len(features[j])) for i, j in pairs}

        def compute() -> dict[str, np.ndarray]:
            matrices = {}
            for i, j in pairs:
                ffprobe.report_progress(f"{runs[i].path} and {runs[j].path}")
                matrices[f"{i}-{j}"] = self._compare(features[i], features[j])
            return matrices

        matrices = ffprobe.cached("similarity", runs, self.params.model_dump(), shapes, compute)
        return {(i, j): matrices[f"{i}-{j}"] for i, j in pairs}

    def _compare(self, first: _Features, second: _Features) -> np.ndarray:
        """CKA ``[layers of the first run, layers of the second]``."""
        import numpy as np

        values = np.full((len(first), len(second)), np.nan)
        for i, a in enumerate(first.values()):
            for j, b in enumerate(second.values()):
                known = first is second and j < i
                values[i, j] = values[j, i] if known else ffprobe.linear_cka(a, b, debiased=self.params.debiased)
        return values

    def _notes(
        self,
        features: Sequence[_Features],
        labels: Sequence[str],
        matrices: _Matrices,
        recorded: Sequence[ffprobe.RecordedActivations],
        images: int,
    ) -> Iterator[str]:
        if self.params.debiased:
            yield (
                "Debiased estimate (unbiased HSIC): about 0 for unrelated layers of any width; noise can make it"
                " negative. A dash: the HSIC of a layer with itself is not positive, because there are too few images."
            )
        else:
            yield "Biased estimate: too high, the more so the more units there are per image."
        for label, layers in zip(labels, features, strict=True):
            dead = [_tick(depth) for (depth, _), own in layers.items() if own.constant]
            if dead:
                of = f"{label}: " if len(features) > 1 else ""
                yield (
                    f"{of}layer {', '.join(dead)} has the same activations for every image, so CKA is not defined: a"
                    " dash. `ffprobe analyze representations` shows dead layers."
                )
        for i in range(1, len(features)):
            both = [k for k, pair in enumerate(zip(features[0], features[i], strict=False)) if pair[0] == pair[1]]
            values = [float(matrices[0, i][k, k]) for k in both]
            same = ", ".join(f"{value:.2f}" if value == value else "–" for value in values)
            yield f"Same layers of {labels[0]} and {labels[i]}, input first: {same}."
        fewest = min(len(activations.truth) for activations in recorded)
        if images < fewest:
            yield f"{images} of {fewest} recorded images: those that all runs recorded, at most {self.params.images}."
        if pooled := ", ".join(sorted({text for activations in recorded if (text := activations.pooled())})):
            yield f"Activations were reduced before recording: {pooled}."


_Features = Mapping[tuple[int, str], "ffprobe.CentredFeatures"]
"""Centred features of a run by (depth, layer), the input first."""
_Matrices = Mapping[tuple[int, int], "np.ndarray"]
"""CKA by the indices of two runs."""


def _check_same(recorded: Sequence[ffprobe.RecordedActivations], chosen: Sequence[np.ndarray]) -> None:
    """Refuse runs whose chosen images are not the same.

    The recorded pixels decide. If they are missing, the hash of the training images must be equal, which it is only for
    runs of the same seed.
    """
    import numpy as np

    first, place = recorded[0], recorded[0].places[0]
    for other, rows in zip(recorded[1:], chosen[1:], strict=True):
        if place.depth or other.places[0].depth:
            hashes = [r.run.attributes.get("dataset_sha256") for r in (first, other)]
            same = hashes[0] == hashes[1]
        else:
            a, b = (_rows_of(r.matrix(place), k) for r, k in ((first, chosen[0]), (other, rows)))
            same = a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=1e-3)
        if not same or not np.array_equal(first.truth[chosen[0]], other.truth[rows]):
            what = (
                "The runs recorded different images under the same index; CKA compares activations of the same images."
            )
            hint = "Compare runs on the same data set, with the same version of its files."
            raise ffprobe.FileError(what, where=f"{first.run.path}, {other.run.path}", hint=hint)


def _common(recorded: Sequence[ffprobe.RecordedActivations], most: int) -> list[np.ndarray]:
    """For each run, the rows of the images that all runs recorded, in the same order of images."""
    import numpy as np

    first = recorded[0]
    index = [activations.run.read("activations/source_index") for activations in recorded]
    if all(np.array_equal(index[0], other) for other in index):  # the same images in the same order
        rows = [np.arange(len(index[0]))] * len(index)
    else:
        shared = index[0]
        for other in index[1:]:
            shared = np.intersect1d(shared, other)
        positions = [dict(zip(own.tolist(), range(len(own)), strict=True)) for own in index]
        rows = [np.array([position[k] for k in shared.tolist()], int) for position in positions]
        if len(shared) < LEAST_COMMON:
            what = f"These runs have only {len(shared)} recorded images in common; the minimum is {LEAST_COMMON}."
            hint = "Record more images (--set recording.samples=...), or train with the same seed, which selects them."
            where = ", ".join(str(activations.run.path) for activations in recorded)
            raise ffprobe.FileError(what, where=where, hint=hint)
    if len(rows[0]) < 8:
        what = f"CKA needs at least 8 images, but {len(rows[0])} were recorded."
        raise ffprobe.FileError(what, where=str(first.run.path), hint="Record more (--set recording.samples=...).")
    spread = np.unique(np.linspace(0, len(rows[0]) - 1, min(most, len(rows[0]))).round().astype(int))
    return [own[spread] for own in rows]


def _rows_of(matrix: Any, rows: np.ndarray) -> np.ndarray:
    """Some rows of a recording, read in blocks."""
    import numpy as np

    kept, parts, start = np.zeros(matrix.shape[0], bool), [], 0
    kept[rows] = True
    for block in matrix.blocks(4096):
        parts.append(block[kept[start : start + len(block)]])
        start += len(block)
    return np.concatenate(parts)[np.argsort(np.argsort(rows))]  # blocks are in the order of the file


def _read(recorded: ffprobe.RecordedActivations, rows: np.ndarray, stage: str) -> _Features:
    """Centred features of the chosen images by (depth, layer), the input first."""
    import numpy as np

    features = {}
    for place in recorded.places:
        if place.depth and place.stage != stage:
            continue
        matrix = recorded.matrix(place)
        x = _rows_of(matrix, rows)
        if not np.isfinite(x).all():
            hint = "The run diverged; check its losses and its learning rate."
            raise ffprobe.FileError("The activations contain NaN or infinity.", where=matrix.name, hint=hint)
        features[place.cells[:2]] = ffprobe.CentredFeatures(x)
    return features


def _columns(several: bool, depths: Sequence[int]) -> list[ffprobe.Column]:
    keys = (
        [("run", "run of the layers in the rows"), ("with_run", "run of the layers in the columns")] if several else []
    )
    keys += [("depth", "layer number, from 1; 0 is the input"), ("layer", "layer number as text; input is the image")]
    columns = [ffprobe.Column(name, "", text, key=True) for name, text in keys]
    for depth in depths:
        name, text = ("input", "the image") if depth == 0 else (f"layer_{depth}", f"layer {depth}")
        columns.append(ffprobe.Column(name, "1", f"linear CKA with {text}", ".2f"))
    return columns


def _same_layers(
    runs: Sequence[ffprobe.RunFile], labels: Sequence[str], matrices: _Matrices, i: int
) -> ffprobe.Claim | None:
    """Kornblith and others: the most similar layer of another seed is the same layer."""
    import numpy as np

    configs = [{k: v for k, v in runs[k].config.items() if k in ("network", "training")} for k in (0, i)]
    components = [ffprobe.run_components(runs[k]) for k in (0, i)]
    seeds = [runs[k].config.get("seed") for k in (0, i)]
    if configs[0] != configs[1] or components[0] != components[1] or seeds[0] == seeds[1]:
        return None
    matrix = matrices[0, i][1:, 1:]  # the input is the same in both
    if len(matrix) < 3 or matrix.shape[0] != matrix.shape[1]:
        return None
    known = np.where(np.isnan(matrix), -np.inf, matrix)  # argmax would pick a NaN
    hits = sum(int(row.argmax()) == k and bool(np.isfinite(row[k])) for k, row in enumerate(known))
    share = hits / len(matrix)
    agrees = True if share >= 0.9 else False if share <= 0.5 else None
    claim = (
        "between two networks that differ only in their seed, the most similar layer is nearly always the same layer"
        " (convolutional networks under backpropagation on CIFAR-10)."
    )
    here = f"this holds for {hits} of {len(matrix)} layers of {labels[0]} in {labels[i]}"
    verdict = ffprobe.judge([runs[0], runs[i]], "", agrees, here, paper=ffprobe.paper_setting(dataset="cifar10"))
    where = "Kornblith and others 2019, Table 2"
    return ffprobe.Claim(where, claim, f"{verdict.text}.", verdict.agrees, not_comparable=verdict.not_comparable)


def _draw(figure: Figure, features: Sequence[_Features], labels: Sequence[str], matrices: _Matrices) -> None:
    """A heat map for each pair of runs; all with the same colour scale."""
    import numpy as np

    count, several = len(matrices), len(features) > 1
    panels: Any = figure.subplots(-(-count // 2), 2) if several else figure.subplots()
    grid = np.atleast_1d(panels).ravel()
    for axes in grid[count:]:
        axes.set_axis_off()
    image: Any = None
    for axes, ((i, j), matrix) in zip(grid[:count], matrices.items(), strict=True):
        image = ffprobe.heat_map(
            axes,
            matrix,
            [_tick(depth) for depth, _ in features[i]],
            [_tick(depth) for depth, _ in features[j]],
            "linear CKA",
            limits=(0, 1),
            square=True,
            bar=not several,
            xlabel=f"layer of {labels[j]}" if several else "layer",
            ylabel=f"layer of {labels[i]}" if several else "layer",
        )
    if several:
        bar: Any = figure.colorbar(image, ax=list(grid), label="linear CKA")
        bar.outline.set_visible(False)


def _tick(depth: int) -> str:
    return str(depth) if depth else "input"


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Similarity]
