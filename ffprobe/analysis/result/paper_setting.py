"""Whether a run can confirm or contradict a claim: the setting of the paper, and collapsed networks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ffprobe.analysis.runs.labels import run_components

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile


class RunVerdict(NamedTuple):
    """The verdict of one run, or of runs that differ only in the seed.

    Attributes:
        label: short name; empty if there is only one run.
        agrees: whether it agrees with the claim; None if it is inconclusive.
        text: its numbers in words, without a full stop.
        p: p value of the test behind ``agrees``; NaN if the rule is not a test.
        not_comparable: how the run differs from the claim's setting; empty if it is comparable.
    """

    label: str
    agrees: bool | None
    text: str
    p: float = math.nan
    not_comparable: str = ""


@dataclass(frozen=True)
class PaperSetting:
    """The network, data set and training length that a claim was observed with.

    Attributes:
        networks: names of the networks; empty: any.
        datasets: names of the data sets; empty: any.
        epochs: number of epochs; 0: unknown. A run with a tenth of them or less is not comparable.
    """

    networks: frozenset[str] = frozenset()
    datasets: frozenset[str] = frozenset()
    epochs: int = 0

    def difference(self, run: RunFile) -> str:
        """Return how a run differs from this setting, as one phrase; empty if it is comparable."""
        names, config = run_components(run), run.config
        network, dataset = names.get("network", "an unknown network"), names.get("dataset", "an unknown data set")
        table, training = config.get("network"), config.get("training")
        width = table.get("width", 1) if isinstance(table, Mapping) else 1
        planned = training.get("epochs") if isinstance(training, Mapping) else None
        epochs = planned if run.complete and isinstance(planned, int) else run.epochs
        differences = []
        if self.networks and network not in self.networks:
            differences.append(f"another network ({network})")
        elif self.networks and width != 1:
            differences.append(f"another network ({network} at width {width:g})")
        if self.datasets and dataset not in self.datasets:
            differences.append(f"another data set ({dataset})")
        if 10 * epochs <= self.epochs:
            differences.append(f"{epochs} of {self.epochs} epochs")
        return ", ".join(differences)


def paper_setting(network: str = "", dataset: str = "", epochs: int = 0) -> PaperSetting:
    """Return the setting of a claim.

    Args:
        network: names of networks, separated by spaces; empty: any.
        dataset: names of data sets, separated by spaces; empty: any.
        epochs: number of epochs; 0: unknown.
    """
    return PaperSetting(frozenset(network.split()), frozenset(dataset.split()), epochs)


def judge(
    runs: RunFile | Sequence[RunFile],
    label: str,
    agrees: bool | None,
    text: str,
    *,
    p: float = math.nan,
    paper: PaperSetting | None = None,
) -> RunVerdict:
    """Return the verdict of a rule, unless the runs cannot decide the claim.

    A run in another setting than the paper's is not comparable. A collapsed network confirms and contradicts nothing.

    Args:
        runs: the run, or all runs, that the rule was applied to.
        label: short name; empty if there is only one run.
        agrees: what the rule gives.
        text: the numbers in words, without a full stop.
        p: p value of the test behind ``agrees``; NaN if the rule is not a test.
        paper: the setting of the claim; None: every run is comparable.
    """
    runs = list(runs) if isinstance(runs, (list, tuple)) else [runs]  # type: ignore[list-item]
    difference = next(filter(None, (paper.difference(run) for run in runs)), "") if paper else ""
    if difference:
        return RunVerdict(label, None, text, not_comparable=difference)
    if agrees is not None and (reason := next(filter(None, map(collapse, runs)), "")):
        return RunVerdict(label, None, f"{text}; the network has collapsed ({reason})")
    return RunVerdict(label, agrees, text, p)


def collapse(run: RunFile) -> str:
    """Return why a network counts as collapsed; empty if it does not, or if no goodness was recorded.

    A network has collapsed if none of its layers predicts more than one class and is more accurate than chance by more
    than two standard errors. Chance is the share of the most frequent class. All layers count, because later layers
    that lose what the first ones learned are a result and not a collapse. The images are those of the test set, else
    those of the last evaluation.
    """
    import numpy as np
    import torch

    from ffprobe.prediction.predicted_labels import UNDECIDED, predicted_labels

    tested = run.complete and run.has("test/goodness")
    group = "test" if tested else "evaluation"
    if not run.has(f"{group}/goodness") or not len(run.variable(f"{group}/goodness")):
        return ""
    recorded, truth = run.variable(f"{group}/goodness"), run.read(f"{group}/true_label")
    goodness = np.asarray(recorded[...] if tested else recorded[-1], dtype=float)  # [layers, images, labels]
    measured = np.isfinite(goodness).any(axis=(1, 2))
    if not measured.any() or not len(truth) or truth.min() < 0:
        return ""  # a rule without goodness in any layer, or labels that were never written
    predicted = predicted_labels(torch.from_numpy(goodness[measured])).numpy()
    chance = np.unique(truth, return_counts=True)[1].max() / len(truth)
    error = math.sqrt(chance * (1 - chance) / len(truth))
    several = np.array([len(set(row.tolist()) - {UNDECIDED}) > 1 for row in predicted])
    if not several.any():
        return "every prediction is the same class"
    best = float((predicted == truth).mean(axis=1)[several].max())
    if best > chance + 2 * error:
        return ""
    return f"{100 * best:.1f} % in its best layer, chance is {100 * chance:.1f} %"
