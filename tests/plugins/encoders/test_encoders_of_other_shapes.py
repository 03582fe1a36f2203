"""Labels in signals [C, T] and tables [F], by hand."""

from __future__ import annotations

import pytest
import torch
from ffprobe_plugins.encoders.label_channel import LabelChannel
from ffprobe_plugins.encoders.label_features import LabelFeatures
from ffprobe_plugins.encoders.label_token import LabelToken
from ffprobe_plugins.encoders.pixel_overlay import PixelOverlay

import ffprobe

SIGNAL = torch.arange(8.0).view(1, 2, 4)
TABLE = torch.tensor([[5.0, 7.0, 6.0, 1.0]])
ONE = torch.tensor([1])


def test_a_signal_gets_a_label_channel_and_a_table_a_block_of_features() -> None:
    channel = LabelChannel().build((2, 4), 3)
    assert channel.embedding.shape == (3, 4)
    assert torch.equal(channel(SIGNAL, ONE), torch.cat([SIGNAL, channel.embedding[1].view(1, 1, 4)], dim=1))
    block = LabelChannel(LabelChannel.Params(features=5)).build((4,), 3)
    assert torch.equal(block(TABLE, ONE), torch.cat([TABLE, block.embedding[1:2]], dim=1))
    assert torch.equal(block.neutral(TABLE), torch.cat([TABLE, block.embedding.mean(0)[None]], dim=1))


def test_an_overlay_replaces_the_first_time_steps_or_features() -> None:
    signal = PixelOverlay().build((2, 4), 3)(SIGNAL, ONE)
    assert signal.tolist() == [[[0, 7, 0, 3], [0, 7, 0, 7]]]
    assert PixelOverlay().build((4,), 3)(TABLE, ONE).tolist() == [[0, 7, 0, 1]]
    with pytest.raises(ffprobe.UsageError, match="needs 5 time steps for 5 classes; a signal has 4"):
        PixelOverlay().build((2, 4), 5)


def test_a_label_token_is_the_first_step_in_channels_of_its_own() -> None:
    token = LabelToken(LabelToken.Params(value=2)).build((2, 4), 3)
    out = token(SIGNAL, ONE)
    assert out.tolist() == [
        [[0, 0, 1, 2, 3], [0, 4, 5, 6, 7], [0, 0, 0, 0, 0], [2, 0, 0, 0, 0], [0, 0, 0, 0, 0]],
    ]
    neutral = token.neutral(SIGNAL)
    assert torch.equal(neutral[:, :, 1:], out[:, :, 1:])
    torch.testing.assert_close(neutral[0, :, 0], torch.tensor([0, 0, 2, 2, 2]) / 3)
    with pytest.raises(ffprobe.UsageError, match="needs signals or tokens"):
        LabelToken().build((1, 8, 8), 3)


def test_label_features_follow_the_features_of_a_table() -> None:
    features = LabelFeatures(LabelFeatures.Params(scale=6)).build((4,), 3)
    assert features(TABLE, ONE).tolist() == [[5, 7, 6, 1, 0, 6, 0]]
    assert features.neutral(TABLE).tolist() == [[5, 7, 6, 1, 2, 2, 2]]
    with pytest.raises(ffprobe.UsageError, match="needs tables"):
        LabelFeatures().build((2, 4), 3)
