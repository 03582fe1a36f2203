"""Do a layer's updates pull the same way from step to step, or against each other?"""

import ffprobe


class UpdateAngles(ffprobe.Probe):
    """The cosine between consecutive changes of each layer's weight, recorded at every step.

    1: the same direction again; 0: unrelated; below 0: a step takes back what the last one did. A step in which a
    layer stood still is skipped; the next change is held against the last one before it.
    """

    name = "update-angles"
    source = "a common diagnostic of optimization; asking it of overlapping groups is ours"

    def __init__(self, params=None):
        super().__init__(params)
        self.last = {}  # by layer: [weight after its last change, that change]

    def state_dict(self):  # so that a resumed run goes on as if it had not stopped
        return {"last": self.last}

    def load_state_dict(self, state):
        self.last = dict(state["last"])

    def variables(self, run):
        dimensions = (ffprobe.Dimension("step", None), ffprobe.Dimension("layer", len(run.layers)))
        meaning = "cosine between consecutive updates"
        return [ffprobe.Variable("cosine", ("step", "layer"), long_name=meaning, dimensions=dimensions)]

    @ffprobe.hookimpl
    def ffprobe_after_step(self, context):
        weights = [context.run.network.layer(i).weight for i in range(len(context.run.layers))]
        context.record("cosine", [float("nan") if w is None else self._cosine(i, w) for i, w in enumerate(weights)])

    def _cosine(self, layer, weight):
        before, last = self.last.setdefault(layer, [weight.detach().clone(), None])
        change = weight.detach() - before
        if not change.any():  # idle, or seen for the first time
            return float("nan")
        self.last[layer] = [weight.detach().clone(), change]
        return float("nan") if last is None else float((change * last).sum() / (change.norm() * last.norm()))

    def analyze(self, runs):
        import numpy as np

        rows, lines, path = [], [], f"probes/{self.name}/cosine"
        for run, label in zip(runs, ffprobe.run_labels(runs), strict=True):
            if not run.has(path):
                raise ffprobe.FileError("Not recorded.", where=str(run.path), hint=f"Train with --plugin {self.name}.")
            cosine = np.ma.masked_invalid(run.read(path))  # [step, layer]
            mean, sd = (part.filled(np.nan) for part in (cosine.mean(axis=0), cosine.std(axis=0)))
            rows += [(label, layer + 1, mean[layer], sd[layer]) for layer in range(len(mean))]
            lines.append({"label": label, "x": range(1, len(mean) + 1), "y": mean})
        columns = [ffprobe.Column("run", key=True), ffprobe.Column("layer", key=True)]
        columns.append(ffprobe.Column("cosine", "1", "mean over the steps", ".3f"))
        columns.append(ffprobe.Column("sd", "1", "standard deviation over the steps", ".3f", spread_of="cosine"))

        def draw(figure):
            ffprobe.line_by_layer(figure.subplots(), lines, ylabel="cosine of consecutive updates")

        question = "Do a layer's updates pull the same way from step to step?"
        return ffprobe.Result(self.name, question, columns, rows, draw=draw, runs=runs)


@ffprobe.hookimpl
def ffprobe_components():
    return [UpdateAngles]
