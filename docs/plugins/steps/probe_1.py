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
        share = runs[0].read("probes/leak/share")  # [epoch, layer]
        if not len(share):
            raise ffprobe.FileError("No epoch has ended yet.", where=str(runs[0].path), hint="Ask again later.")
        rows = [(layer + 1, 100 * last) for layer, last in enumerate(share[-1])]
        columns = [ffprobe.Column("layer"), ffprobe.Column("longer", "%", format=".1f")]
        return ffprobe.Result("leak", "Does the length of a layer's input tell?", columns, rows, runs=runs[:1])


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
