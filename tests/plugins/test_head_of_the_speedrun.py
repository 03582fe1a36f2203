"""The perceptron head and the smoothed cross entropy, by hand."""

from __future__ import annotations

import torch
from ffprobe_plugins.goodness.perceptron_head import PerceptronHead
from ffprobe_plugins.losses.cross_entropy import CrossEntropy

from ffprobe.components.loss import LossContext


def test_the_head_averages_windows_of_a_map_and_the_last_are_smaller() -> None:
    head = PerceptronHead(PerceptronHead.Params(pooled=4, hidden=5)).build((2, 15, 7), 3)
    x = torch.randn(6, 2, 15, 7, generator=torch.Generator().manual_seed(0))
    pooled = torch.stack(
        [x[:, :, i : i + 4, j : j + 2].mean(dim=(2, 3)) for i in range(0, 15, 4) for j in range(0, 7, 2)], dim=2
    )
    linear, norm, _, last = head[2:]
    v = pooled.flatten(1) @ linear.weight.T
    z = ((v - v.mean(0)) / (v.var(0, correction=0) + 1e-5).sqrt()).relu()
    torch.testing.assert_close(head(x), z @ last.weight.T + last.bias)
    assert norm.weight.requires_grad


def test_small_maps_signals_and_tables_keep_their_size() -> None:
    sizes = {(8, 3, 3): 72, (8, 9): 24, (7,): 7}
    for shape, features in sizes.items():
        head = PerceptronHead(PerceptronHead.Params(pooled=4)).build(shape, 3)
        assert next(p for p in head.parameters() if p.dim() == 2).shape == (128, features), shape
        assert head(torch.randn(4, *shape)).shape == (4, 3)


def test_smoothed_cross_entropy() -> None:
    goodness = torch.tensor([[1.0, -2.0, 0.5, 0.0], [0.0, 3.0, 1.0, -1.0]])
    labels = torch.tensor([2, 1])
    target = torch.tensor([[0.05, 0.05, 0.85, 0.05], [0.05, 0.85, 0.05, 0.05]])
    expected = -(target * goodness.log_softmax(dim=1)).sum(dim=1).mean()
    loss = CrossEntropy(CrossEntropy.Params(label_smoothing=0.2))
    context = LossContext(0, 1, 0, 0, goodness, labels)
    torch.testing.assert_close(loss(goodness, labels, context), expected)
