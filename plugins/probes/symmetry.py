"""Does a loss treat positives and negatives equally? The two criteria of the paper's Appendix C, and a third."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

import ffprobe

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

POINTS = 17
"""Number of deviations from the centre on each axis of the grid."""
EXACT = 1e-9
"""Largest violation, relative to the largest value, that counts as zero; each float64 operation rounds at 1e-16."""
CLOSE = 1e-6
"""The same for central differences, whose own relative error is about 1e-10."""

FIGURE = "Figure: the negative's goodness is half the centre; each loss is relative to its largest derivative."


class Symmetry(ffprobe.Probe):
    """Tests of pair losses in float64 on one positive and one negative at a time; works without runs.

    The goodness of a positive is c + d, that of a negative c + e, and L+ and L- are the derivatives by each. c is the
    loss's threshold, else ``centre``; d and e are between 0 and c, so that goodness is never negative.

    - symmetry (Eq. 2): L(c + d, c + e) = L(c - d, c - e): false positives and false negatives cost the same;
    - equal gradients (Eq. 5): -L+(c - d, c - e) = L-(c + d, c + e): both are pushed equally from the centre. (The paper
      differentiates by the deviations, hence the sign.)
    - pair gradients (Lee & Song): -L+ = L- at every pair of goodness: no sample is pushed more than the other.

    Derivatives are computed by autograd and compared with central differences, and with the closed form if the loss has
    ``derivatives``. Losses of form ``class`` have no pairs and are skipped.
    """

    name = "symmetry"
    source = "Trifecta (arXiv:2311.18130) Appendix C; pair gradients: Lee & Song 2023, arXiv:2303.08418"
    least_runs = 0

    class Params(ffprobe.Params):
        """Settings of the test."""

        centre: float = Field(
            2.0, gt=0, description="centre of the tested goodness, for losses without a positive threshold"
        )

    def analyze(self, runs: Sequence[ffprobe.RunFile]) -> ffprobe.Result:
        losses, notes = _losses_of(runs) if runs else _all_losses()
        tested = [_Tested(loss, name, self.params.centre) for name, loss in losses]
        column = ffprobe.Column
        columns = [
            column("loss", "", "name and settings of the loss", key=True),
            column("symmetry", "1", "largest violation of Eq. 2, relative to the largest loss", ".2g"),
            column("equal_gradients", "1", "largest violation of Eq. 5, relative to the largest derivative", ".2g"),
            column("at_equal_deviations", "1", "largest violation of both at equal deviations", ".2g"),
            column("pair_gradients", "1", "largest relative difference of the two gradients of a pair", ".2g"),
            column("differences", "1", "autograd against central differences, largest relative error", ".1e"),
            column("closed_form", "1", "closed form against autograd, largest relative error", ".1e"),
        ]
        return ffprobe.Result(
            name=self.name,
            question="Does the loss treat positives and negatives equally?",
            columns=columns,
            rows=[test.row() for test in tested],
            notes=[*(note for test in tested for note in test.notes()), *notes, FIGURE],
            claims=list(_claims(tested)),
            extra={"losses": [test.to_dict() for test in tested]},
            draw=lambda figure: _draw(figure, tested),
            size=(3.25, 2.4),
            runs=runs,
        )


def _all_losses() -> tuple[list[tuple[str, Any]], list[str]]:
    """Every registered pair loss at its defaults, and notes."""
    classes: dict[str, Any] = ffprobe.registered("loss")
    pairs, notes = [], []
    for name, component in classes.items():
        if component.form != "pair":
            continue
        try:
            pairs.append((name, component()))
        except ValidationError:
            notes.append(f"{name} has settings without a default and is skipped; test it with a run that used it.")
    others = [name for name, component in classes.items() if component.form != "pair"]
    return pairs, [*notes, *([f"Not tested, because of form class: {', '.join(others)}."] if others else [])]


def _losses_of(runs: Sequence[ffprobe.RunFile]) -> tuple[list[tuple[str, Any]], list[str]]:
    """The loss of each run with its settings, each once, and notes."""
    classes: dict[str, Any] = ffprobe.registered("loss")
    losses: dict[str, Any] = {}
    notes = []
    for run in runs:
        settings = dict(run.config.get("loss") or {})
        name, plugin = str(settings.pop("name", "")), settings.pop("plugin", "")
        if name not in classes:
            # a run file is data: the code that it names is not executed
            hint = (
                "Install it as a plugin (docs/plugins/README.md), then try again." if plugin else "Install its plugin."
            )
            raise ffprobe.FileError(f"The loss {name!r} of this run is not installed.", where=str(run.path), hint=hint)
        component = classes[name]
        try:
            loss = component(component.Params(**settings))
        except ValidationError as error:
            what = f"The installed loss {name!r} does not take this run's settings {settings}."
            raise ffprobe.FileError(what, where=str(run.path), hint="Install the version that the run used.") from error
        if component.form != "pair":
            notes.append(f"{run.path}: the loss {name!r} is of form class, so there are no pairs to test.")
            continue
        text = ",".join(f"{key}={value}" for key, value in settings.items())
        losses[f"{name}:{text}" if text else name] = loss
    if not losses:
        raise ffprobe.FileError("None of these runs has a pair loss.", where=str(runs[0].path))
    return list(losses.items()), notes


class _Tested:
    """One loss on a grid of deviations, in float64."""

    def __init__(self, loss: Any, name: str, centre: float) -> None:
        import torch

        self.loss, self.name, self.failure = loss, name, ""
        self.threshold = getattr(loss.params, "threshold", None)
        self.centre = float(centre if self.threshold is None or self.threshold <= 0 else self.threshold)
        size = torch.linspace(0, self.centre, POINTS, dtype=torch.float64)
        self.d, self.e = (part.flatten() for part in torch.meshgrid(size, size, indexing="ij"))
        try:
            self._measure()
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"

    def _measure(self) -> None:
        import torch

        c, d, e = self.centre, self.d, self.e
        above, below = self.gradients(c + d, c + e), self.gradients(c - d, c - e)
        both = [torch.cat(pair) for pair in zip(above, below, strict=True)]
        if not all(bool(torch.isfinite(part).all()) for part in both):
            raise ValueError("its value or derivative is not finite on one pair alone")
        value, positive, negative = both
        self.slope = float(torch.stack([positive, negative]).abs().max())
        height = float(value.abs().max())
        if not self.slope or not height:
            raise ValueError("it does not change with goodness")
        unequal = (above[0] - below[0]).abs() / height
        pushes = (above[2] + below[1]).abs() / self.slope  # L- and -L+
        same = d == e
        self.symmetry, self.pushes = float(unequal.max()), float(pushes.max())
        self.same = float(torch.maximum(unequal, pushes)[same].max())
        self.pairs = float((positive + negative).abs().max()) / self.slope
        at = (torch.cat([c + d, c - d]), torch.cat([c + e, c - e]))
        self.differences = self._error(self._central(*at), (positive, negative))
        self.closed = float("nan")
        with suppress(NotImplementedError):
            self.closed = self._error(self._closed(*at), (positive, negative))

    def _value(self, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
        import torch

        labels = torch.zeros(1, dtype=torch.int64)
        context = ffprobe.LossContext(0, 1, 0, 0, torch.stack([positive, negative]).detach(), labels)
        value: torch.Tensor = self.loss(positive[None], negative[None], context)
        return value

    def gradients(self, positive: torch.Tensor, negative: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Loss and its derivatives by autograd, pair by pair, because a loss may mix the pairs of a batch."""
        import torch

        values = []
        for pair in zip(positive, negative, strict=True):
            leaves = [goodness.clone().requires_grad_() for goodness in pair]
            with torch.enable_grad():
                value = self._value(*leaves)
                slopes = torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True)
            values.append(torch.stack([value.detach().double(), *slopes]))
        return torch.stack(values).unbind(1)

    def _central(self, positive: torch.Tensor, negative: torch.Tensor, h: float = 1e-5) -> tuple[torch.Tensor, ...]:
        """Central differences of the loss, with an error of h^2 / 6 times its third derivative."""
        import torch

        values = []
        with torch.no_grad():
            for p, n in zip(positive, negative, strict=True):
                by_p = self._value(p + h, n) - self._value(p - h, n)
                by_n = self._value(p, n + h) - self._value(p, n - h)
                values.append(torch.stack([by_p, by_n]) / (2 * h))
        return torch.stack(values).unbind(1)

    def _closed(self, positive: torch.Tensor, negative: torch.Tensor) -> list[torch.Tensor]:
        import torch

        pairs = [self.loss.derivatives(p[None], n[None]) for p, n in zip(positive, negative, strict=True)]
        return [torch.cat(side) for side in zip(*pairs, strict=True)]

    def _error(self, values: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> float:
        return max(float((a - b).abs().max()) for a, b in zip(values, expected, strict=True)) / self.slope

    def row(self) -> tuple[Any, ...]:
        if self.failure:
            return (self.name, *[float("nan")] * 6)
        return (self.name, self.symmetry, self.pushes, self.same, self.pairs, self.differences, self.closed)

    @property
    def literal(self) -> bool | None:
        """Whether both criteria of Appendix C hold everywhere; None if they could not be measured."""
        return None if self.failure else max(self.symmetry, self.pushes) <= EXACT

    @property
    def only_at_equal(self) -> bool | None:
        """Whether they hold at equal deviations but not everywhere; None if they could not be measured."""
        return None if self.failure else not self.literal and self.same <= EXACT

    @property
    def even(self) -> bool | None:
        """Whether both samples of every pair are pushed equally; None if that could not be measured."""
        return None if self.failure else self.pairs <= EXACT

    def notes(self) -> Iterator[str]:
        if self.failure:
            yield f"{self.name} cannot be tested with goodness alone: {self.failure}."
            return
        where = "everywhere" if self.literal else "only at equal deviations" if self.only_at_equal else "nowhere"
        pairs = "equal everywhere" if self.even else "not equal everywhere"
        c = f"deviations up to {self.centre:g} from {self.centre:g}"
        yield f"{self.name}: Eqs. 2 and 5 hold {where}; pair gradients are {pairs} ({c})."
        if self.closed != self.closed:
            yield f"{self.name} has no derivatives in closed form; only autograd and differences were compared."
        elif self.closed > EXACT:
            yield f"{self.name}: its closed form DISAGREES with autograd by {self.closed:.1e}."
        if self.differences > CLOSE:
            yield f"{self.name}: autograd DISAGREES with central differences by {self.differences:.1e}."

    def to_dict(self) -> dict[str, Any]:
        criteria = {
            "eq_2_and_5": self.literal,
            "only_at_equal_deviations": self.only_at_equal,
            "pair_gradients": self.even,
        }
        return {"loss": self.name, "centre": self.centre, "failure": self.failure, **criteria}


def _claims(tested: Sequence[_Tested]) -> Iterator[ffprobe.Claim]:
    original = next((test for test in tested if test.loss.name == "fixed-threshold"), None)
    symba = next((test for test in tested if test.loss.name == "symba"), None)
    if original:
        yield ffprobe.Claim(
            "Trifecta, Appendix C",
            "The original loss meets both criteria only if positive and negative deviate equally.",
            f"{original.name}: violations up to {original.row()[1]:.2g} and {original.row()[2]:.2g},"
            f" {original.row()[3]:.1g} at equal deviations; it agrees if only the last is 0.",
            original.only_at_equal,
        )
    if symba:
        yield ffprobe.Claim(
            "Trifecta, Section 4",
            "SymBa, without a threshold, resolves that false positives and false negatives are treated unequally.",
            f"{symba.name}: violations of Eqs. 2 and 5 as written up to {symba.row()[1]:.2g} and"
            f" {symba.row()[2]:.2g}; it agrees if both are 0.",
            symba.literal,
        )
        yield ffprobe.Claim(
            "Lee & Song 2023",
            "SymBa pushes the two samples of a pair with gradients of equal size.",
            f"{symba.name}: they differ by at most {symba.row()[4]:.1g} of the largest; it agrees if that is 0.",
            symba.even,
        )


def _draw(figure: Figure, tested: Sequence[_Tested]) -> None:
    """Both gradients of a pair against its separation, with the negative's goodness at half the centre."""
    import torch

    axes = figure.subplots()
    series: list[ffprobe.Series] = []
    for colour, test in enumerate(test for test in tested if not test.failure):
        c = test.centre
        positive = torch.linspace(0, 3 * c, 13, dtype=torch.float64)
        negative = torch.full_like(positive, c / 2)
        _, *slopes = test.gradients(positive, negative)
        x, (up, down) = (positive - negative).tolist(), [(slope.abs() / test.slope).tolist() for slope in slopes]
        series.append(ffprobe.Series(label=test.name.partition(":")[0], x=x, y=up, colour=colour))
        series.append(ffprobe.Series(label="", x=x, y=down, look="second", colour=colour))
    ffprobe.line_by_layer(
        axes,
        series,
        xlabel="separation, goodness of positive less negative",
        ylabel="size of the gradient (relative)",
    )
    # the legend takes the place of a title
    where: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "center", "fontsize": "small"}
    axes.text(0.98, 0.62, "solid: by the positive\nhollow: by the negative", **where)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Symmetry]
