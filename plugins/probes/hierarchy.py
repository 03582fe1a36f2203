"""Which classes are alike to a network? A tree of classes, and the setting that trains with it."""

from pydantic import Field

import ffprobe


class Hierarchy(ffprobe.Probe):
    """Ward clustering of the classes by the weights of a linear head on one layer's activations.

    The head is multinomial logistic regression on z-scored activations of the images that the run trained on and
    recorded (held-out images take no part). The tree is cut at 2, 4, 8 ... groups, as long as there are fewer groups
    than classes; a level's groups are numbered in the order of their first class.

    Deviation: HCL-FF does not say at which levels its tree is cut.
    """

    name = "hierarchy"
    source = "HCL-FF, arXiv:2605.24797: classes grouped by Ward clustering of linear-probe weights; Ward 1963"
    needs = frozenset({"activations"})

    class Params(ffprobe.Params):
        """Where classes are read, and how."""

        layer: int = Field(0, ge=0, description="depth of the layer, from 1; 0 is the last")
        l2: float = Field(1.0, gt=0, description="penalty of the head on the summed loss")

    def analyze(self, runs):
        labels = ffprobe.run_labels(runs)
        trees = [self._tree(run) for run in runs]
        several = len(runs) > 1
        rows = [
            (*((label,) if several else ()), level, groups, name, group)
            for label, run, (_, levels) in zip(labels, runs, trees, strict=True)
            for level, (groups, of_class) in enumerate(levels)
            for name, group in zip(_classes(run), of_class, strict=True)
        ]

        def draw(figure):
            _draw(figure, runs, labels, trees)

        column = ffprobe.Column
        columns = [
            *([column("run", "", "what tells the run apart", key=True)] if several else []),
            column("level", "", "of the tree, 0 the coarsest", key=True),
            column("groups", "", "groups at this level", key=True),
            column("class", "", "name of the class", key=True),
            column("group", "", "its group"),
        ]
        return ffprobe.Result(
            name=self.name,
            question="Which classes are alike to the network?",
            columns=columns,
            rows=rows,
            notes=[note for label, (_, levels) in zip(labels, trees, strict=True) for note in _notes(label, levels)],
            extra={"settings": self.params.model_dump(), "trees": [_document(levels) for _, levels in trees]},
            draw=draw,
            size=(4.5 * len(runs), 3.2),
            runs=runs,
        )

    def _tree(self, run):
        """Ward's linkage, and (groups, group of each class) of every level."""
        from scipy.cluster.hierarchy import fcluster, linkage

        link = linkage(self._weights(run), "ward")
        levels, groups, classes = [], 2, len(link) + 1
        while groups < classes:
            levels.append((groups, _numbered(fcluster(link, groups, "maxclust"))))
            groups *= 2
        return link, levels

    def _weights(self, run):
        """The head's weights of each class ``[K, F]``."""
        import numpy as np
        import torch

        recorded = ffprobe.RecordedActivations(run)
        depth = self.params.layer or len(recorded.layers)
        place = next((p for p in recorded.places if p.depth == depth and p.stage == "pre"), None)
        if place is None:
            what = f"The run has no recorded activations at depth {depth}; it has {len(recorded.layers)} layers."
            raise ffprobe.FileError(what, where=str(run.path), hint="Ask for another one: hierarchy:layer=1.")
        chosen = ~recorded.held
        label = recorded.truth[chosen]
        classes = len(_classes(run))
        if len(np.unique(label)) < classes:
            what = f"Only {len(np.unique(label))} of {classes} classes are among the recorded images."
            raise ffprobe.FileError(what, where=str(run.path), hint="Record more (--set recording.samples=...).")
        x = np.asarray(recorded.matrix(place))[chosen].astype(float)
        x -= x.mean(axis=0)
        x /= np.maximum(x.std(axis=0), 1e-12)
        head = ffprobe.fit_head(torch.from_numpy(x), torch.from_numpy(label.astype(np.int64)), classes, self.params.l2)
        return head.weight.numpy().T


def _classes(run):
    return [str(name) for name in run.attributes["class_names"]]


def _numbered(clusters):
    """Groups numbered in the order of their first class."""
    order = dict.fromkeys(clusters.tolist())
    number = {cluster: k for k, cluster in enumerate(order)}
    return [number[cluster] for cluster in clusters.tolist()]


def _setting(levels):
    return "loss.tree=[" + ",".join(str(of_class).replace(" ", "") for _, of_class in levels) + "]"


def _notes(label, levels):
    if levels:
        yield f"{label}: to train with this tree: --preset hcl-ff --set '{_setting(levels)}'"
    else:
        yield f"{label}: with two classes there is nothing to group."


def _document(levels):
    return [{"groups": groups, "of_class": of_class} for groups, of_class in levels]


def _draw(figure, runs, labels, trees):
    from scipy.cluster.hierarchy import dendrogram

    for axes, run, label, (link, _) in zip(
        figure.subplots(1, len(runs), squeeze=False)[0], runs, labels, trees, strict=True
    ):
        names = _classes(run)
        dendrogram(
            link,
            ax=axes,
            labels=names,
            orientation="right",
            color_threshold=0,
            above_threshold_color="0.25",
            leaf_font_size=8,
        )
        axes.set_xlabel("distance of joined groups (Ward)")
        axes.set_title(label if len(runs) > 1 else "")
        axes.spines[["top", "right", "left"]].set_visible(False)


@ffprobe.hookimpl
def ffprobe_components():
    return [Hierarchy]
