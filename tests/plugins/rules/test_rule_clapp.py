"""CLAPP: patches that do not see each other, the hinge loss written out, and which weights carry which error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from ffprobe_plugins.networks.patch_vgg import PatchLayer
from torch.nn import functional
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import Experiment, build
from ffprobe.training.session import Session

WORDS = ("no-label", "other-image", "one-pass", "greedy", "none")
SMALL = {"network": {"name": "patch-vgg", "width": 0.05}, "training": {"epochs": 1, "max_images": 100}}


def experiment(precision: str = "fp64", **rule: Any) -> Experiment:
    registry = Registry()
    words = {"rule": {"name": "clapp", **rule}, "precision": precision, **SMALL}
    return build(toy_config(registry, *WORDS, **words), registry)


def test_the_first_layer_convolves_every_patch_alone() -> None:
    torch.manual_seed(0)
    layer = PatchLayer(3, 5, (3, 3), 2, (4, 2))
    images = torch.randn(2, 3, 8, 8)
    found = layer(images)
    assert found.shape == (2, 5, 6, 6)
    for row in range(3):
        for column in range(3):
            patch = images[:, :, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4]
            expected = functional.max_pool2d(layer.conv(patch).relu(), 2)
            tile = found[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            torch.testing.assert_close(tile, expected)


def test_later_layers_keep_patches_apart() -> None:
    torch.manual_seed(0)
    layer = PatchLayer(4, 4, (3, 2), 1, None)
    x = torch.randn(1, 4, 9, 6)
    moved = x.clone()
    moved[:, :, 3:6, 3:6] += 1  # the patch in row 2, column 2
    changed = (layer(moved) - layer(x)).abs().sum(dim=1)[0] > 0
    assert changed[3:6, 3:6].any()
    changed[3:6, 3:6] = False
    assert not changed.any()


@pytest.mark.parametrize("either", [False, True])
def test_the_loss_written_out(either: bool) -> None:
    """Patches of four rows: k = 1 predicts two rows below, k = 2 three."""
    learner: Any = experiment(either=either, asymmetric=False).learner
    torch.manual_seed(0)
    z = torch.randn(6, 7, 4, 3, dtype=torch.float64)
    matrices = [torch.nn.Conv2d(7, 7, 1, bias=False).double() for _ in range(2)]
    state = learner.setup.generator.get_state()
    found = learner.hinge(z, z, matrices)
    generator = torch.Generator()
    generator.set_state(state)
    positive = torch.randint(2, (6,), generator=generator) == 1 if either else None
    total = 0.0
    for k, matrix in enumerate(matrices, 1):
        other = torch.randint(6, (6,), generator=generator)
        losses: dict[str, list[float]] = {"own": [], "other": []}
        for image in range(6):
            for name, source, sign in (("own", image, -1), ("other", int(other[image]), 1)):
                if positive is not None and bool(positive[image]) != (name == "own"):
                    continue
                scores = [
                    float(
                        z[image, :, row, column]
                        @ (matrix.weight.detach()[:, :, 0, 0] @ z[source, :, row + k + 1, column])
                    )
                    for row in range(4 - k - 1)
                    for column in range(3)
                ]
                losses[name].append(sum(max(0.0, 1 + sign * score) for score in scores) / len(scores))
        total += sum(sum(values) / len(values) for values in losses.values() if values)
    assert float(found.detach()) == pytest.approx(total / 2)


def test_two_matrices_carry_the_errors_of_one() -> None:
    """With equal matrices, the error of z through the first and of c through the second is that of both through one."""
    gradients = []
    for asymmetric in (True, False):
        made = experiment(asymmetric=asymmetric, either=False)
        learner: Any = made.learner
        first, second = made.network.layer(1).feedback
        second.load_state_dict(first.state_dict())
        shape = made.network.layer(1).output_shape
        torch.manual_seed(0)
        # one image is its own negative; below a score of 1 the errors of positive and negative would cancel
        activation = (30 * torch.randn(1, *shape, dtype=torch.float64)).requires_grad_()
        learner.loss(1, activation).backward()
        gradients.append(activation.grad)
        assert (second[0].weight.grad is not None) == asymmetric
    assert gradients[0].abs().sum() > 0
    torch.testing.assert_close(*gradients)


def test_a_run_is_rebuilt_without_its_prediction_matrices(tmp_path: Path) -> None:
    registry = Registry()
    config = toy_config(registry, *WORDS, "clapp", recording={"samples": 60, "max_features": 32}, **SMALL)
    Session.start(config, registry, tmp_path / "a.h5").run()
    with ffprobe.open(tmp_path / "a.h5") as run:
        network = run.network()
        assert any("feedback" in path for path in run.paths())
        assert not any("feedback" in name for name, _ in network.named_parameters())
        assert run.messages() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": {"name": "tiny"}}, r"three rows of patches.*patch-vgg"),
        ({"scheduler": {"name": "olu"}}, r"alone.*greedy"),
    ],
    ids=["network", "scheduler"],
)
def test_refusals_name_what_helps(changes: dict[str, Any], message: str) -> None:
    registry = Registry()
    with pytest.raises(ffprobe.UsageError, match=message):
        build(toy_config(registry, *WORDS, "clapp", **{**SMALL, **changes}), registry)
