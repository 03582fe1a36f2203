"""Properties of each layer's activations: dead units, sparsity, selectivity, dimensionality and class separation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

MEASURES = {
    "dead": ("%", "units that are 0 on every image", ".1f"),
    "constant": ("%", "units that have the same value on every image, 0 or another", ".1f"),
    "active": ("%", "activations that are not 0", ".1f"),
    "hoyer": ("1", "Hoyer's sparsity of an image's activations: 0 all units equal, 1 a single active unit", ".2f"),
    "class_entropy": ("1", "a unit's spread over classes: 0 active for one class only, 1 equally for all", ".2f"),
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


class Representations(ffprobe.PerRunProbe):
    """Dead units, sparsity, class selectivity, dimensionality and class separation of each layer's activations.

    All recorded images are used, with the neutral label, before and after the normalizer. The nearest class mean is
    fitted on training images and scored on held-out images. Large activations are reduced for recording (feature maps
    are average-pooled), which hides zeros: the measures of zeros and of selectivity (``dead``, ``active``, ``hoyer``,
    ``class_entropy``) are those of the whole activation, which a run records as well. Files of version 0.1.0 lack them;
    there a unit is a reduced one, and a note says so. Each measure is also given for the untrained network.
    """

    name = "representations"
    source = (
        "DeeperForward (ICLR 2025) Appendix I (dead units); Tosato and others 2023 (arXiv:2305.18353) (sparse class"
        " ensembles); Roy and Vetterli 2007 (effective rank)"
    )
    needs = frozenset({"activations"})
    question = "What are the properties of each layer's activations, compared with the untrained network?"

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunRepresentations:
        return _RunRepresentations(run, label)

    def columns(self, results: Sequence[_RunRepresentations]) -> list[ffprobe.Column]:
        columns = [
            ffprobe.Column("depth", "", "layer number, from 1; 0 is the input", key=True),
            ffprobe.Column("layer", "", "layer number, from 1, as text; input is the image itself", key=True),
            ffprobe.Column("stage", "", "before (pre) or after (post) the normalizer", key=True),
        ]
        for name, (unit, text, style) in MEASURES.items():
            columns.append(ffprobe.Column(name, unit, f"{text}, after training", style))
            columns.append(ffprobe.Column(f"untrained_{name}", unit, f"{text}, before training", style))
        return columns

    def notes(self, results: Sequence[_RunRepresentations], claims: Sequence[ffprobe.Claim]) -> list[str]:
        return super().notes(results, claims) + NOTES

    def claims(self, results: Sequence[_RunRepresentations]) -> list[ffprobe.Claim]:
        return [claim for claim in (_sparse_and_selective(results),) if claim]

    def draw(self, figure: Figure, results: Sequence[_RunRepresentations]) -> None:
        """A panel per measure over depth; one colour per run, filled before and hollow after the normalizer."""
        grid = figure.subplots(3, 2, sharex=True)
        for axes, (name, title) in zip(grid.flat, DRAWN.items(), strict=True):
            column = _column(name)
            ffprobe.stage_lines(axes, [("", result.rows()) for result in results], column, column + 1, title)
            if axes not in grid[-1]:
                axes.set_xlabel("")
            axes.set_ylim(bottom=0)
        key: dict[str, Any] = dict(ffprobe.stage_key())
        if len(results) > 1:  # the first line of each run in the first panel represents the run
            lines = [container.lines[0] for container in grid.flat[0].containers][::3]
            key |= dict(zip([result.label for result in results], lines, strict=True))
        figure.legend(list(key.values()), list(key), loc="outside lower center", ncols=2)

    def figure_size(self, results: Sequence[_RunRepresentations]) -> tuple[float, float]:
        return 3.25, 4.6


NOTES = [
    "A class entropy of 1 is a unit that is equally active for all classes, 0 a unit that is active for a single class;"
    " dead units do not count. Ranks are at most the number of images less 1.",
    "Fisher ratio and nearest mean use plain Euclidean distances, so a normalizer that rescales them changes both.",
]


def _column(name: str) -> int:
    """Index of a measure in the rows of a run; the next one is the measure before training."""
    return 3 + 2 * list(MEASURES).index(name)


class _RunRepresentations:
    """The representations of one run."""

    def __init__(self, run: ffprobe.RunFile, label: str) -> None:
        self.run, self.label = run, label
        self.recorded = ffprobe.RecordedActivations(run)
        self._rows: list[tuple[Any, ...]] = []
        self.undefined: set[str] = set()
        shape = (len(self.recorded.places), 2, len(MEASURES))
        values = ffprobe.cached("representations", [run], {}, {"measures": shape}, lambda: {"measures": self._all()})
        for place, pair in zip(self.recorded.places, values["measures"], strict=True):
            trained, untrained = pair.tolist()
            self.undefined |= {name for name, v in zip(MEASURES, trained, strict=True) if v != v or v == float("inf")}
            paired = [v for pair in zip(trained, untrained, strict=True) for v in pair]
            self._rows.append((*place.cells, *paired))

    def _all(self) -> np.ndarray:
        """The measures of all places, after and before training, ``[places, 2, measures]``; NaN if not recorded."""
        import numpy as np

        values = np.full((len(self.recorded.places), 2, len(MEASURES)), np.nan)
        for i, place in enumerate(self.recorded.places):
            ffprobe.report_progress(f"{self.run.path}: layer {place.cells[1]}, {place.stage}")
            values[i, 0] = self._measure(place, -1)
            if self.recorded.untrained(place):
                values[i, 1] = self._measure(place, 0)
        return values

    def _measure(self, place: Any, row: int) -> list[float]:
        """The measures of one recording, in the order of ``MEASURES``."""
        recorded, matrix = self.recorded, self.recorded.matrix(place, row)
        values = vars(ffprobe.describe_representation(matrix, recorded.truth, recorded.held, matrix.name))
        values = {**values, **recorded.unreduced(place, row)}
        percent = {name for name, (unit, _, _) in MEASURES.items() if unit == "%"}
        return [values[name] * (100 if name in percent else 1) for name in MEASURES]

    def at(self, depth: int, name: str) -> tuple[float, float]:
        """A measure before the normalizer, after and before training."""
        row = next(row for row in self._rows if row[0] == depth and row[2] == "pre")
        return row[_column(name)], row[_column(name) + 1]

    def rows(self) -> list[tuple[Any, ...]]:
        return self._rows

    def notes(self) -> Iterator[str]:
        recorded = self.recorded
        held_out = int(recorded.held.sum())
        yield f"{len(recorded.held)} images, {held_out} of them held out, after epoch {recorded.last_epoch}."
        if pooled := recorded.pooled():
            whole = all(recorded.unreduced(place) for place in recorded.places if place.depth)
            names = "dead, active, hoyer and class_entropy are of the whole activations, the others of the reduced ones"
            yield f"Activations were reduced before recording ({pooled}); " + (
                f"{names}." if whole else "a unit is one of the reduced values."
            )
        if not all(recorded.untrained(place) for place in recorded.places if place.depth):
            yield "The untrained network was not recorded, so there is nothing to compare with."
        if self.undefined:
            names = ", ".join(name for name in MEASURES if name in self.undefined)
            yield f"Not defined at some layers, where all images, or all images of a class, are identical: {names}."

    def to_dict(self) -> dict[str, Any]:
        held_out = int(self.recorded.held.sum())
        counts = {"images": len(self.recorded.held), "held_out_images": held_out, "epoch": self.recorded.last_epoch}
        return {"label": self.label, "path": str(self.run.path), **counts}


TOSATO = ffprobe.paper_setting("fcn", "mnist fashion-mnist")


def _sparse_and_selective(results: Sequence[_RunRepresentations]) -> ffprobe.Claim | None:
    """Tosato and others: Forward-Forward makes few units active, each selective for a class."""
    from scipy import stats

    verdicts: list[ffprobe.RunVerdict] = []
    for result in results:
        if ffprobe.run_components(result.run).get("rule") != "forward-forward":
            continue
        depths = [place.depth for place in result.recorded.places if place.depth and place.stage == "pre"]
        label, votes = result.label if len(results) > 1 else "", []
        for depth in depths:
            active, active_before = result.at(depth, "active")
            entropy, entropy_before = result.at(depth, "class_entropy")
            if all(v == v for v in (active, active_before, entropy, entropy_before)):
                votes.append((active < active_before, entropy < entropy_before))
        if not votes:
            text = "the untrained network was not recorded, or its units are dead"
            verdicts.append(ffprobe.judge(result.run, label, None, text, paper=TOSATO))
            continue
        fewer, choosier = (sum(vote[k] for vote in votes) for k in (0, 1))
        both = sum(all(vote) for vote in votes)
        neither = sum(not any(vote) for vote in votes)
        p = float(stats.binomtest(max(both, neither), len(votes)).pvalue)  # sign test: 6 layers of 6 have p = 0.03
        agrees = both > neither if p < 0.05 and 2 * max(both, neither) > len(votes) else None
        text = f"training leaves fewer units active in {fewer}, and units more selective in {choosier}, of {len(votes)}"
        verdicts.append(ffprobe.judge(result.run, label, agrees, f"{text} layers", p=p, paper=TOSATO))
    claim = (
        "trained with Forward-Forward, few units are active for an image, and they are specific to its class (fully"
        " connected networks, small images with the label in them)."
    )
    return ffprobe.joint_claim("Tosato and others 2023 (arXiv:2305.18353)", claim, verdicts)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Representations]
