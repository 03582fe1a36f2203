"""mohammadpz/pytorch_forward_forward, two layers trained one after another on the full batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ffprobe


class PezeshkiPeer(ffprobe.Peer):
    """Replays trajectories of mohammadpz/pytorch_forward_forward: linear layers, each trained to its end before the
    next begins; only the final weights are recorded.

    Specific to this code: the label pixel is as bright as the brightest feature of the whole batch, so it depends on
    other images (``pixel-overlay`` uses each image's own maximum). The steps of one layer are one epoch here.
    """

    name = "peer-pezeshki"
    source = "github.com/mohammadpz/pytorch_forward_forward"

    def claims(self, meta: Mapping[str, Any]) -> bool:
        """Match the name of the repository."""
        return meta.get("peer") == "mohammadpz/pytorch_forward_forward"

    def plan(self, trajectory: ffprobe.Trajectory) -> ffprobe.ReplayPlan:
        """Plan sequential updates on the one batch."""
        import numpy as np

        meta, arrays = trajectory.meta, trajectory.arrays
        if any(layer["kind"] != "linear" for layer in meta["layers"]) or meta["loss"] != "fixed_threshold":
            raise ffprobe.PluginError(f"The peer {self.name!r} supports only linear layers and the fixed threshold.")
        depth, each = len(meta["layers"]), int(meta["steps_per_layer"])
        x = arrays["batch/x"]
        x = x.reshape(1, len(x), 1, 1, -1)
        steps = np.zeros(depth * each, dtype=np.int64)  # the same batch in every step
        return ffprobe.ReplayPlan(
            layers=[ffprobe.LayerSpec("linear", la["out_features"], bias=la["bias"]) for la in meta["layers"]],
            shape=x.shape[2:],
            classes=meta["classes"],
            components={
                "encoder": _batch_overlay(),
                "normalizer": {"name": "length", "to": "one", "epsilon": 1e-4},
                "goodness": "mean-square",
                "loss": {"name": "fixed-threshold", "threshold": meta["tau"]},
                "scheduler": {"name": "sequential", "epochs_per_layer": 1},
            },
            training={"optimizer": meta["optimizer"]["name"], "learning_rate": meta["optimizer"]["lr"]},
            inputs=x[steps],
            labels=arrays["batch/y_pos"][None][steps],
            negatives=arrays["batch/y_neg"][None][steps],
            epochs=[layer for layer in range(depth) for _ in range(each)],
        )

    def observed(self, record: ffprobe.ReplayRecord, trajectory: ffprobe.Trajectory) -> dict[str, Any]:
        """Goodness in evaluation, ``[K, L, N]``."""
        x = trajectory.arrays["eval/x"]
        return {"eval/goodness": record.evaluate(x.reshape(len(x), 1, 1, -1)).transpose(2, 0, 1)}


def _batch_overlay() -> type[ffprobe.Encoder]:
    import torch
    from torch import nn

    class Overlay(nn.Module):
        def __init__(self, classes: int) -> None:
            super().__init__()
            self.classes = classes

        def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            flat = images.flatten(1).clone()
            top = flat.max()
            flat[:, : self.classes] = 0
            flat[torch.arange(len(flat)), labels] = top
            return flat.view_as(images)

        def neutral(self, images: torch.Tensor) -> torch.Tensor:
            raise NotImplementedError("this code has no neutral label")

    class BatchOverlay(ffprobe.Encoder):
        name = "overlay-batch-maximum"
        learned = False

        def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
            return Overlay(classes)

    return BatchOverlay


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [PezeshkiPeer]
