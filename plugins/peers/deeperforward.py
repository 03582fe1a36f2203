"""DeeperForward's code, in the copy at BasitHussain5/project_1, with plain and residual networks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import ffprobe


class DeeperForwardPeer(ffprobe.Peer):
    """Replays trajectories of DeeperForward's code: greedy updates, with one Adam or AdamW per layer whose learning
    rate follows a cosine by epoch.

    Specific to this code: the learning rate falls once per epoch; a shortcut is whatever was stored last; its search
    for layers to read from keeps, among equally accurate intervals, the one that ends first and then the one that
    begins first (``interval`` takes the shortest).
    """

    name = "peer-deeperforward"
    source = "github.com/BasitHussain5/project_1, commit b31a58b, folder deeperforward-main"

    def claims(self, meta: Mapping[str, Any]) -> bool:
        """Match the names of the repository and the method."""
        return meta.get("peer") == "BasitHussain5/project_1" and meta.get("method") == "DeeperForward"

    def plan(self, trajectory: ffprobe.Trajectory) -> ffprobe.ReplayPlan:
        """Plan ``group-mean``, ``group-norm`` and ``cross-entropy``, with every layer trained alone."""
        import numpy as np

        meta, arrays = trajectory.meta, trajectory.arrays
        self._refuse(meta)
        x, optimizer, schedule = arrays["batch/x"], meta["optimizer"], meta["schedule"]
        epochs = [step // schedule["epoch_length"] for step in range(len(x))]
        low, high = schedule["lr_min"], optimizer["lr"]
        rates = [low + (high - low) * (1 + math.cos(math.pi * e / schedule["t_max_epochs"])) / 2 for e in epochs]
        wide = x.dtype == np.float64
        return ffprobe.ReplayPlan(
            layers=_layers(meta["layers"]),
            shape=x.shape[2:],
            classes=meta["classes"],
            components={
                "encoder": {"name": "no-label", "standardize": True},
                "normalizer": {"name": "group-norm", "groups": meta["normalizer"]["groups"]},
                "goodness": "group-mean",
                "loss": "cross-entropy",
                "scheduler": "greedy",
            },
            training={"optimizer": optimizer["name"], "weight_decay": optimizer["weight_decay"]},
            inputs=x,
            labels=arrays["batch/y"],
            rates=rates,
            epochs=epochs,
            tolerance=ffprobe.Tolerance(1e-9, 0.0, 1e-7) if wide else ffprobe.Tolerance(5e-5, 0.0, 2e-4),
            tolerances={
                "first_grad": 2e-5,
                "step1": 1e-4,
                "eval": 1e-7 if wide else 1e-3,
                "lr": 1e-15,  # the last digit of the cosine
                **{f"eval/prune_{what}": 0.0 for what in ("start", "end", "accuracy")},
            },
        )

    def observed(self, record: ffprobe.ReplayRecord, trajectory: ffprobe.Trajectory) -> dict[str, Any]:
        """Losses and learning rates; in evaluation goodness, its sum over layers, and the layers that the code would
        choose.
        """
        import numpy as np

        meta, arrays = trajectory.meta, trajectory.arrays
        quantities: dict[str, Any] = {"loss": record.losses(), "lr": np.array([step.rate for step in record.steps])}
        if "eval/x" not in arrays:
            return quantities
        goodness = record.evaluate(arrays["eval/x"])
        first, last = meta["prediction"]["default_start"], meta["prediction"]["default_end"]
        quantities |= {"eval/goodness": goodness, "eval/logits": goodness[first : last + 1].sum(axis=0)}
        right, start, end = _most_accurate(goodness, arrays["eval/y"])
        accuracy = right / len(arrays["eval/y"])
        return {**quantities, "eval/prune_start": start, "eval/prune_end": end, "eval/prune_accuracy": accuracy}

    def _refuse(self, meta: Mapping[str, Any]) -> None:
        problems = []
        if any(layer["kind"] != "conv2d" or layer["padding"] != layer["kernel"] // 2 for layer in meta["layers"]):
            problems.append("layers other than size-preserving convolutions")
        if any(layer.get("shortcut_in", "none") not in ("none", "add", "concat") for layer in meta["layers"]):
            problems.append("an unknown shortcut")
        if (meta["goodness"]["name"], meta["loss"]["name"]) != ("group_mean", "cross_entropy"):
            problems.append(f"goodness {meta['goodness']['name']!r} with loss {meta['loss']['name']!r}")
        if meta["normalizer"]["name"] != "groupnorm" or meta["normalizer"]["eps"] != 1e-5:
            problems.append(f"normalizer {meta['normalizer']['name']!r}")
        if meta["input_normalizer"]["name"] != "layernorm" or meta["input_normalizer"]["affine"]:
            problems.append(f"input normalizer {meta['input_normalizer']['name']!r}")
        if meta["optimizer"]["name"] not in ("adam", "adamw") or meta["schedule"]["name"] != "cosine":
            problems.append(f"optimizer {meta['optimizer']['name']!r}, schedule {meta['schedule']['name']!r}")
        if meta["optimizer"]["name"] == "adam" and meta["optimizer"]["weight_decay"]:
            problems.append("Adam with weight decay")
        if problems:
            message = "; ".join(problems)
            raise ffprobe.PluginError(f"The peer '{self.name}' does not support: {message}.")


def _layers(recorded: Sequence[Mapping[str, Any]]) -> list[ffprobe.LayerSpec]:
    specs, stored = [], (0, 1)  # source layer and pooling of the shortcut that was stored last
    for index, layer in enumerate(recorded):
        join = layer.get("shortcut_in", "none")
        specs.append(
            ffprobe.LayerSpec(
                "conv",
                layer["out_channels"],
                bias=layer["bias"],
                kernel=layer["kernel"],
                stride=layer["stride"],
                input_avg_pool=layer["avgpool_before"] or 1,
                shortcut=ffprobe.Shortcut(stored[0], join, stored[1]) if join != "none" else None,
            )
        )
        if layer.get("shortcut_out", "none") != "none":
            stored = (index, 2 if layer["shortcut_out"] == "avgpool2" else 1)
    return specs


def _most_accurate(goodness: Any, labels: Any) -> tuple[int, int, int]:
    """Number of correct predictions, first and last layer of the interval that the code's search returns."""
    best = (0, 0, 0)
    for end in range(len(goodness)):
        for start in range(end + 1):
            right = int((goodness[start : end + 1].sum(axis=0).argmax(axis=1) == labels).sum())
            if right > best[0]:
                best = (right, start, end)
    return best


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [DeeperForwardPeer]
