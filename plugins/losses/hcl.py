"""HCL: cross entropy between groups of classes, coarse in early layers, and supervised contrast of features."""

from __future__ import annotations

import math
from typing import Any

import torch
from ffprobe_plugins.normalizers.group_norm import GroupNorm
from pydantic import Field, field_validator
from torch import nn
from torch.nn import functional

import ffprobe


class HCL(ffprobe.Loss):
    """L = L_Hier + contrast * L_Con, from goodness ``[B, K]`` for every class and from the activation.

    L_Hier is cross entropy between the means of goodness over the groups of classes of a level of a tree, coarse to
    fine; the last level are the classes themselves. With D levels, layer i of L stands at level ceil(i (D - 1) /
    (L - 1)), i and levels from 0. Without a ``tree`` it is ``cross-entropy`` in every layer. ``ffprobe analyze
    hierarchy RUN`` finds a tree from a finished run.

    L_Con is the supervised contrastive loss of Khosla and others (2020, arXiv:2004.11362, equation 2, L_out): features
    are the layer's activation after group normalization (what ``group-norm`` passes on), averaged over positions,
    mapped to ``features`` numbers and divided by their length; positives are the images of the batch with the same
    label, and an image without any is left out. The temperature falls from 0.8 to 0.2 in a straight line over ``warm``
    epochs, then along a half cosine to 0.08 at ``epochs``, where it stays.

    Deviations: the map learns at the rate of its layer (the code: at twice that), gradients are not clipped, and there
    is no softmax head beside goodness. Which levels the paper cuts its tree at is not known here.
    """

    name = "hcl"
    form = "class"
    averages = False  # every image is held against all others of the batch
    source = "HCL-FF, arXiv:2605.24797"

    class Params(ffprobe.Params):
        """The tree of classes, and the contrast."""

        tree: list[list[int]] = Field([], description="the group of each class, one list a level, coarse to fine")
        contrast: float = Field(1.0, ge=0, description="weight of the contrastive term")
        features: int = Field(128, ge=2, le=4096, description="numbers that an activation is mapped to for contrast")
        warm: int = Field(100, ge=0, description="epochs in which the temperature falls from 0.8 to 0.2")
        epochs: int = Field(1000, ge=1, description="epochs after which it is 0.08")

        @field_validator("tree")
        @classmethod
        def _levels(cls, tree: list[list[int]]) -> list[list[int]]:
            for level in tree:
                if sorted(set(level)) != list(range(len(set(level)))) or len(set(level)) < 2:
                    raise ValueError("groups of a level are numbered from 0 without a gap, and there are two or more")
            if len({len(level) for level in tree}) > 1:
                raise ValueError("every level names a group for each class")
            return tree

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module | None:
        """``map`` and its normalizer, unless there is no contrast.

        Raises:
            UsageError: the tree has another number of classes.
        """
        if self.params.tree and len(self.params.tree[0]) != classes:
            what = f"The tree of the loss names groups for {len(self.params.tree[0])} classes; there are {classes}."
            raise ffprobe.UsageError(what, hint="Find a tree for this data set: ffprobe analyze hierarchy RUN.")
        if not self.params.contrast:
            return None
        kept, normalizer = nn.Module(), GroupNorm()
        normalizer.prepare(min(classes, shape[0]))
        kept.normalizer = normalizer.build(shape)
        kept.map = nn.Linear(shape[0], self.params.features)
        return kept

    def __call__(self, goodness: torch.Tensor, labels: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """A scalar from goodness ``[B, K]`` and labels ``[B]``, and from the activation in ``context``."""
        loss = self.hierarchical(goodness, labels, context.layer, context.depth)
        if self.params.contrast:
            kept: Any = context.module
            normalized = kept.normalizer(context.activation)
            features = normalized.flatten(2).mean(dim=2) if normalized.dim() > 2 else normalized  # [B, C]
            mapped = kept.map(features.to(kept.map.weight.dtype))
            contrast = supervised_contrast(mapped, labels, self.temperature(context.epoch))
            loss = loss + self.params.contrast * contrast
        return loss

    def hierarchical(self, goodness: torch.Tensor, labels: torch.Tensor, layer: int, depth: int) -> torch.Tensor:
        """Cross entropy at the layer's level of the tree."""
        level = math.ceil(layer * len(self.params.tree) / max(1, depth - 1))
        if level >= len(self.params.tree):
            return functional.cross_entropy(goodness, labels)
        chosen = self.params.tree[level]
        groups = torch.tensor(chosen, device=goodness.device)  # [K]
        # told how many there are, one_hot need not wait for the device
        members = functional.one_hot(groups, max(chosen) + 1).to(goodness.dtype)  # [K, groups]
        return functional.cross_entropy(goodness @ (members / members.sum(dim=0)), groups[labels])

    def temperature(self, epoch: int) -> float:
        """Of the contrast."""
        warm, end = self.params.warm, max(self.params.epochs, self.params.warm + 1)
        if epoch < warm:
            return 0.8 - 0.6 * epoch / warm
        share = min(1.0, (epoch - warm) / (end - warm))
        return 0.08 + 0.12 * (1 + math.cos(math.pi * share)) / 2


def supervised_contrast(features: torch.Tensor, labels: torch.Tensor, temperature: float) -> torch.Tensor:
    """The mean over images with positives of -mean over positives p of log(exp(z_i z_p / t) / sum over others).

    0, with a graph, where no image has a positive.

    Args:
        features: ``[B, F]``, divided by their length here; float32 or wider.
        labels: int64 ``[B]``.
        temperature: t.
    """
    z = functional.normalize(features, dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    logits = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    log_p = (logits - logits.logsumexp(dim=1, keepdim=True)).masked_fill(itself, 0)
    positive = (labels[:, None] == labels) & ~itself
    count = positive.sum(dim=1)
    each = -(log_p * positive).sum(dim=1) / count.clamp(min=1)
    return each.sum() / (count > 0).sum().clamp(min=1)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [HCL]
