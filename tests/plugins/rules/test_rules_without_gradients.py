"""Node perturbation and Hebbian rules: their formulas by hand, and what they report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ffprobe_plugins.encoders.label_channel import LabelChannel
from ffprobe_plugins.encoders.no_label import NoLabel
from ffprobe_plugins.goodness.linear_head import LinearHead
from ffprobe_plugins.goodness.mean_square import MeanSquare
from ffprobe_plugins.losses.cross_entropy import CrossEntropy
from ffprobe_plugins.losses.hcl import HCL
from ffprobe_plugins.losses.symba import SymBa
from ffprobe_plugins.negatives.uniform_wrong import UniformWrong
from ffprobe_plugins.normalizers.none import NoNormalizer
from ffprobe_plugins.rules.hebbian import Hebbian
from ffprobe_plugins.rules.node_perturbation import NodePerturbation
from ffprobe_plugins.rules.row_losses import row_losses
from ffprobe_plugins.schedulers.greedy import Greedy
from ffprobe_plugins.schedulers.whole import Whole
from torch.nn import functional

import ffprobe
from ffprobe.components.network import LayerSpec
from ffprobe.network.network import LayeredNetwork
from ffprobe.plugin.registry import registered
from ffprobe.testing.toy import toy_run

CLASSES = 3
LINEAR = LayerSpec("linear", 4, bias=True, activation="tanh")


class Listed(ffprobe.Network):
    """The layers of a list."""

    name = "listed"
    specs: tuple[LayerSpec, ...] = ()

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[LayerSpec]:
        return list(self.specs)


def setup(
    *specs: LayerSpec, shape: ffprobe.Shape = (5,), pair: bool = False, whole: bool = False, **changes: Any
) -> Any:
    """A setup in double precision with SGD."""
    torch.manual_seed(0)
    listed = Listed()
    listed.specs = specs
    encoder, goodness = (LabelChannel(), MeanSquare()) if pair else (NoLabel(), LinearHead())
    network = LayeredNetwork(listed, encoder, NoNormalizer(), goodness, shape, CLASSES).double().train()
    network.encoder.requires_grad_(False)
    depth = len(specs)
    groups = ((0, depth),) if whole else tuple((i, i + 1) for i in range(depth))
    network.drop_goodness(set(range(depth)) - {stop - 1 for _, stop in groups})
    values = {"loss": SymBa() if pair else CrossEntropy(), **changes}
    return ffprobe.LearnerSetup(
        network=network,
        scheduler=Whole() if whole else Greedy(),
        negatives=UniformWrong(),
        generator=torch.Generator().manual_seed(1),
        optimizer=lambda parameters: torch.optim.SGD(parameters, 0.0),
        groups=groups,
        autocast=lambda: torch.autocast("cpu", enabled=False),
        classes=CLASSES,
        **values,
    )


def batch(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(6, *shape, generator=generator, dtype=torch.float64), torch.arange(6) % CLASSES


def first_gradients(learner: Any) -> dict[str, torch.Tensor]:
    """The gradients, or estimates of them, that the rule hands to its optimizers in the first step."""
    found = {}
    for update in learner.step(*batch(5), 0, 0):
        for index in update.layers:
            for name, p in learner.network.layer(index).named_parameters():
                found[f"{index}.{name}"] = p.grad.clone()
    return found


def test_node_perturbation_weighs_its_noise_with_the_change_of_each_loss() -> None:
    given = setup(LINEAR)
    layer = given.network.layer(0)
    x, labels = batch(5)
    torch.manual_seed(3)
    got = first_gradients(NodePerturbation(NodePerturbation.Params(sigma=0.1)).build(given))
    torch.manual_seed(3)
    noise = 0.1 * torch.randn(6, 4, dtype=torch.float64)

    def losses(u: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(layer.goodness(u.tanh()), labels, reduction="none")

    u = layer.linear(x)
    weighted = ((losses(u + noise) - losses(u)) / 0.1**2)[:, None] * noise / 6
    torch.testing.assert_close(got["0.linear.weight"], weighted.T @ x)
    torch.testing.assert_close(got["0.linear.bias"], weighted.sum(0))
    head = layer.goodness.linear.weight
    (expected,) = torch.autograd.grad(losses(u.detach()).mean(), head)
    torch.testing.assert_close(got["0.goodness.linear.weight"], expected)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("pair", [False, True])
def test_the_mean_estimate_is_the_gradient(pair: bool, whole: bool) -> None:
    specs = [LayerSpec("linear", width, activation="tanh") for width in (3, 2)]
    given, exact = (setup(*specs, pair=pair, whole=whole) for _ in range(2))
    torch.manual_seed(3)
    got = first_gradients(NodePerturbation(NodePerturbation.Params(sigma=1e-3, draws=1600)).build(given))
    for name, gradient in first_gradients(ffprobe.GroupLearner(exact)).items():
        cosine = torch.cosine_similarity(got[name].flatten(), gradient.flatten(), dim=0)
        # its spread is about sqrt(units / draws); the noise of a lower layer adds to that of the upper one
        assert cosine > 0.9, name
        assert 0.9 < got[name].norm() / gradient.norm() < 1.15, name


@pytest.mark.parametrize("form", ["pair", "class"])
def test_the_mean_of_the_row_losses_is_the_loss_of_the_batch(form: str) -> None:
    pair = form == "pair"
    losses = [make() for make in registered("loss").values() if make.form == form and make.averages]
    assert len(losses) > 3
    for loss in losses:
        given = setup(LayerSpec("conv", 4), shape=(2, 4, 4), pair=pair, loss=loss)
        images, labels = batch(2, 4, 4)
        state = ffprobe.GroupLearner(given).begin(images, labels, 0, 0)
        activation = given.network.layer(0)(given.network.encode(state.images, state.input_labels)).detach()
        before = tuple(torch.rand(6, dtype=torch.float64) for _ in range(2)) if pair else torch.rand(6, 3).double()
        rows = row_losses(given.network, 0, given, state, [before], activation)
        expected = given.network.local_loss(0, activation, labels, loss, earlier=[before], images=state.images).loss
        assert rows.shape == (6,)
        torch.testing.assert_close(rows.mean(), expected.detach())


@pytest.mark.parametrize(
    ("specs", "changes", "message"),
    [
        ([LayerSpec("module", factory=lambda shape: torch.nn.Identity())], {}, "layer 1 is a module"),
        ([LayerSpec("linear", 4, dropout=0.5)], {}, "dropout would differ"),
        ([LINEAR], {"loss": HCL()}, "compares the images of a batch"),
    ],
)
def test_node_perturbation_refuses_what_it_cannot_estimate(specs: Any, changes: Any, message: str) -> None:
    with pytest.raises(ffprobe.UsageError, match=message):
        NodePerturbation().build(setup(*specs, **changes))


@pytest.mark.parametrize("variant", ["oja", "subspace", "sanger"])
def test_hebbian_changes_are_those_of_the_papers(variant: str) -> None:
    given = setup(LINEAR)
    learner = Hebbian(Hebbian.Params(variant=variant, rate=2.0)).build(given)
    learner.set_learning_rate(0.1)
    x, labels = batch(5)
    w = given.network.layer(0).linear.weight.detach().clone()
    expected = torch.zeros_like(w)
    for row in x:  # one example and one unit at a time, as in the papers
        y = w @ row
        for i in range(4):
            others = {"oja": [i], "subspace": range(4), "sanger": range(i + 1)}[variant]
            expected[i] += y[i] * (row - sum(y[j] * w[j] for j in others))
    expected /= x.square().sum()
    (update,) = learner.step(x, labels, 0, 0)
    weight = given.network.layer(0).linear.weight
    torch.testing.assert_close(update.changes[weight], expected)
    torch.testing.assert_close(update.gradient(weight), -expected)
    torch.testing.assert_close(weight.detach(), w + 0.2 * expected)
    y = x @ w.T
    if variant == "oja":
        errors = sum((x - y[:, i : i + 1] * w[i]).square().sum(1).mean() - x.square().sum(1).mean() for i in range(4))
    else:
        errors = (x - y @ w).square().sum(1).mean() - x.square().sum(1).mean()
    torch.testing.assert_close(update.loss, errors / 4)


@pytest.mark.parametrize(("shape", "groups"), [((4, 6, 5), 1), ((4, 6, 5), 2), ((4, 9), 2)])
def test_a_convolution_learns_from_what_its_kernel_sees(shape: ffprobe.Shape, groups: int) -> None:
    given = setup(LayerSpec("conv", 6, groups=groups, padding_mode="circular"), shape=shape)
    learner = Hebbian().build(given)
    x, labels = batch(*shape)
    flat = x if len(shape) == 3 else x[:, :, None]
    padded = functional.pad(flat, (1, 1, 1, 1) if len(shape) == 3 else (1, 1, 0, 0), "circular")
    sides = (3, 3) if len(shape) == 3 else (1, 3)
    weight = given.network.layer(0).weight
    expected = []
    patches = functional.unfold(padded, sides).transpose(1, 2).flatten(0, 1).unflatten(1, (groups, -1))
    for group, w in enumerate(weight.detach().flatten(1).chunk(groups)):
        seen = patches[:, group]
        y = seen @ w.T
        expected.append((y.T @ seen - (y.T @ y).tril() @ w) / len(seen))
    size = patches.square().sum(2).mean()
    (update,) = learner.step(x, labels, 0, 0)
    torch.testing.assert_close(update.changes[weight].flatten(1), torch.cat(expected) / size)


def test_sanger_s_rule_finds_the_principal_components_in_order() -> None:
    given = setup(LayerSpec("linear", 2))
    learner = Hebbian(Hebbian.Params(rate=1.0)).build(given)
    learner.set_learning_rate(0.3)
    basis = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(4)).double()).Q
    x = torch.randn(400, 5, generator=torch.Generator().manual_seed(5)).double()
    x = (x * torch.tensor([3.0, 2.0, 1.0, 0.5, 0.1])) @ basis.T
    for step in range(150):
        list(learner.step(x, torch.zeros(400, dtype=torch.int64), step, 0))
    components = torch.linalg.eigh(x.T @ x).eigenvectors.flip(1)[:, :2].T
    found = given.network.layer(0).linear.weight.detach()
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2).double(), atol=1e-3, rtol=0)
    assert ((found * components).sum(1).abs() > 0.999).all()


@pytest.mark.usefixtures("warm_python")
def test_probes_read_the_reported_changes(tmp_path: Path) -> None:
    run = toy_run(
        "hebbian",
        "gradients",
        "other-image",
        "no-label",
        "one-pass",
        out=tmp_path / "run.h5",
        settings={"training": {"epochs": 1}},
    )
    with run.open() as file:
        norms = np.asarray(file.read("probes/gradients/steps/norm"))
    assert (norms[:, 0] > 0).all()
    assert np.isnan(norms[:, 1]).all()
