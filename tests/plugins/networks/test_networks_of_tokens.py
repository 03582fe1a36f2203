"""Networks for tables, signals and tokens: their formulas, their sizes, and learning by every kind of rule."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ffprobe_plugins.encoders.label_channel import LabelChannel
from ffprobe_plugins.encoders.label_token import LabelToken
from ffprobe_plugins.encoders.no_label import NoLabel
from ffprobe_plugins.goodness.linear_head import LinearHead
from ffprobe_plugins.goodness.mean_square import MeanSquare
from ffprobe_plugins.losses.cross_entropy import CrossEntropy
from ffprobe_plugins.losses.symba import SymBa
from ffprobe_plugins.negatives.uniform_wrong import UniformWrong
from ffprobe_plugins.networks.cnn1d import CNN1D
from ffprobe_plugins.networks.mixer import Mixer, MixerBlock
from ffprobe_plugins.networks.mlp import MLP
from ffprobe_plugins.networks.resnet import ResNet
from ffprobe_plugins.networks.tokens import Embedding, cut
from ffprobe_plugins.networks.vit import TransformerBlock, ViT
from ffprobe_plugins.normalizers.none import NoNormalizer
from ffprobe_plugins.normalizers.rms import RMS
from ffprobe_plugins.rules.forward_forward import ForwardForward
from ffprobe_plugins.schedulers.greedy import Greedy
from ffprobe_plugins.schedulers.whole import Whole
from torch import nn
from torch.nn import functional

import ffprobe
from ffprobe.network.multiply_adds import multiply_adds
from ffprobe.network.network import LayeredNetwork

TABLE, SIGNAL, IMAGE = (12,), (6, 16), (2, 8, 8)
CLASSES = 3
SMALL: dict[str, Any] = {
    "mlp": MLP(MLP.Params(width=0.125, depth=2)),
    "cnn1d": CNN1D(CNN1D.Params(width=0.125, depth=2, pool=2)),
    "mixer": Mixer(Mixer.Params(width=0.125, depth=2, window=2)),
    "vit": ViT(ViT.Params(width=0.125, depth=2)),
    "resnet": ResNet(ResNet.Params(width=0.5, blocks=1)),
}
FITS = [
    ("mlp", TABLE),
    ("mlp", SIGNAL),
    ("mlp", IMAGE),
    ("cnn1d", SIGNAL),
    ("mixer", SIGNAL),
    ("mixer", IMAGE),
    ("vit", SIGNAL),
    ("vit", IMAGE),
    ("resnet", IMAGE),
]
WAYS: dict[str, tuple[Any, ...]] = {
    "forward-forward": (LabelChannel, RMS, MeanSquare, SymBa, Greedy),
    "local cross entropy": (NoLabel, NoNormalizer, LinearHead, CrossEntropy, Greedy),
    "backpropagation": (NoLabel, NoNormalizer, LinearHead, CrossEntropy, Whole),
}


def built(name: str, shape: ffprobe.Shape, encoder: Any, normalizer: Any, goodness: Any) -> LayeredNetwork:
    torch.manual_seed(0)
    return LayeredNetwork(SMALL[name], encoder(), normalizer(), goodness(), shape, CLASSES)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("name", "shape"), FITS, ids=[f"{n}-{len(s)}d" for n, s in FITS])
def test_each_network_learns_a_small_batch_by_each_rule(name: str, shape: ffprobe.Shape, way: str) -> None:
    encoder, normalizer, goodness, loss, scheduler = WAYS[way]
    network = built(name, shape, encoder, normalizer, goodness).train()
    groups = ((0, network.depth),) if scheduler is Whole else tuple((i, i + 1) for i in range(network.depth))
    network.drop_goodness(set(range(network.depth)) - {stop - 1 for _, stop in groups})
    setup = ffprobe.LearnerSetup(
        network,
        loss(),
        scheduler(),
        UniformWrong(),
        torch.Generator().manual_seed(1),
        lambda parameters: torch.optim.Adam(parameters, 0.01),
        groups,
        lambda: torch.autocast("cpu", enabled=False),
        CLASSES,
    )
    learner = ForwardForward().build(setup)
    learner.set_learning_rate(0.01)
    x = torch.randn(9, *shape, generator=torch.Generator().manual_seed(2))
    before = {name: p.detach().clone() for name, p in network.layers.named_parameters()}
    losses = [[update.loss for update in learner.step(x, torch.arange(9) % CLASSES, step, 0)] for step in range(15)]
    assert len(losses[0]) == len(groups)
    for first, last in zip(losses[0], torch.tensor(losses)[-3:].mean(0), strict=True):
        assert last < first
    moved = [name for name, p in network.layers.named_parameters() if not torch.equal(p, before[name])]
    assert len(moved) == len(before)


def test_patches_are_in_reading_order_and_windows_in_time() -> None:
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert cut(image, 2).tolist() == [[[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]]
    two = torch.cat([image, image + 100], dim=1)
    assert cut(two, 2)[0, 1].tolist() == [2, 3, 6, 7, 102, 103, 106, 107]
    signal = torch.arange(8.0).view(1, 2, 4)
    assert cut(signal, 2).tolist() == [[[0, 1, 4, 5], [2, 3, 6, 7]]]


def test_the_embedding_of_one_hot_tokens_is_a_table_with_positions() -> None:
    embedding = Embedding(5, 7, 4, 1, class_token=True)
    tokens = torch.tensor([[3, 0, 6, 6, 1]])
    hot = functional.one_hot(tokens, 7).float().transpose(1, 2)
    rows = embedding.map.weight.T[tokens[0]] + embedding.map.bias
    expected = torch.cat([embedding.token, rows]) + embedding.positions
    torch.testing.assert_close(embedding(hot)[0], expected)


def test_the_transformer_block_is_torch_s_pre_norm_encoder_layer() -> None:
    block = TransformerBlock(12, 3, 20)
    theirs = nn.TransformerEncoderLayer(12, 3, 20, 0.0, functional.gelu, batch_first=True, norm_first=True)
    names = {
        "self_attn.in_proj_weight": block.qkv.weight,
        "self_attn.in_proj_bias": block.qkv.bias,
        "self_attn.out_proj.weight": block.out.weight,
        "self_attn.out_proj.bias": block.out.bias,
        "linear1.weight": block.mlp[0].weight,
        "linear1.bias": block.mlp[0].bias,
        "linear2.weight": block.mlp[2].weight,
        "linear2.bias": block.mlp[2].bias,
    }
    names |= {name: value for name, value in block.state_dict().items() if name.startswith("norm")}
    theirs.load_state_dict(names)
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(block(x), theirs(x))


def test_the_mixer_block_mixes_tokens_and_then_features() -> None:
    block = MixerBlock(5, 12)
    x = torch.randn(2, 5, 12)
    first, _, second = block.across_tokens
    normal = functional.layer_norm(x, (12,))
    hidden = functional.gelu(torch.einsum("ht,btd->bhd", first.weight, normal) + first.bias[:, None])
    mixed = x + torch.einsum("th,bhd->btd", second.weight, hidden) + second.bias[:, None]
    torch.testing.assert_close(block(x), mixed + block.across_features(functional.layer_norm(mixed, (12,))))
    assert (first.out_features, block.across_features[0].out_features) == (6, 48)


def test_activations_of_token_layers_have_features_first_and_tokens_as_positions() -> None:
    vit = built("vit", SIGNAL, LabelToken, NoNormalizer, MeanSquare)
    assert [layer.output_shape for layer in vit.layers] == [(16, 17)] * 2
    mixer = built("mixer", IMAGE, NoLabel, NoNormalizer, MeanSquare)
    assert [layer.output_shape for layer in mixer.layers] == [(16, 4)] * 2


def test_the_cost_of_a_transformer_counts_its_attention() -> None:
    network = built("vit", SIGNAL, NoLabel, NoNormalizer, MeanSquare)
    steps, features = 16, 16
    maps = steps * features * (3 + 1 + 4 + 4) * features
    attention = 2 * steps * steps * features  # scores, and their sums over values
    assert multiply_adds(network, SIGNAL) == [maps + attention + steps * 6 * features, maps + attention]


def test_pooling_of_cnn1d_stops_when_one_step_is_left() -> None:
    specs = CNN1D(CNN1D.Params(depth=5, pool=3)).layers((2, 12), CLASSES)
    assert [spec.pool for spec in specs] == [3, 3, 1, 1, 1]
    assert [(spec.width, spec.kernel) for spec in specs[:4]] == [(128, 7), (256, 5), (128, 3), (128, 3)]


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("cnn1d", IMAGE, "needs signals"),
        ("vit", TABLE, "needs images .C, H, W. or signals"),
        ("vit", (1, 6, 8), "cannot cut an input of shape .1, 6, 8. into pieces of 4"),
        ("mixer", (1, 7), "cannot cut an input of shape .1, 7. into pieces of 2"),
    ],
)
def test_what_a_network_cannot_take_is_refused(name: str, shape: ffprobe.Shape, message: str) -> None:
    with pytest.raises(ffprobe.UsageError, match=message):
        SMALL[name].layers(shape, CLASSES)
