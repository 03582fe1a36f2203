"""Do the updates of a layer point in the same direction from step to step?"""

import ffprobe


class UpdateAngles(ffprobe.Probe):
    """Records the cosine between consecutive changes of each layer's weight at every step.

    1 is the same direction again, 0 is unrelated, and below 0 a step undoes part of the previous one. A step without a
    change of the layer is skipped; the next change is compared with the last one before it.
    """

    name = "update-angles"
    source = "a common diagnostic of optimization; its use for overlapping groups is our idea"

    def __init__(self, params=None):
        super().__init__(params)
        self.last = {}  # by layer: [weight after its last change, that change]

    def state_dict(self):  # so that a resumed run gives the same result as an uninterrupted one
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
        if not change.any():  # no change, or the first step
            return float("nan")
        self.last[layer] = [weight.detach().clone(), change]
        return float("nan") if last is None else float((change * last).sum() / (change.norm() * last.norm()))

    def analyze(self, runs):
        import numpy as np

        rows, lines, path = [], [], f"probes/{self.name}/cosine"
        for run, label in zip(runs, ffprobe.run_labels(runs), strict=True):
            if not run.has(path):
                raise ffprobe.FileError(
                    "The run has no update angles.", where=str(run.path), hint=f"Train with --plugin {self.name}."
                )
            cosine = np.ma.masked_invalid(run.read(path))  # [step, layer]
            mean, sd = (part.filled(np.nan) for part in (cosine.mean(axis=0), cosine.std(axis=0)))
            rows += [(label, layer + 1, mean[layer], sd[layer]) for layer in range(len(mean))]
            lines.append({"label": label, "x": range(1, len(mean) + 1), "y": mean})
        columns = [ffprobe.Column("run", key=True), ffprobe.Column("layer", key=True)]
        columns.append(ffprobe.Column("cosine", "1", "mean over the steps", ".3f"))
        columns.append(ffprobe.Column("sd", "1", "standard deviation over the steps", ".3f", spread_of="cosine"))

        def draw(figure):
            ffprobe.line_by_layer(figure.subplots(), lines, ylabel="cosine of consecutive updates")

        question = "Do the updates of a layer point in the same direction from step to step?"
        return ffprobe.Result(self.name, question, columns, rows, draw=draw, runs=runs)


@ffprobe.hookimpl
def ffprobe_components():
    return [UpdateAngles]
