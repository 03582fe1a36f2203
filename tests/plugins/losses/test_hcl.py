"""HCL-FF's two terms against their formulas."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from ffprobe_plugins.losses.hcl import HCL, supervised_contrast
from torch.nn import functional

import ffprobe
from ffprobe.errors import UsageError

TREE = [[0, 0, 1, 1], [0, 0, 1, 2]]


def context(layer: int, depth: int, **more: Any) -> ffprobe.LossContext:
    arguments = {"activation": torch.zeros(1), "labels": torch.zeros(1, dtype=torch.int64), **more}
    return ffprobe.LossContext(layer=layer, depth=depth, step=0, epoch=0, **arguments)


def loss(**settings: Any) -> HCL:
    return HCL(HCL.Params(**settings))


def test_contrast_is_the_formula() -> None:
    features, labels = torch.randn(7, 5, dtype=torch.float64), torch.tensor([0, 1, 0, 2, 1, 0, 3])
    z, terms = features / features.norm(dim=1, keepdim=True), []
    for i in range(7):
        others = [j for j in range(7) if j != i]
        positives = [j for j in others if labels[j] == labels[i]]
        if positives:  # 2 and 3 are alone
            total = sum(math.exp(float(z[i] @ z[j]) / 0.3) for j in others)
            terms.append(-sum(math.log(math.exp(float(z[i] @ z[p]) / 0.3) / total) for p in positives) / len(positives))
    assert supervised_contrast(features, labels, 0.3).item() == pytest.approx(sum(terms) / len(terms))


def test_contrast_without_any_pair_is_zero_with_a_graph() -> None:
    features = torch.randn(3, 4, requires_grad=True)
    supervised_contrast(features, torch.arange(3), 0.1).backward()
    assert features.grad is not None and not features.grad.any()


def test_contrast_is_small_for_similar_images_of_one_class() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    good, bad = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]]), torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    assert supervised_contrast(good, labels, 0.2) < 0.1 < 4 < supervised_contrast(bad, labels, 0.2)


@pytest.mark.parametrize(("layer", "level"), [(0, 0), (1, 1), (2, 1), (3, 2), (4, 2)])
def test_each_layer_uses_its_level_of_the_tree(layer: int, level: int) -> None:
    goodness, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 3, 0])
    if level == 2:
        expected = functional.cross_entropy(goodness, labels)
    else:
        groups = torch.tensor(TREE[level])
        means = torch.stack([goodness[:, groups == k].mean(dim=1) for k in range(int(groups.max()) + 1)], dim=1)
        expected = functional.cross_entropy(means, groups[labels])
    torch.testing.assert_close(loss(tree=TREE, contrast=0)(goodness, labels, context(layer, 5)), expected)


def test_without_a_tree_and_contrast_it_is_cross_entropy() -> None:
    goodness, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 3, 0])
    torch.testing.assert_close(
        loss(contrast=0)(goodness, labels, context(0, 1)), functional.cross_entropy(goodness, labels)
    )


def test_both_terms_are_added_and_contrast_trains_the_layer_output() -> None:
    hcl = loss(contrast=0.5, features=3)
    module: Any = hcl.build((8, 2, 2), 4)
    labels, goodness = torch.tensor([0, 0, 1, 1]), torch.randn(4, 4)
    activation = torch.randn(4, 8, 2, 2, requires_grad=True)
    value = hcl(goodness, labels, context(0, 3, activation=activation, labels=labels, module=module))
    features = module.map(functional.group_norm(activation, 4).mean(dim=(2, 3)))
    expected = functional.cross_entropy(goodness, labels) + 0.5 * supervised_contrast(features, labels, 0.8)
    torch.testing.assert_close(value, expected)
    value.backward()
    assert activation.grad is not None and activation.grad.any()


def test_the_temperature_falls_linearly_and_then_along_a_cosine() -> None:
    hcl = loss(warm=10, epochs=30)
    temperatures = [hcl.temperature(epoch) for epoch in (0, 5, 10, 20, 30, 99)]
    assert temperatures == pytest.approx([0.8, 0.5, 0.2, 0.14, 0.08, 0.08])


@pytest.mark.parametrize("tree", [[[0, 0, 0]], [[0, 2, 2]], [[0, 1], [0, 1, 1]]])
def test_an_invalid_tree_is_refused(tree: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="group"):
        HCL.Params(tree=tree)


def test_a_tree_for_other_classes_is_refused() -> None:
    with pytest.raises(UsageError, match="4 classes; the data set has 10"):
        loss(tree=TREE).build((20, 4, 4), 10)
