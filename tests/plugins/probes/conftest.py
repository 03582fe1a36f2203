"""Small run files, written by the real writer and read by the real reader."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch

from ffprobe.store.reader import RunFile, open_run
from ffprobe.store.schema import ActivationRecord, RunMetadata, run_schema
from ffprobe.store.writer import RunWriter

CLASSES = ("a", "b", "c", "d")
SLOTS = {
    "dataset": "cifar10",
    "network": "tff-s",
    "encoder": "label-channel",
    "normalizer": "length",
    "goodness": "mean-square",
    "loss": "fixed-threshold",
    "negatives": "uniform-wrong",
    "scheduler": "greedy",
    "rule": "forward-forward",
    "evaluator": "layer-goodness",
}
MakeRun = Callable[..., RunFile]


def write_run(
    path: Path,
    *,
    layers: int = 3,
    plugins: dict[str, str] | None = None,
    goodness: np.ndarray | None = None,
    truth: np.ndarray | None = None,
    signal: list[float] | None = None,
    floor: float = 0.2,
    images: tuple[int, int] = (160, 60),
    width: int = 12,
    epochs: tuple[int, ...] = (0, 2),
    finish: bool = True,
    test: bool = True,
    seed: int = 0,
    settings: dict[str, dict[str, object]] | None = None,
    metrics: list[dict[str, object]] | None = None,
    evaluations: dict[int, np.ndarray] | None = None,
    weights: dict[str, np.ndarray] | None = None,
    initial: dict[str, list[float]] | None = None,
    attributes: dict[str, object] | None = None,
    model_accuracy: bool = False,
) -> Path:
    """A run of 2 epochs, or of as many as there are metrics.

    Activations are class centres, ``signal`` apart in each layer, with noise of 1 around them.

    Args:
        path: of the finished file.
        layers: how many, where ``goodness`` does not say it.
        plugins: what fills a slot instead of vanilla's component.
        goodness: ``[layer, sample, label]`` of the test set and, alike, of the validation set; accuracies follow.
        truth: ``[sample]``.
        signal: how far apart the classes stand in the activations of each layer; None records no activations.
        floor: the same in the untrained network.
        width: units of every layer.
        test: whether the test set is read.
        seed: of noise, and the run's.
        images: to fit on and held out.
        epochs: for which activations are recorded.
        finish: False leaves a .partial, with numbers in ``final`` that nobody may read.
        settings: of the component in a slot, by slot.
        metrics: what is measured in each epoch, by name; the validation accuracy that follows from ``goodness`` and
            nothing else unless given.
        evaluations: validation goodness by epoch; ``goodness`` after every epoch unless given, no validation set when
            empty.
        weights: final weights by name, ``0.conv.weight``.
        initial: ``weight_norm`` and ``weight_maximum`` of every layer before training.
        model_accuracy: whether ``final`` has the accuracies by the run's evaluator, which are those of the last layer.
        attributes: of the file, besides the usual ones; 100 multiply-adds for every layer unless given.
    """
    random = np.random.default_rng(seed)
    if goodness is None:
        truth = np.arange(40) % len(CLASSES)
        goodness = random.normal(size=(layers, 40, len(CLASSES)))
        goodness[:, np.arange(40), truth] += 2  # not collapsed
    layers, samples = goodness.shape[:2]
    names = tuple(str(i) for i in range(layers))
    places = [("input", "pre")] + [(name, stage) for name in names for stage in ("pre", "post")]
    slots = {k: {"name": (plugins or {}).get(k, v), **(settings or {}).get(k, {})} for k, v in SLOTS.items()}
    config = {"preset": "", "seed": seed, "training": {"epochs": 500}, **slots}
    held_out = samples if evaluations is None or evaluations else 0
    facts = RunMetadata(
        layers=names,
        classes=CLASSES,
        validation=held_out,
        test=samples if test else 0,
        weights={name: (value.shape, "f4") for name, value in (weights or {}).items()},
        activations=tuple(ActivationRecord(a, b, width, (width,), "none") for a, b in places) if signal else (),
        activation_samples=images,
        attributes={
            "config_json": json.dumps(config),
            "run_id": f"id-{path.stem}",
            "seed": seed,
            "layer_multiply_adds": [100] * layers,
            **(attributes or {}),
        },
    )
    accuracy = (goodness.argmax(axis=2) == truth).mean(axis=1)
    with RunWriter.create(path, run_schema(facts)) as writer:
        if held_out:
            writer.put("evaluation/true_label", truth)
        for name, values in (initial or {}).items():
            writer.put(f"initial/{name}", np.array(values))
        if signal:
            labels = np.arange(sum(images)) % len(CLASSES)
            centres = random.normal(size=(len(CLASSES), width))
            writer.put("activations/true_label", labels)
            writer.put("activations/held_out", (np.arange(sum(images)) >= images[0]).astype(int))
            for epoch in epochs:
                for layer, stage in places:
                    apart = 1.0 if layer == "input" else floor if epoch == 0 else signal[int(layer)]
                    x = apart * centres[labels] + random.normal(size=(len(labels), width))
                    writer.append(f"activations/{layer}/{stage}", {"activation": x, "epoch": epoch})
        if metrics is None:
            measured = accuracy if finish else np.full(layers, np.nan)
            metrics = [{"validation_accuracy": accuracy}, {"validation_accuracy": measured}]
        for epoch, row in enumerate(metrics, 1):
            writer.append("metrics", {"epoch": epoch, **row})
            if evaluations is None or epoch in evaluations:
                writer.append("evaluation", {"epoch": epoch, "goodness": (evaluations or {}).get(epoch, goodness)})
            writer.commit()
        if not finish:  # what stands in final before the end is not vouched for
            writer.put("final/validation_accuracy", np.full(layers, 0.123))
            writer.put("final/test_accuracy", np.full(layers, 0.123))
            return Path(f"{path}.partial")
        for name, value in (weights or {}).items():
            writer.put("weights/" + name.replace(".", "/", 1), value)
        writer.put("final/validation_accuracy", accuracy)
        if model_accuracy:
            writer.put("final/model_validation_accuracy", accuracy[-1])
        if test:
            if model_accuracy:
                writer.put("final/model_test_accuracy", accuracy[-1])
            writer.put("test/goodness", goodness)
            writer.put("test/true_label", truth)
            writer.put("final/test_accuracy", accuracy)
        return writer.finish()


@pytest.fixture
def make_run(tmp_path: Path) -> Iterator[MakeRun]:
    """``make_run(name, **what)``: writes ``name.h5`` and opens it."""
    with ExitStack() as network:

        def make(name: str = "run", **what: object) -> RunFile:
            return network.enter_context(open_run(write_run(tmp_path / f"{name}.h5", **what)))  # type: ignore[arg-type]

        yield make


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
