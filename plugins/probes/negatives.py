"""How hard and how diverse are the wrong labels that a run trains on?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    import torch
    from matplotlib.figure import Figure

RECORD = "Train again with --plugin negatives."


class Negatives(ffprobe.PerRunProbe):
    """Rank of the negatives' labels among all wrong labels by goodness, their entropy, and the share of true labels.

    In a sandbox (at regular step intervals) the run's own sampler draws ``draws`` times for the first images of the
    epoch's last batch. The goodness of every label is measured in evaluation mode, with one forward pass per label.

    The rank of a sampled label among the K - 1 wrong ones is the share of the others with a higher goodness (ties count
    half): 0 is the hardest, 1 the easiest, and uniform sampling averages 0.5.
    """

    name = "negatives"
    source = "hardness and diversity: github.com/koriyoshi2041/ff-negative-samples; entropy's bias: Miller 1955"
    question = "How hard and how diverse are the wrong labels that the run trains on?"
    label_every_note = True

    class Params(ffprobe.Params):
        """Settings of the recording."""

        sandbox_every: int = Field(
            500, ge=1, description="minimum number of steps between two sandboxes; one always runs at the end"
        )
        images: int = Field(
            32, ge=1, description="maximum number of images of the batch; each needs one forward pass per label"
        )
        draws: int = Field(
            32, ge=1, description="number of draws per image; many draws give a good entropy from few images"
        )

    def variables(self, run: ffprobe.RunContext) -> list[ffprobe.Variable]:
        if not _samples_labels(run.network):
            return []
        names, classes = tuple(layer.name for layer in run.layers), run.classes
        dims = (
            ffprobe.Dimension("row", None, long_name="sandbox"),
            ffprobe.Dimension("layer", len(names), "str", names, long_name="layer, first to last"),
            ffprobe.Dimension("true", len(classes), "str", classes, long_name="true label"),
            ffprobe.Dimension("chosen", len(classes), "str", classes, long_name="label of the negative"),
        )
        variable, wide = ffprobe.Variable, ("row", "layer")
        gap = "mean goodness under the true label minus the negative's label"
        return [
            variable("step", ("row",), "i8", "step", "number of optimizer steps", dimensions=dims),
            variable("rank", wide, long_name="mean rank, 0 hardest, 1 easiest", dimensions=dims),
            variable("rank_sd", wide, long_name="standard deviation over images", dimensions=dims),
            variable("gap", wide, long_name=gap, dimensions=dims),
            variable("images", ("row",), "i4", long_name="number of images", dimensions=dims),
            variable("drawn", ("row", "true", "chosen"), "i4", "1", "draws", compress=True, dimensions=dims),
        ]

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context: ffprobe.EpochContext) -> None:
        if _samples_labels(context.run.network) and context.due(self.params.sandbox_every):
            assert context.images is not None and context.labels is not None
            images, labels = context.images[: self.params.images], context.labels[: self.params.images]
            context.record("step", context.step)
            for name, value in _measure(context.run, images, labels, self.params.draws).items():
                context.record(name, value)

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunNegatives:
        return _RunNegatives(run, label)

    def columns(self, results: Sequence[_RunNegatives]) -> list[ffprobe.Column]:
        column = ffprobe.Column
        rank, error = "rank of the negative's label among the wrong labels", "standard error over images"
        gap = "mean goodness under the true label minus the negative's label"
        return [
            column("depth", "", "layer number, from 1", key=True),
            column("rank_first", "1", f"{rank}, in the first sandbox", ".3f"),
            column("rank_first_se", "1", error, ".3f", spread_of="rank_first"),
            column("rank", "1", f"{rank}, in the last sandbox: 0 hardest, 1 easiest", ".3f"),
            column("rank_se", "1", error, ".3f", spread_of="rank"),
            column("gap_first", "1", f"{gap}, in the first sandbox", ".4f"),
            column("gap", "1", f"{gap}, in the last sandbox", ".4f"),
        ]

    def draw(self, figure: Figure, results: Sequence[_RunNegatives]) -> None:
        """The rank in the last sandbox, by layer."""
        depth = max(result.depth for result in results)
        axes = figure.subplots()
        floor = ffprobe.Series(label="", x=[1, depth], y=[0.5, 0.5], look="floor", colour=5)
        axes.set_ylim(-0.05, 1.05)  # before lines are labelled at their ends
        axes.set_yticks([0, 0.5, 1], ["0 hardest", "0.5 uniform", "1 easiest"])
        series = [*(result.series() for result in results), floor]
        ffprobe.line_by_layer(axes, series, ylabel="rank of the negative's label")


def _samples_labels(network: Any) -> bool:
    # in form class every label is scored at once; without labels in the input, negatives are images
    return bool(network.form == "pair" and getattr(network, "shows_label", True))


def _measure(
    run: ffprobe.RunContext, images: torch.Tensor, labels: torch.Tensor, draws: int
) -> dict[str, torch.Tensor | int]:
    """The values of one sandbox: ranks and gaps ``[layer]``, counts ``[true, chosen]``."""
    import torch

    with run.sandbox() as copy, torch.no_grad():
        setup, network, classes = copy.setup, copy.network, len(run.classes)
        network.eval()
        with setup.autocast():
            every = torch.arange(classes, device=images.device)
            goodness = torch.stack([network(images, k.expand(len(images))) for k in every], dim=2)  # [L, B, K]
        last = ffprobe.goodness_for_negatives(setup.negatives, network, images, setup.autocast)
        network.train()
        chosen = torch.stack(
            [setup.negatives(images, labels, classes, setup.generator, last) for _ in range(draws)], dim=1
        )  # [B, draws]
    drawn = torch.zeros(classes * classes, dtype=torch.int64, device=images.device)
    cells = (labels[:, None] * classes + chosen).flatten()
    drawn = drawn.scatter_add(0, cells, torch.ones_like(cells)).view(classes, classes)
    depth = len(goodness)
    own = goodness.gather(2, labels.expand(depth, -1)[..., None])  # [L, B, 1]
    theirs = goodness.gather(2, chosen.expand(depth, -1, -1))  # [L, B, draws]
    wrong = torch.ones_like(goodness[0], dtype=torch.bool).scatter_(1, labels[:, None], False)  # [B, K]
    others = goodness.masked_fill(~wrong, torch.nan)  # comparisons with NaN are false
    higher = (others[:, :, None, :] > theirs[..., None]).sum(3)
    equal = (others[:, :, None, :] == theirs[..., None]).sum(3) - 1  # without the sampled label itself
    rank = ((higher + 0.5 * equal) / (classes - 2) if classes > 2 else higher * torch.nan).mean(2)  # [L, B]
    sd = rank.std(dim=1) if len(labels) > 1 else rank[:, 0] * torch.nan
    gap = (own - theirs).mean((1, 2))
    return {"rank": rank.mean(1), "rank_sd": sd, "gap": gap, "images": len(labels), "drawn": drawn}


class _RunNegatives:
    """The sampled negatives of one run."""

    def __init__(self, run: ffprobe.RunFile, label: str) -> None:
        self.run, self.label, group = run, label, "probes/negatives"
        if not run.has(f"{group}/rank"):
            recorded = any(probe.get("name") == "negatives" for probe in run.config.get("probes", []))
            what = "No negatives were recorded in this run."
            if recorded:
                what = (
                    "This run sampled no wrong labels: its goodness scores every label at once, or it trained without"
                    " labels."
                )
            hint = "Use a run whose loss compares pairs of labels." if recorded else RECORD
            raise ffprobe.FileError(what, where=str(run.path), hint=hint)
        self.steps = run.read(f"{group}/step")
        if not len(self.steps):
            hint = "Resume the run; negatives are recorded at the latest at its end."
            raise ffprobe.FileError("The file has no negatives yet.", where=str(run.path), hint=hint)
        names = ("rank", "rank_sd", "gap", "images")
        self.rank, self.sd, self.gap, self.images = (run.read(f"{group}/{name}").astype(float) for name in names)
        self.depth = self.rank.shape[1]
        total: Any = sum(run.variable(f"{group}/drawn").blocks(1))
        self.drawn: np.ndarray = total[0].astype(float)  # [true, chosen]

    def rows(self) -> Iterator[tuple[Any, ...]]:
        error = self.sd / self.images[:, None] ** 0.5
        for i in range(self.depth):
            ranks = (value for row in (0, -1) for value in (self.rank[row, i], error[row, i]))
            yield (i + 1, *ranks, self.gap[0, i], self.gap[-1, i])

    def series(self) -> ffprobe.Series:
        """The last sandbox, by layer."""
        error = self.sd[-1] / self.images[-1] ** 0.5
        x, y = list(range(1, self.depth + 1)), self.rank[-1].tolist()
        return ffprobe.Series(label=self.label, x=x, y=y, error=error.tolist())

    def true_share(self) -> float:
        """Share of draws that are the true label."""
        return float(self.drawn.trace() / self.drawn.sum())

    def entropy(self) -> tuple[float, float]:
        """Bits of the sampled label given the true one, bias-corrected, and the maximum for K - 1 labels."""
        import numpy as np

        bits, total = 0.0, self.drawn.sum()
        for counts in self.drawn:
            seen = counts[counts > 0]
            if len(seen):
                p = seen / seen.sum()
                bits += seen.sum() / total * (-(p * np.log2(p)).sum() + (len(seen) - 1) / (2 * seen.sum() * np.log(2)))
        most = float(np.log2(len(self.drawn) - 1))
        return min(float(bits), most), most

    def notes(self) -> Iterator[str]:
        (bits, most), share, count = self.entropy(), self.true_share(), int(self.drawn.sum())
        yield f"sandboxes after step {', '.join(str(s) for s in self.steps[:6])}{' ...' * (len(self.steps) > 6)}."
        yield (
            f"{count} labels sampled for {int(self.images.sum())} images: given the true label, their entropy is"
            f" {bits:.2f} of at most {most:.2f} bits."
        )
        if share:
            yield f"{100 * share:.2g} % of the negatives carry the TRUE label; there must be none."
        else:
            yield "no negative carries the true label."
        if len(self.drawn) == 2:
            yield "with two classes there is one wrong label, so its rank has no meaning."

    def to_dict(self) -> dict[str, Any]:
        bits, most = self.entropy()
        counts: dict[str, Any] = {"draws": int(self.drawn.sum()), "images": int(self.images.sum())}
        counts |= {"steps": self.steps, "rank": self.rank, "gap": self.gap}
        return {"label": self.label, "entropy": bits, "entropy_max": most, "true_share": self.true_share(), **counts}


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Negatives]
