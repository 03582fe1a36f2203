"""Can a layer tell positives from negatives by the length of its input alone?"""

import torch

import ffprobe


class Leak(ffprobe.Probe):
    """The share of images whose input is longer with the true label than with a wrong one, after every epoch.

    One half means that the normalizer hides the goodness of the layers below. Measured on the last batch of the epoch,
    with the next label as the wrong one.
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
        longer[longer.abs() < 1e-4] = 0  # equal up to rounding: counts as a half
        context.record("share", ((1 + longer.sign()) / 2).mean(dim=1).tolist())

    def analyze(self, runs):
        rows, lines = [], []
        for run, label in zip(runs, ffprobe.run_labels(runs), strict=True):
            if not run.has("probes/leak/share"):
                hint = "Train with --plugin leak."
                raise ffprobe.FileError("This run did not record lengths.", where=str(run.path), hint=hint)
            if not len(shares := run.read("probes/leak/share")):  # [epoch, layer]
                raise ffprobe.FileError("No epoch is complete yet.", where=str(run.path), hint="Try again later.")
            share = 100 * shares[-1]
            rows += [(label, layer + 1, value) for layer, value in enumerate(share)]
            lines.append({"label": label, "x": range(1, len(share) + 1), "y": share})
        columns = [
            ffprobe.Column("run", key=True),
            ffprobe.Column("layer", key=True),
            ffprobe.Column("longer", "%", "inputs that are longer with the true label; 50 means no information", ".1f"),
        ]

        def draw(figure):
            axes = figure.subplots()
            ffprobe.line_by_layer(axes, lines, ylabel="longer with the true label (%)")
            axes.axhline(50, color="grey", linewidth=0.8, linestyle=":")

        question = "Can a layer tell positives from negatives by the length of its input?"
        return ffprobe.Result(self.name, question, columns, rows, draw=draw, runs=runs)


@torch.no_grad()
def lengths(network, images, labels):
    """The length of the input of each layer, [layers, B]; restores the network's mode."""
    mode, norms = network.training, []
    network.eval()  # an observer must not move running statistics
    x = network.encode(images, labels)
    for index in range(network.depth):
        layer = network.layer(index)
        norms.append(layer.normalize_input(x).flatten(1).norm(dim=1))
        x = layer.pass_on(layer(x))
    network.train(mode)
    return torch.stack(norms)


@ffprobe.hookimpl
def ffprobe_components():
    return [Leak]
