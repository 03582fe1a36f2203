"""NoProp: the diffusion's weights from Gaussian algebra, the noisy labels, and blocks that learn alone."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
from ffprobe_plugins.goodness.last_logits import LastLogits
from ffprobe_plugins.losses.brier import Brier
from ffprobe_plugins.networks.denoising_blocks import DenoisingBlock, signal_shares
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import Experiment, build

WORDS = ("denoising-blocks", "no-label", "none", "last-logits", "brier", "greedy", "noprop")
SMALL = {"network": {"name": "denoising-blocks", "width": 0.05, "blocks": 3}, "training": {"max_images": 100}}


def experiment(**changes: Any) -> Experiment:
    registry = Registry()
    return build(toy_config(registry, *WORDS, **{"precision": "fp64", **SMALL, **changes}), registry)


def test_the_share_of_signal_grows_from_none_to_nearly_all() -> None:
    shares = signal_shares(10)
    assert shares[0] == 0 and 0.999 < shares[-1] < 1
    assert shares == sorted(shares) and len(set(shares)) == 11
    assert signal_shares(2)[1] == pytest.approx(math.cos(math.pi / 2 * 0.508 / 1.008) ** 2)


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.1), (0.2, 0.5), (0.9, 0.999)])
def test_the_next_label_is_the_mean_of_the_diffusion(before: float, after: float) -> None:
    """z_t given z_(t-1) and the clean label u: a product of two Gaussians, by their precisions."""
    a, b = DenoisingBlock((1, 4, 4), 3, [4, 4, 4], 4, (before, after)).keep
    kept = before / after  # z_(t-1) = sqrt(kept) z_t + sqrt(1 - kept) e, and z_t = sqrt(after) u + sqrt(1 - after) e
    precision = 1 / (1 - after) + kept / (1 - kept)
    assert a == pytest.approx(math.sqrt(after) / (1 - after) / precision)
    assert b == pytest.approx(math.sqrt(kept) / (1 - kept) / precision)


def test_a_block_passes_on_the_image_the_next_label_and_its_logits() -> None:
    torch.manual_seed(0)
    block = DenoisingBlock((2, 8, 6), 5, [4, 4, 4], 7, (0.3, 0.6)).eval()
    images, label = torch.randn(3, 2, 8, 6), torch.randn(3, 5)
    found = block(torch.cat([images.flatten(1), label, torch.full((3, 5), 9.0)], dim=1))
    logits = LastLogits().build((106,), 5)(found)
    a, b = block.keep
    torch.testing.assert_close(found[:, :96], images.flatten(1))
    torch.testing.assert_close(found[:, 96:101], a * logits.softmax(dim=1) + b * label)
    other = block(torch.cat([images.flatten(1), label, torch.zeros(3, 5)], dim=1))
    assert torch.equal(found, other), "a block does not read the logits of the block below"
    assert torch.equal(block(images), block(torch.cat([images.flatten(1), torch.zeros(3, 10)], dim=1)))


def test_noisy_labels_have_their_share_of_signal() -> None:
    learner: Any = experiment().learner
    labels = torch.arange(10).repeat(2_000)
    encoded = torch.zeros(len(labels), 1, 8, 8, dtype=torch.float64)
    rows = learner.noisy(encoded, labels, 0.36)
    label, logits = rows[:, 64:74], rows[:, 74:]
    own = label[torch.arange(len(labels)), labels]
    assert own.mean().item() == pytest.approx(0.6, abs=0.02)  # sqrt(0.36); the standard error is 0.006
    assert label.mean().item() == pytest.approx(0.06, abs=0.01)
    assert own.var().item() == pytest.approx(0.64, abs=0.03)
    assert not logits.any()


def test_blocks_learn_alone_from_labels_that_they_do_not_get_from_below() -> None:
    run = experiment()
    run.network.train()
    images, labels, _ = next(iter(run.loader))
    before = {name: value.clone() for name, value in run.network.named_state().items()}
    updates = run.learner.step(images, labels, 0, 0)
    for block in range(3):
        update = next(updates)
        assert (update.layers, update.loss_layer) == (range(block, block + 1), block)
        state = run.network.named_state()
        moved = {name.split(".")[0] for name in before if not torch.equal(before[name], state[name])}
        assert moved == {str(i) for i in range(block + 1)}
    assert next(updates, None) is None


def test_the_first_block_predicts_in_evaluation_as_it_learned() -> None:
    """A label of zeros in training would leave its batch normalization without a variance, and ruin the evaluation."""
    run = experiment(training={"max_images": 100, "batch_size": 50})
    run.network.train()
    run.learner.set_learning_rate(1e-3)
    for epoch in range(10):  # twenty steps leave an eighth of the initial variance of 1
        for images, labels, _ in run.loader:
            list(run.learner.step(images, labels, 0, epoch))
    read = run.network.layer(0).module.read
    assert isinstance(read[1], torch.nn.BatchNorm1d)
    assert (read[1].running_var > 0.2).all(), "the label before the first block is noise, not a constant"


def test_the_brier_score_written_out() -> None:
    goodness = torch.tensor([[math.log(2.0), math.log(1.0), math.log(1.0)]], dtype=torch.float64)
    context = ffprobe.LossContext(0, 1, 0, 0, goodness, torch.tensor([0]))
    right = Brier()(goodness, torch.tensor([0]), context)
    wrong = Brier()(goodness, torch.tensor([1]), context)
    assert right.item() == pytest.approx(0.25 + 2 / 16)  # probabilities 1/2, 1/4, 1/4
    assert wrong.item() == pytest.approx(1 / 4 + 9 / 16 + 1 / 16)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": {"name": "tiny"}}, r"blocks that read a noisy label.*--preset noprop"),
        ({"scheduler": {"name": "whole"}}, r"trains every block alone.*--plugin greedy"),
        ({"dataset": {"name": "wine"}}, r"needs images.*--plugin mlp"),
    ],
)
def test_what_it_cannot_train_is_refused_with_a_way_out(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ffprobe.UsageError) as caught:
        experiment(**changes)
    said = f"{caught.value} {caught.value.hint}"
    assert re.search(message, said, re.DOTALL), said
