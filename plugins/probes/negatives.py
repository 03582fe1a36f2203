"""How hard and how varied are the wrong labels that a run learns from?"""

from pydantic import Field

import ffprobe

RECORD = "Train again with --plugin negatives."


class Negatives(ffprobe.Probe):
    """Goodness of the negatives' labels among all wrong labels, how evenly they are drawn, and whether any is true.

    In rehearsals, every so many steps, the run's own sampler draws ``draws`` times for the first images of the epoch's
    last batch; the goodness of every label is read in evaluation mode, one pass for each label.

    The rank of a chosen label among the K - 1 wrong ones is the share of the others with a higher goodness (ties count
    half): 0 is the hardest, 1 the easiest, a uniform draw averages 0.5.
    """

    name = "negatives"
    source = "hardness and diversity: github.com/koriyoshi2041/ff-negative-samples; entropy's bias: Miller 1955"

    class Params(ffprobe.Params):
        """How often, and on how many images."""

        sandbox_every: int = Field(500, ge=1, description="minimum steps between two sandboxes; one runs at the end")
        images: int = Field(32, ge=1, description="of the batch, at most; each costs a forward pass for every label")
        draws: int = Field(32, ge=1, description="draws for each image, so that few images suffice for the entropy")

    def variables(self, run):
        if not _draws_labels(run.network):
            return []
        names, classes = tuple(layer.name for layer in run.layers), run.classes
        dims = (
            ffprobe.Dimension("row", None, long_name="rehearsal"),
            ffprobe.Dimension("layer", len(names), "str", names, long_name="layer, first to last"),
            ffprobe.Dimension("true", len(classes), "str", classes, long_name="true label"),
            ffprobe.Dimension("chosen", len(classes), "str", classes, long_name="label of the negative"),
        )
        variable = ffprobe.Variable
        return [
            variable("step", ("row",), "i8", "step", "optimizer steps done", dimensions=dims),
            variable("rank", ("row", "layer"), long_name="mean rank, 0 hardest, 1 easiest", dimensions=dims),
            variable("rank_sd", ("row", "layer"), long_name="standard deviation over images", dimensions=dims),
            variable("gap", ("row", "layer"), long_name="mean goodness, true less chosen label", dimensions=dims),
            variable("images", ("row",), "i4", long_name="how many images", dimensions=dims),
            variable("drawn", ("row", "true", "chosen"), "i4", "1", "draws", compress=True, dimensions=dims),
        ]

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context):
        if _draws_labels(context.run.network) and context.due(self.params.sandbox_every):
            images, labels = context.images[: self.params.images], context.labels[: self.params.images]
            context.record("step", context.step)
            for name, value in _measure(context.run, images, labels, self.params.draws).items():
                context.record(name, value)

    def analyze(self, runs):
        labels = ffprobe.run_labels(runs)
        found = [_Recorded(run, label) for run, label in zip(runs, labels, strict=True)]
        several = len(runs) > 1
        rows = [row for one in found for row in one.rows()]

        def draw(figure):
            series = [one.series() for one in found]
            depth = max(one.depth for one in found)
            axes = figure.subplots()
            floor = {"label": "", "x": [1, depth], "y": [0.5, 0.5], "look": "floor", "colour": 5}
            axes.set_ylim(-0.05, 1.05)  # before lines are labelled at their ends
            axes.set_yticks([0, 0.5, 1], ["0 hardest", "0.5 uniform", "1 easiest"])
            ffprobe.line_by_layer(axes, [*series, floor], ylabel="rank of the negative's label")

        column = ffprobe.Column
        columns = [
            *([column("run", "", "what tells the run apart", key=True)] if several else []),
            column("depth", "", "position of the layer, from 1", key=True),
            column("rank_first", "1", "of the chosen among the wrong labels, at the first rehearsal", ".3f"),
            column("rank_first_se", "1", "standard error over images", ".3f", spread_of="rank_first"),
            column("rank", "1", "at the last rehearsal: 0 hardest, 1 easiest", ".3f"),
            column("rank_se", "1", "standard error over images", ".3f", spread_of="rank"),
            column("gap_first", "1", "mean goodness of true less chosen label, at the first rehearsal", ".4f"),
            column("gap", "1", "the same at the last", ".4f"),
        ]
        return ffprobe.Result(
            name=self.name,
            question="How hard and how varied are the wrong labels that the run learns from?",
            columns=columns,
            rows=rows if several else [row[1:] for row in rows],
            notes=[note for one in found for note in one.notes(several)],
            extra={"runs": [one.to_dict() for one in found]},
            draw=draw,
            runs=runs,
        )


def _draws_labels(network):
    # in form class every label is scored at once; without labels negatives are images
    return network.form == "pair" and getattr(network, "shows_label", True)


