"""Can a layer tell positives from negatives by nothing but the length of its input?"""

import torch

import ffprobe


class Leak(ffprobe.Probe):
    """The share of images whose input is longer with the true label than with a wrong one, after every epoch.

    One half: the normalizer hides the goodness of the layers below. Asked of the last batch of the epoch, with the
    next label as the wrong one.
    """

    name = "leak"

    def variables(self, run):
        dimensions = (ffprobe.Dimension("epoch", None), ffprobe.Dimension("layer", len(run.layers)))
        meaning = "share of longer inputs with the true label"
        return [ffprobe.Variable("share", ("epoch", "layer"), long_name=meaning, dimensions=dimensions)]

    @ffprobe.hookimpl
    def ffprobe_after_step(self, context):
        self.batch = context.images, context.labels

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context):
        images, labels = self.batch
        right = lengths(context.run.network, images, labels)
        wrong = lengths(context.run.network, images, (labels + 1) % len(context.run.classes))
        longer = (right - wrong) / (right + wrong)
        longer[longer.abs() < 1e-4] = 0  # the same but for rounding: a half
        context.record("share", ((1 + longer.sign()) / 2).mean(dim=1).tolist())

    def analyze(self, runs):
        rows, lines = [], []
        for run, label in zip(runs, ffprobe.run_labels(runs), strict=True):
            if not run.has("probes/leak/share"):
                hint = "Train with --plugin leak."
                raise ffprobe.FileError("This run did not record lengths.", where=str(run.path), hint=hint)
            if not len(shares := run.read("probes/leak/share")):  # [epoch, layer]
                raise ffprobe.FileError("No epoch has ended yet.", where=str(run.path), hint="Ask again later.")
            share = 100 * shares[-1]
            rows += [(label, layer + 1, value) for layer, value in enumerate(share)]
            lines.append({"label": label, "x": range(1, len(share) + 1), "y": share})
        columns = [
            ffprobe.Column("run", key=True),
            ffprobe.Column("layer", key=True),
            ffprobe.Column("longer", "%", "inputs that are longer with the true label; 50 tells nothing", ".1f"),
        ]

        def draw(figure):
            axes = figure.subplots()
            ffprobe.line_by_layer(axes, lines, ylabel="longer with the true label (%)")
            axes.axhline(50, color="grey", linewidth=0.8, linestyle=":")

        question = "Can a layer tell positives from negatives by the length of its input?"
        return ffprobe.Result(self.name, question, columns, rows, draw=draw, runs=runs)


@torch.no_grad()
def lengths(network, images, labels):
    """Of what each layer's transform sees, [layers, B]; the network is left in the mode it was in."""
    mode, found = network.training, []
    network.eval()  # running statistics must not move: an observer only looks
    x = network.encode(images, labels)
    for index in range(network.depth):
        layer = network.layer(index)
        found.append(layer.normalize_input(x).flatten(1).norm(dim=1))
        x = layer.pass_on(layer(x))
    network.train(mode)
    return torch.stack(found)


@ffprobe.hookimpl
def ffprobe_components():
    return [Leak]
