"""HCL: cross entropy between groups of classes (coarse in early layers) plus supervised contrast of features."""

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
    """Combines hierarchical cross entropy and supervised contrastive learning: L = L_Hier + contrast * L_Con, from
    goodness ``[B, K]`` and the activation.

    L_Hier is the cross entropy between the mean goodness of the groups of classes at one level of a tree, coarse to
    fine; at the last level, each class is a group. With D levels, layer i of L (both from 1) uses level ceil((i - 1) (D
    - 1) / (L - 1)), counted from 0 for the coarsest. Without a ``tree``, every layer uses ``cross-entropy``. ``ffprobe
    analyze hierarchy RUN`` finds a tree from a finished run.

    L_Con is the supervised contrastive loss of Khosla and others (2020, arXiv:2004.11362, equation 2, L_out). Its
    features are the layer's activation after group normalization (the output of ``group-norm``), averaged over
    positions, mapped to ``features`` values and divided by their length. Positives are the images of the batch with the
    same label; an image without any is left out. The temperature falls linearly from 0.8 to 0.2 over ``warm`` epochs,
    then along a half cosine to 0.08 at ``epochs``, where it stays.

    Deviations: the map learns at the learning rate of its layer (the authors' code uses twice that rate), gradients are
    not clipped, and there is no softmax head beside goodness. We do not know at which levels the paper cuts its tree.
    """

    name = "hcl"
    form = "class"
    averages = False  # every image is compared with all others of the batch
    source = "HCL-FF, arXiv:2605.24797"

    class Params(ffprobe.Params):
        """The class tree and the contrastive term."""

        tree: list[list[int]] = Field(
            [],
            description="group index of each class, one list per level, coarse to fine; empty uses cross "
            "entropy over the classes in every layer",
        )
        contrast: float = Field(1.0, ge=0, description="weight of the contrastive term, at least 0; 0 removes it")
        features: int = Field(
            128,
            ge=2,
            le=4096,
            description="number of features that the contrastive term maps an activation to, in [2, 4096]",
        )
        warm: int = Field(100, ge=0, description="number of epochs over which the temperature falls from 0.8 to 0.2")
        epochs: int = Field(
            1000, ge=1, description="number of epochs after which the temperature is 0.08; 1,000 as in the paper"
        )

        @field_validator("tree")
        @classmethod
        def _levels(cls, tree: list[list[int]]) -> list[list[int]]:
            for level in tree:
                if sorted(set(level)) != list(range(len(set(level)))) or len(set(level)) < 2:
                    raise ValueError("the groups of a level must be numbered 0, 1, 2, ... without gaps, at least two")
            if len({len(level) for level in tree}) > 1:
                raise ValueError("every level must give one group for each class")
            return tree

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module | None:
        """Build the contrastive map and its normalizer; None without contrast.

        Raises:
            UsageError: the tree has a different number of classes.
        """
        if self.params.tree and len(self.params.tree[0]) != classes:
            what = f"loss.tree has groups for {len(self.params.tree[0])} classes; the data set has {classes}."
            raise ffprobe.UsageError(what, hint="Find a tree for this data set: ffprobe analyze hierarchy RUN.")
        if not self.params.contrast:
            return None
        module, normalizer = nn.Module(), GroupNorm()
        normalizer.prepare(min(classes, shape[0]))
        module.normalizer = normalizer.build(shape)
        module.map = nn.Linear(shape[0], self.params.features)
        return module

    def __call__(self, goodness: torch.Tensor, labels: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """Return the scalar loss of goodness ``[B, K]``, labels ``[B]`` and the activation in ``context``."""
        loss = self.hierarchical(goodness, labels, context.layer, context.depth)
        if self.params.contrast:
            module: Any = context.module
            normalized = module.normalizer(context.activation)
            features = normalized.flatten(2).mean(dim=2) if normalized.dim() > 2 else normalized  # [B, C]
            mapped = module.map(features.to(module.map.weight.dtype))
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
        # with the number of groups given, one_hot does not wait for the device
        members = functional.one_hot(groups, max(chosen) + 1).to(goodness.dtype)  # [K, groups]
        return functional.cross_entropy(goodness @ (members / members.sum(dim=0)), groups[labels])

    def temperature(self, epoch: int) -> float:
        """The temperature of the contrastive term."""
        warm, end = self.params.warm, max(self.params.epochs, self.params.warm + 1)
        if epoch < warm:
            return 0.8 - 0.6 * epoch / warm
        fraction = min(1.0, (epoch - warm) / (end - warm))
        return 0.08 + 0.12 * (1 + math.cos(math.pi * fraction)) / 2


def supervised_contrast(features: torch.Tensor, labels: torch.Tensor, temperature: float) -> torch.Tensor:
    """The mean over images with positives of -mean over positives p of log(exp(z_i z_p / t) / sum over others).

    It is 0, with a graph, if no image has a positive.

    Args:
        features: ``[B, F]``, float32 or wider; this function divides them by their length.
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