def _measure(run, images, labels, draws):
    """What is recorded of one rehearsal: ranks and gaps ``[layer]``, counts ``[true, chosen]``."""
    import torch

    with run.sandbox() as copy, torch.no_grad():
        setup, network, classes = copy.setup, copy.network, len(run.classes)
        network.eval()
        with setup.autocast():
            every = torch.arange(classes, device=images.device)
            goodness = torch.stack([network(images, k.expand(len(images))) for k in every], dim=2)  # [L, B, K]
        given = None
        if setup.negatives.needs_goodness:
            given = ffprobe.last_layer_goodness(network, images, setup.autocast)
        network.train()
        chosen = torch.stack(
            [setup.negatives(images, labels, classes, setup.generator, given) for _ in range(draws)], dim=1
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
    equal = (others[:, :, None, :] == theirs[..., None]).sum(3) - 1  # but for itself
    rank = ((higher + 0.5 * equal) / (classes - 2) if classes > 2 else higher * torch.nan).mean(2)  # [L, B]
    sd = rank.std(dim=1) if len(labels) > 1 else rank[:, 0] * torch.nan
    gap = (own - theirs).mean((1, 2))
    return {"rank": rank.mean(1), "rank_sd": sd, "gap": gap, "images": len(labels), "drawn": drawn}


class _Recorded:
    """The rehearsals of one run."""

    def __init__(self, run, label):
        self.run, self.label, group = run, label, "probes/negatives"
        if not run.has(f"{group}/rank"):
            recorded = any(probe.get("name") == "negatives" for probe in run.config.get("probes", []))
            what = "No negatives were recorded in this run."
            if recorded:
                what = "This run drew no wrong labels: its goodness scores every label at once, or it learned without."
            hint = "Ask a run whose loss compares pairs of labels." if recorded else RECORD
            raise ffprobe.FileError(what, where=str(run.path), hint=hint)
        self.steps = run.read(f"{group}/step")
        if not len(self.steps):
            hint = "Let it go on; negatives are rehearsed at its end at the latest."
            raise ffprobe.FileError("No negatives are in the file yet.", where=str(run.path), hint=hint)
        names = ("rank", "rank_sd", "gap", "images")
        self.rank, self.sd, self.gap, self.images = (run.read(f"{group}/{name}").astype(float) for name in names)
        self.depth = self.rank.shape[1]
        self.drawn = sum(run.variable(f"{group}/drawn").blocks(1))[0].astype(float)  # [true, chosen]

    def rows(self):
        error = self.sd / self.images[:, None] ** 0.5
        for i in range(self.depth):
            ranks = (value for row in (0, -1) for value in (self.rank[row, i], error[row, i]))
            yield (self.label, i + 1, *ranks, self.gap[0, i], self.gap[-1, i])

    def series(self):
        """The last rehearsal by layer."""
        error = self.sd[-1] / self.images[-1] ** 0.5
        y = self.rank[-1].tolist()
        return {"label": self.label, "x": list(range(1, self.depth + 1)), "y": y, "error": error.tolist()}

    def true_share(self):
        """Share of draws that are the true label."""
        return float(self.drawn.trace() / self.drawn.sum())

    def entropy(self):
        """Bits of the chosen label given the true one, bias-corrected, and the most that K - 1 labels can have."""
        import numpy as np

        bits, total = 0.0, self.drawn.sum()
        for counts in self.drawn:
            seen = counts[counts > 0]
            if len(seen):
                p = seen / seen.sum()
                bits += seen.sum() / total * (-(p * np.log2(p)).sum() + (len(seen) - 1) / (2 * seen.sum() * np.log(2)))
        most = float(np.log2(len(self.drawn) - 1))
        return min(float(bits), most), most

    def notes(self, several):
        of = f"{self.label}: " if several else ""
        (bits, most), share, count = self.entropy(), self.true_share(), int(self.drawn.sum())
        yield f"{of}rehearsed after step {', '.join(str(s) for s in self.steps[:6])}{' ...' * (len(self.steps) > 6)}."
        yield (
            f"{of}{count} labels drawn for {int(self.images.sum())} images: given the true label they hold {bits:.2f}"
            f" bits of at most {most:.2f}."
        )
        if share:
            yield f"{of}{100 * share:.2g} % of the negatives carry the TRUE label; there must be none."
        else:
            yield f"{of}no negative carries the true label."
        if len(self.drawn) == 2:
            yield f"{of}with two classes there is one wrong label, so a rank means nothing."

    def to_dict(self):
        bits, most = self.entropy()
        counts = {"draws": int(self.drawn.sum()), "images": int(self.images.sum())}
        counts |= {"steps": self.steps, "rank": self.rank, "gap": self.gap}
        return {"label": self.label, "entropy": bits, "entropy_max": most, "true_share": self.true_share(), **counts}


@ffprobe.hookimpl
def ffprobe_components():
    return [Negatives]
