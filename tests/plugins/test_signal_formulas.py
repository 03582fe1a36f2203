"""Goodness, losses, normalizers and feedback maps on signals [C, T], by hand."""

from __future__ import annotations

import torch
from ffprobe_plugins.goodness.convolutional_head import ConvolutionalHead
from ffprobe_plugins.goodness.factored_head import FactoredHead
from ffprobe_plugins.goodness.group_mean import GroupMean
from ffprobe_plugins.goodness.linear_head import LinearHead
from ffprobe_plugins.goodness.local_classifier import pool, pooling
from ffprobe_plugins.goodness.prototype_cosine import PrototypeCosine
from ffprobe_plugins.losses.predsim import similarity_matrix
from ffprobe_plugins.normalizers.layernorm import LayerNorm
from ffprobe_plugins.normalizers.rolling_batchnorm import RollingBatchNorm
from ffprobe_plugins.rules.feedback_maps import FeedbackConv, FeedbackLinear
from torch import nn
from torch.nn import functional

SHAPE = (6, 8)
X = torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(1))


def test_heads_average_over_windows_of_time() -> None:
    head = LinearHead(LinearHead.Params(average=2)).build(SHAPE, 3)
    halves = X.view(5, 6, 2, 4).mean(3).flatten(1)
    torch.testing.assert_close(head(X), head.linear(halves))
    factored = FactoredHead().build(SHAPE, 3)
    quarters = X.view(5, 6, 4, 2).mean(3).flatten(1)
    torch.testing.assert_close(factored(X), factored.classifier(factored.projection(quarters)))


def test_the_local_classifier_doubles_its_window_until_its_input_is_small_enough() -> None:
    assert pooling(SHAPE, 48) == ((1,), (0,))
    assert pooling(SHAPE, 23) == ((4,), (0,))
    torch.testing.assert_close(pool(X, pooling(SHAPE, 23)), X.view(5, 6, 2, 4).mean(3))


def test_means_over_positions_are_means_over_time() -> None:
    cosine = PrototypeCosine().build(SHAPE, 3)
    flat = PrototypeCosine().build((6,), 3)
    flat.load_state_dict(cosine.state_dict())
    torch.testing.assert_close(cosine(X), flat(X.mean(2)))
    torch.testing.assert_close(GroupMean().build(SHAPE, 3)(X), X.view(5, 3, 16).mean(2))
    head = ConvolutionalHead().build(SHAPE, 3)
    mapped = functional.conv1d(X, head.conv.weight, head.conv.bias, padding=2).transpose(1, 2)
    z = functional.layer_norm(mapped, (6,)).relu().mean(1)
    torch.testing.assert_close(head(X), head.linear(z))


def test_similarity_reads_the_deviation_over_time() -> None:
    features = X.std(dim=2)
    centred = functional.normalize(features - features.mean(1, keepdim=True), dim=1)
    torch.testing.assert_close(similarity_matrix(X), centred @ centred.T)
    few = X[:, :3]  # up to three channels count as they are
    centred = functional.normalize(few.flatten(1) - few.flatten(1).mean(1, keepdim=True), dim=1)
    torch.testing.assert_close(similarity_matrix(few), centred @ centred.T)


def test_normalizers_cover_the_channels_of_a_signal() -> None:
    channels = LayerNorm(LayerNorm.Params(over="channels")).build(SHAPE)
    torch.testing.assert_close(
        channels(X), (X - X.mean(1, keepdim=True)) / (X.var(1, False, keepdim=True) + 1e-5).sqrt()
    )
    rolling = RollingBatchNorm(RollingBatchNorm.Params(momentum=1)).build(SHAPE).train()
    rolling(X)  # momentum 1: the next batch is normalized with the averages of this one
    expected = functional.batch_norm(X, X.mean((0, 2)), X.var((0, 2), unbiased=False))
    torch.testing.assert_close(rolling.eval()(X), expected)


def test_feedback_replaces_the_weights_on_the_way_back_also_over_time_and_tokens() -> None:
    conv = nn.Conv1d(6, 4, 3, padding=1)
    replaced = FeedbackConv(conv, torch.randn(4, 6, 3), signed=False)
    x, same = X.clone().requires_grad_(), X.clone().requires_grad_()
    error = torch.randn(5, 4, 8)
    torch.testing.assert_close(replaced(x), conv(X))
    replaced(x).backward(error)
    own, conv.weight.grad = conv.weight.grad, None
    functional.conv1d(same, replaced.feedback, padding=1).backward(error)
    torch.testing.assert_close(x.grad, same.grad)
    conv(X).backward(error)
    torch.testing.assert_close(own, conv.weight.grad)

    linear = nn.Linear(8, 3)
    tokens, error = X.clone().requires_grad_(), torch.randn(5, 6, 3)
    feedback = torch.randn(3, 8)
    FeedbackLinear(linear, feedback, signed=False)(tokens).backward(error)
    torch.testing.assert_close(tokens.grad, error @ feedback)
    torch.testing.assert_close(linear.weight.grad, torch.einsum("bto,bti->oi", error, X))
    torch.testing.assert_close(linear.bias.grad, error.sum((0, 1)))
