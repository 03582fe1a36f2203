"""``python -m benchmarks.heads [RUN.h5]``: the linear heads of all layers against scikit-learn, one after the other.

Both fit multinomial logistic regression to the same z-scored rows with the same penalty, five random 80 % of the rows
for every layer, as ``ffprobe analyze probes`` does, and score the same held-out rows. Both end at the same size of the
gradient (scikit-learn's default); scikit-learn's limit on iterations is raised until none of its fits meets it.

ffprobe fits as many layers at once as torch has threads, each with all its subsets. scikit-learn's products are too
thin for more than one thread of the linear algebra library, and may become several times slower with more; it is held
to one, and its time with the threads it takes by itself is told beside it, measured once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import sklearn
import typer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import ffprobe
from benchmarks.harness import RESULTS, compare, keep, quartiles
from ffprobe.analysis.probing.heads import fitted_rows

PEER = "scikit-learn, one thread"
LAYERS, IMAGES, UNITS, CLASSES, LATENT = 12, 2000, 512, 10, 30
"""LATENT: dimensions that vary; trained and untrained layers of real runs have an effective rank of some 5 to 40."""


class Layers(NamedTuple):
    """Features ``[N, units]`` of each layer, labels ``[N]``, and which rows are held out."""

    features: list[np.ndarray]
    labels: np.ndarray
    held: np.ndarray


def synthetic() -> Layers:
    """Twelve random ReLU layers, each of its own noisy class centres in a few dimensions."""
    random = np.random.default_rng(0)
    labels, held = random.integers(0, CLASSES, IMAGES), np.arange(IMAGES) >= 0.75 * IMAGES
    features = []
    for _ in range(LAYERS):
        latent = 0.6 * random.normal(size=(CLASSES, LATENT))[labels] + random.normal(size=(IMAGES, LATENT))
        units = latent @ random.normal(size=(LATENT, UNITS)) / LATENT**0.5
        noise = 0.1 * random.normal(size=(IMAGES, UNITS))
        features.append(np.maximum(units + noise, 0).astype(np.float32))
    return Layers(features, labels, held)


def isotropic() -> Layers:
    """The easiest case for any solver: classes apart in noise that is alike in all directions."""
    random = np.random.default_rng(1)
    labels, held = random.integers(0, CLASSES, IMAGES), np.arange(IMAGES) >= 0.75 * IMAGES
    centres = 0.15 * random.normal(size=(LAYERS, CLASSES, UNITS))
    noise = random.normal(size=(LAYERS, IMAGES, UNITS))
    return Layers([(c[labels] + n).astype(np.float32) for c, n in zip(centres, noise, strict=True)], labels, held)


def recorded(path: Path) -> Layers:
    """The last recording of every layer of a run, before and after the normalizer."""
    with ffprobe.open(path) as run:
        found = ffprobe.RecordedActivations(run)
        features = [np.asarray(found.matrix(place)) for place in found.places if place.depth]
        return Layers(features, found.truth, found.held)


def alternatives(layers: Layers, fits: int, l2: float) -> tuple[dict[str, Callable[[], None]], dict[str, Any]]:
    """Both ways, and a place where each leaves its accuracies ``[layers, fits]``."""
    told: dict[str, Any] = {"iterations": []}

    def ours() -> None:
        told["ffprobe"] = ffprobe.train_heads(layers.features, layers.labels, layers.held, repeats=fits, l2=l2)

    def peer() -> None:
        fit, held = layers.labels[~layers.held], layers.held
        subsets, accuracy = fitted_rows(len(fit), fits, seed=0).numpy(), []
        told["iterations"] = []
        for x in layers.features:
            scale = StandardScaler().fit(x[~held])
            z, new = scale.transform(x[~held]), scale.transform(x[held])
            for rows in subsets:
                model = LogisticRegression(C=1 / l2, max_iter=10_000).fit(z[rows], fit[rows])
                told["iterations"].append(int(model.n_iter_[0]))
                accuracy.append(model.score(new, layers.labels[held]))
        told["scikit-learn"] = np.array(accuracy).reshape(len(layers.features), fits)

    def peer_alone() -> None:
        with threadpool_limits(1, "blas"):
            peer()

    told["as installed"] = peer
    return {PEER: peer_alone, "ffprobe": ours}, told


def main(
    run: Annotated[Path | None, typer.Argument(help="A run file with activations, beside the synthetic sizes.")] = None,
    fits: Annotated[int, typer.Option(help="Random subsets of rows that each layer is fitted on.")] = 5,
    l2: Annotated[float, typer.Option(help="Penalty on the summed loss.")] = 1.0,
    rounds: Annotated[int, typer.Option(help="Rounds that count.")] = 7,
    json: Annotated[Path, typer.Option(help="Folder for the measurements.")] = RESULTS,
) -> None:
    """All layers together against scikit-learn's LogisticRegression layer after layer."""
    cases = {"heads": synthetic(), "heads-isotropic": isotropic()}
    if run is not None:
        cases["heads-recorded"] = recorded(run)
    for name, layers in cases.items():
        both, told = alternatives(layers, fits, l2)
        widest = max(x.shape[1] for x in layers.features)
        size = f"{len(layers.features)} layers x {len(layers.labels)} images x {widest} units"
        question = f"{fits} linear heads for each of {size}"
        found = compare(name, question, both, baseline=PEER, rounds=rounds)
        began = time.perf_counter()
        told["as installed"]()
        installed = time.perf_counter() - began
        if name != "heads-isotropic":
            ours = quartiles(found.seconds["ffprobe"])[1]
            found.promise("ffprobe, times as fast as scikit-learn called in a loop", installed / ours, 5.0)
            alone = quartiles(found.ratios["ffprobe"])[1]
            found.promise("ffprobe, times as fast as scikit-learn held to one thread of linear algebra", alone, 5.0)
        found.facts = {
            "scikit-learn called in a loop, with its own choice of threads, once (s)": round(installed, 3),
            "accuracy, ffprobe (%)": round(100 * float(told["ffprobe"].mean()), 2),
            "accuracy, scikit-learn (%)": round(100 * float(told["scikit-learn"].mean()), 2),
            "largest difference of a layer (points)": round(
                100 * float(np.abs((told["ffprobe"] - told["scikit-learn"]).mean(axis=1)).max()), 2
            ),
            "scikit-learn's iterations": f"{min(told['iterations'])} to {max(told['iterations'])}",
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
        }
        keep(found, json)


if __name__ == "__main__":
    typer.run(main)
