"""Which classes are similar to a network? A tree of classes, and the setting that trains with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field, ValidationError

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


class Hierarchy(ffprobe.Probe):
    """Ward clustering of the classes by the weights of a linear head on one layer's activations.

    The head is multinomial logistic regression on z-scored activations of the recorded training images (held-out images
    are not used). The tree is cut into 2, 4, 8 ... groups, as long as there are fewer groups than classes; fewer
    groups where classes cannot be separated. The groups of a level are numbered in the order of their first class.

    Deviation: HCL-FF does not specify at which levels its tree is cut.
    """

    name = "hierarchy"
    source = "HCL-FF, arXiv:2605.24797: classes grouped by Ward clustering of linear-probe weights; Ward 1963"
    needs = frozenset({"activations"})

    class Params(ffprobe.Params):
        """Settings of the linear head."""

        layer: int = Field(0, ge=0, description="number of the layer of the activations, from 1; 0 is the last")
        l2: float = Field(1.0, gt=0, description="L2 penalty of the head, added to the summed loss")

    def analyze(self, runs: Sequence[ffprobe.RunFile]) -> ffprobe.Result:
        labels = ffprobe.run_labels(runs)
        trees = [self._tree(run) for run in runs]
        several = len(runs) > 1
        rows = [
            (*((label,) if several else ()), index, level.groups, name, group)
            for label, tree in zip(labels, trees, strict=True)
            for index, level in enumerate(tree.levels)
            for name, group in zip(tree.classes, level.of_class, strict=True)
        ]
        column = ffprobe.Column
        columns = [
            *([column("run", "", "label of the run", key=True)] if several else []),
            column("level", "", "level of the tree, from 0 for the coarsest", key=True),
            column("groups", "", "number of groups at this level", key=True),
            column("class", "", "name of the class", key=True),
            column("group", "", "number of the class's group, from 0"),
        ]
        documents = [[{"groups": level.groups, "of_class": level.of_class} for level in tree.levels] for tree in trees]
        return ffprobe.Result(
            name=self.name,
            question="Which classes are similar to the network?",
            columns=columns,
            rows=rows,
            notes=[note for label, tree in zip(labels, trees, strict=True) for note in _notes(label, tree)],
            extra={"settings": self.params.model_dump(), "trees": documents},
            draw=lambda figure: _draw(figure, labels, trees),
            size=(4.5 * len(runs), 3.2),
            runs=runs,
        )

    def _tree(self, run: ffprobe.RunFile) -> _Tree:
        from scipy.cluster.hierarchy import fcluster, linkage

        names = [str(name) for name in run.attributes["class_names"]]  # type: ignore[attr-defined]
        link = linkage(self._weights(run, len(names)), "ward")
        levels, groups, classes = list[_Level](), 2, len(link) + 1
        while groups < classes:
            # at most so many groups: classes at distance 0 (of a dead layer, for example) cannot be separated
            of_class = _numbered(fcluster(link, groups, "maxclust"))
            if len(set(of_class)) > (levels[-1].groups if levels else 1):
                levels.append(_Level(len(set(of_class)), of_class))
            groups *= 2
        return _Tree(names, link, levels)

    def _weights(self, run: ffprobe.RunFile, classes: int) -> np.ndarray:
        """The head's weights of each class ``[K, F]``."""
        import numpy as np
        import torch

        recorded = ffprobe.RecordedActivations(run)
        depth = self.params.layer or len(recorded.layers)
        place = next((p for p in recorded.places if p.depth == depth and p.stage == "pre"), None)
        if place is None:
            what = f"The run has no recorded activations of layer {depth}; it has {len(recorded.layers)} layers."
            hint = "Select another layer, for example hierarchy:layer=1."
            raise ffprobe.FileError(what, where=str(run.path), hint=hint)
        chosen = ~recorded.held
        label = recorded.truth[chosen]
        if len(np.unique(label)) < classes:
            what = f"Only {len(np.unique(label))} of {classes} classes are among the recorded images."
            raise ffprobe.FileError(what, where=str(run.path), hint="Record more (--set recording.samples=...).")
        x = np.asarray(recorded.matrix(place))[chosen].astype(float)
        x -= x.mean(axis=0)
        x /= np.maximum(x.std(axis=0), 1e-12)
        head = ffprobe.fit_head(torch.from_numpy(x), torch.from_numpy(label.astype(np.int64)), classes, self.params.l2)
        return head.weight.numpy().T


class _Level(NamedTuple):
    """The tree cut into ``groups`` groups, and the group of each class."""

    groups: int
    of_class: list[int]


class _Tree(NamedTuple):
    """The tree of one run.

    Attributes:
        classes: their names.
        link: Ward's linkage, as scipy returns it.
        levels: the coarsest first.
    """

    classes: list[str]
    link: np.ndarray
    levels: list[_Level]


def _numbered(clusters: np.ndarray) -> list[int]:
    """Groups numbered in the order of their first class."""
    order = dict.fromkeys(clusters.tolist())
    number = {cluster: k for k, cluster in enumerate(order)}
    return [number[cluster] for cluster in clusters.tolist()]


def _notes(label: str, tree: _Tree) -> Iterator[str]:
    if len(tree.classes) < 3:
        yield f"{label}: with two classes there is nothing to group."
        return
    if not tree.levels:
        yield (
            f"{label}: the layer does not separate the classes, so there is no tree. `ffprobe analyze representations`"
            " shows dead layers; select another layer, for example hierarchy:layer=1."
        )
        return
    if refusal := _refusal(tree):
        yield f"{label}: the loss hcl does not accept this tree: {refusal}."
        return
    setting = "loss.tree=[" + ",".join(str(level.of_class).replace(" ", "") for level in tree.levels) + "]"
    yield f"{label}: to train with this tree: --preset hcl-ff --set '{setting}'"


def _refusal(tree: _Tree) -> str:
    """Why the loss ``hcl`` does not accept the tree as its ``tree``; empty if it does."""
    import torch

    loss: Any = ffprobe.registered("loss").get("hcl")
    if loss is None:
        return "it is not installed"
    try:
        component = loss(loss.Params(tree=[level.of_class for level in tree.levels]))
        with torch.random.fork_rng(devices=[]):  # initial weights are random; an analysis must not draw globally
            component.build((1, 1, 1), len(tree.classes))
    except ValueError as error:  # pydantic's ValidationError is one
        return str(error.errors()[0]["msg"]) if isinstance(error, ValidationError) else str(error)
    except ffprobe.UsageError as error:
        return error.what.rstrip(".")
    return ""


def _draw(figure: Figure, labels: Sequence[str], trees: Sequence[_Tree]) -> None:
    """A dendrogram for each run."""
    from scipy.cluster.hierarchy import dendrogram

    panels: Any = figure.subplots(1, len(trees), squeeze=False)[0]
    for axes, label, tree in zip(panels, labels, trees, strict=True):
        dendrogram(
            tree.link,
            ax=axes,
            labels=tree.classes,
            orientation="right",
            color_threshold=0,
            above_threshold_color="0.25",
            leaf_font_size=8,
        )
        axes.set_xlabel("distance of joined groups (Ward)")
        axes.set_title(label if len(trees) > 1 else "")
        axes.spines[["top", "right", "left"]].set_visible(False)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Hierarchy]
