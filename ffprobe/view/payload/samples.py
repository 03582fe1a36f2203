"""``/api/runs/ID/samples``: what every layer predicts for every recorded image, and everything about one image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ffprobe.analysis.runs.labels import layer_numbers
from ffprobe.view.payload.images import recorded_images
from ffprobe.view.payload.neighbours import neighbours
from ffprobe.view.payload.overview import class_names
from ffprobe.view.payload.plain_values import plain
from ffprobe.view.payload.recorded_goodness import predicted, recorded_goodness

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile


def samples_document(run: RunFile, part: str = "", epoch: int | None = None) -> dict[str, Any]:
    """The true and the predicted labels of all images of a part.

    Args:
        run: the run file.
        part: ``test`` or ``validation``; empty: the better one that there is.
        epoch: an evaluated epoch; the last one by default.
    """
    goodness, layers = recorded_goodness(run, part, epoch), layer_numbers(run)
    by_layer = predicted(goodness.of_all())
    return plain({
        "part": goodness.part,
        "epoch": goodness.epoch,
        "epochs": goodness.epochs,
        "count": len(goodness.true_label),
        "labels": class_names(run),
        "layers": layers,
        "true": goodness.true_label,
        "index": goodness.source_index,
        "predicted": {f"layer {layer}": labels for layer, labels in zip(layers, by_layer, strict=True)},
        "images": sorted(recorded_images(run, goodness.part)),
    })  # fmt: skip


def sample_document(run: RunFile, key: str, part: str, index: int, epoch: int | None = None) -> dict[str, Any]:
    """Everything about one image.

    Args:
        run: the run file.
        key: id of the run, for the addresses of images.
        part: ``test`` or ``validation``.
        index: index of the image in that part.
        epoch: an evaluated epoch; the last one by default.
    """
    recorded, layers = recorded_goodness(run, part, epoch), layer_numbers(run)
    goodness = recorded.of_image(index)
    labels = [int(label) for label in predicted(goodness)]
    changes = [
        {"layer": after, "from": labels[after - 1], "to": labels[after]}
        for after in range(1, len(labels))
        if labels[after] != labels[after - 1]
    ]
    return plain({
        "part": recorded.part,
        "index": index,
        "epoch": recorded.epoch,
        "epochs": recorded.epochs,
        "count": len(recorded.true_label),
        "source_index": int(recorded.source_index[index]),
        "true": int(recorded.true_label[index]),
        "labels": class_names(run),
        "layers": layers,
        "goodness": goodness,
        "predicted": {f"layer {layer}": label for layer, label in zip(layers, labels, strict=True)},
        "changes": changes,
        "neighbours": neighbours(run, key, recorded, index),
        "image": image_url(key, recorded.part, index) if index in recorded_images(run, recorded.part) else None,
    })  # fmt: skip


def image_url(key: str, part: str, index: int) -> str:
    """The address of an image."""
    return f"/api/runs/{key}/images/{part}/{index}.png"
