"""The audit finds what a rule really reaches, also where the rule says otherwise."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.locality import Locality, _ranges
from plugin_files import write
from recorded_probe import recorded
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session

LEAKING = """
from typing import Literal
import torch
import ffprobe

class Leaky(ffprobe.Rule):
    '''Greedy, but for one deliberate leak from the loss on layer 2 (from 0).'''
    name = "leaky"

    class Params(ffprobe.Params):
        how: Literal["none", "undetached", "by-hand", "encoder", "late", "scaled"] = "none"

    def build(self, bench):
        return Learner(bench, self.params.how)

class Learner(ffprobe.Learner):
    def __init__(self, bench, how):
        self.bench, self.how, self.network = bench, how, bench.network
        layers = [self.network.layer(i) for i in range(self.network.depth)]
        self.optimizers = [bench.optimizer(list(layer.parameters())) for layer in layers]

    def step(self, images, labels, step, epoch):
        bench, stack = self.bench, self.network
        wrong = bench.negatives(images, labels, bench.classes, bench.generator)
        x = stack.encode(torch.cat([images, images]), torch.cat([labels, wrong])).detach()
        scale = 1.0
        if self.how == "scaled":
            with torch.no_grad():
                deep = x
                for index in range(stack.depth):
                    deep = stack.layer(index)(deep)
                last = stack.layer(stack.depth - 1).goodness(deep)
                scale = 1 + torch.sigmoid(last[len(images):] - last[:len(images)]).mean()
        for index, optimizer in enumerate(self.optimizers):
            layer = stack.layer(index)
            if self.how == "undetached" and index == 2:
                x = stack.layer(1)(before)
            before = x
            activation = layer(x)
            goodness = layer.goodness(activation)
            half = len(images)
            context = ffprobe.LossContext(index, stack.depth, step, epoch, activation, labels)
            loss = bench.loss(goodness[:half], goodness[half:], context)
            (loss * scale).backward()
            optimizer.step()
            if index == 2:
                with torch.no_grad():
                    if self.how == "by-hand" or (self.how == "late" and epoch >= 2):
                        stack.layer(0).weight[0] += 1e-3
                    if self.how == "encoder":
                        stack.encoder.embedding[0, 0] += 1e-3
            yield ffprobe.Update(range(index, index + 1), index, loss.detach())
            optimizer.zero_grad(set_to_none=True)
            x = activation.detach()

    def set_learning_rate(self, rate):
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass

@ffprobe.hookimpl
def ffprobe_components(): return [Leaky]
"""


def audit(tmp_path: Path, *plugins: str, word: str = "locality", epochs: int = 2, **changes: Any) -> Any:
    registry = Registry()
    changes = {"recording": {"activations": False}, "training": {"epochs": epochs}, **changes}
    Session.start(toy_config(registry, *plugins, word, **changes), registry, tmp_path / "run.h5").run()
    with ffprobe.open(tmp_path / "run.h5") as run:
        assert run.messages() == []
        return Locality().analyze([run])


def matrix(result: Any) -> list[list[float]]:
    return np.asarray(result.extra["runs"][0]["reached"]).tolist()


def test_greedy_is_strictly_local(tmp_path: Path) -> None:
    result = audit(tmp_path, "greedy", "batchnorm")
    assert matrix(result) == [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert result.notes[0] == (
        "no parameter outside of the declared layers was written in 12 audited updates; each loss reached only its own"
        " layer."
    )
    assert [row["compared"] for row in result.to_dict()["rows"]] == [2, 1, 0]  # layer 1 with noise from 2, and from 3
    assert {row["depends"] for row in result.to_dict()["rows"]} == {"none", None}
    assert "with noise in the weights of deeper layers, 3 of 3 updates were the same bit for bit." in result.notes
    assert result.claims[0].agrees is True
    assert [row["leaks"] for row in result.to_dict()["rows"]] == ["none"] * 3
    assert [row["updates"] for row in result.to_dict()["rows"]] == [4] * 3  # two steps of two epochs


def test_olu_reaches_one_layer_down_and_the_learned_encoder(tmp_path: Path) -> None:
    result = audit(tmp_path, "olu", "batchnorm", "symba")
    assert matrix(result) == [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    assert result.notes[0].startswith("no parameter outside of the declared layers was written in 6 audited updates;")
    assert result.notes[0].endswith("a loss spanned up to 2 layers.")
    assert sum(row["compared"] for row in result.to_dict()["rows"]) > 0
    assert [row["changed"] for row in result.to_dict()["rows"]] == ["encoder, 1", "1-2", "2-3"]
    assert result.claims[0].agrees is True


def leaky(tmp_path: Path, how: str, **changes: Any) -> Any:
    return audit(tmp_path, "symba", **changes, rule={"name": "leaky", "plugin": write(tmp_path, LEAKING), "how": how})


def test_a_clean_rule_of_a_stranger_is_clean(tmp_path: Path) -> None:
    assert leaky(tmp_path, "none").notes[0].endswith("each loss reached only its own layer.")


@pytest.mark.parametrize(
    ("how", "name", "column", "gradient", "changed"),
    [
        ("undetached", "1.conv.weight", 2, "2-3", "3"),
        ("by-hand", "0.conv.weight", 1, "3", "1, 3"),
        ("encoder", "encoder.embedding", 0, "3", "encoder, 3"),
    ],
)
def test_a_leak_is_named(tmp_path: Path, how: str, name: str, column: int, gradient: str, changed: str) -> None:
    result = leaky(tmp_path, how)
    row = result.to_dict()["rows"][2]
    assert (row["gradient"], row["changed"]) == (gradient, changed)
    assert name in row["leaks"]
    assert matrix(result)[2][column] == 1
    assert result.notes[0].startswith("LEAK: ")
    assert f"the loss on layer 3 reaches {name}" in result.notes[0]
    assert result.claims[0].agrees is False
    assert result.extra["runs"][0]["leaks"]["3"] == [name]
    assert len(result.figure().axes[0].patches) == sum(map(len, result.extra["runs"][0]["leaks"].values()))


def test_a_leak_that_begins_after_the_first_steps_is_found(tmp_path: Path) -> None:
    result = leaky(tmp_path, "late", epochs=4)
    assert result.notes[0].startswith("LEAK: the loss on layer 3 reaches 0.conv.weight")
    with ffprobe.open(tmp_path / "run.h5") as run:
        outside = run.read("probes/locality/changed_outside").sum(axis=(1, 2))
        assert run.read("probes/locality/epoch").tolist() == [0, 1, 2, 3]
    assert (outside > 0).tolist() == [False, False, True, True]


def test_the_audited_steps_are_random_and_the_same_after_a_resume(tmp_path: Path) -> None:
    from ffprobe_plugins.probes.locality import _random_order

    def order(epoch: int, seed: int = 0) -> list[int]:
        run = SimpleNamespace(config={"seed": seed}, steps_per_epoch=50)
        return _random_order(SimpleNamespace(run=run, epoch=epoch))  # type: ignore[arg-type]

    assert sorted(order(0)) == list(range(50))
    assert order(3) == order(3)
    assert len({tuple(order(epoch)[:2]) for epoch in range(20)}) > 10
    assert order(3) != order(3, seed=1)


def test_a_loss_scaled_by_the_last_layers_error_is_found_by_the_intervention(tmp_path: Path) -> None:
    result = leaky(tmp_path, "scaled")
    rows = result.to_dict()["rows"]
    assert [row["leaks"] for row in rows] == ["none"] * 3  # it writes only to its own layer
    assert result.notes[0].startswith("DEPENDENT ON DEEPER LAYERS: noise in deeper weights changed the updates by")
    assert "0.conv.weight" in rows[0]["depends"] and "1.conv.weight" in rows[1]["depends"]
    assert rows[2]["depends"] is None  # no layer is deeper than the last
    assert result.claims[0].agrees is False
    assert set(result.extra["runs"][0]["dependent"]) == {"1", "2"}


def test_the_intervention_leaves_the_run_as_it_is(tmp_path: Path) -> None:
    weights = []
    for name, word in (("with", "locality:sandbox_every=1"), ("without", "layers")):
        (tmp_path / name).mkdir()
        registry = Registry()
        changes = {"recording": {"activations": False}, "training": {"epochs": 2}}
        Session.start(
            toy_config(registry, "olu", "batchnorm", word, **changes), registry, tmp_path / name / "r.h5"
        ).run()
        with ffprobe.open(tmp_path / name / "r.h5") as run:
            assert run.messages() == []
            weights.append([run.read(f"weights/{i}/conv.weight") for i in range(3)])
    assert all((a == b).all() for a, b in zip(*weights, strict=True))


def test_a_span_is_the_last_layer_minus_the_first_plus_one(tmp_path: Path) -> None:
    zeros = np.zeros((3, 4), int)  # [loss, encoder and three weights]
    changed = zeros.copy()
    changed[2, [1, 3]] = 2  # layers 1 and 3, not 2
    row = {"epoch": 0, "updates": [2, 2, 2], "gradient": zeros, "changed": changed}
    row |= {"gradient_outside": zeros, "changed_outside": zeros, "compared": [0] * 3, "dependent": zeros}
    with recorded(tmp_path / "a.h5", Locality(), {"": [row]}, layers=3) as run:
        result = Locality().analyze([run])
    assert result.extra["runs"][0]["span"] == 3
    assert "a loss spanned up to 3 layers" in result.notes[0]


def test_a_file_without_an_intervention_is_still_analyzed(tmp_path: Path) -> None:
    class Old(Locality):
        def variables(self, run: Any) -> Any:
            return [v for v in super().variables(run) if v.name not in ("compared", "dependent")]

    zeros = np.zeros((2, 3), int)
    changed = zeros.copy()
    changed[[0, 1], [1, 2]] = 2
    row = {"epoch": 0, "updates": [2, 2], "gradient": changed, "changed": changed}
    row |= {"gradient_outside": zeros, "changed_outside": zeros}
    with recorded(tmp_path / "a.h5", Old(), {"": [row]}, layers=2) as run:
        result = Locality().analyze([run])
    assert any("no intervention was recorded" in note for note in result.notes)
    assert result.to_dict()["rows"][0]["compared"] == 0


def test_a_gradient_left_behind_is_found_at_the_next_update(tmp_path: Path) -> None:
    # layer 1's gradient from the loss on layer 2 is still there when the next step updates layer 0
    result = leaky(tmp_path, "undetached")
    assert result.extra["runs"][0]["leaks"]["1"] == ["1.conv.weight"]


def test_unaudited_losses_are_reported(tmp_path: Path) -> None:
    result = audit(tmp_path, "olu", "batchnorm", word="locality:steps=1", epochs=1)
    # step 0 has only the loss on layer 2 (of three; the last is idle)
    assert matrix(result)[1] == [0, 1, 1, 0]
    assert np.isnan(matrix(result)[0]).all()
    assert any("its loss on layer 1, 3; for a longer audit" in note for note in result.notes)
    assert result.to_dict()["rows"][0]["changed"] is None


def test_which_epochs_are_audited(tmp_path: Path) -> None:
    audit(tmp_path, "greedy", word="locality:every=2,steps=1", epochs=6, training={"epochs": 6, "max_images": 128})
    with ffprobe.open(tmp_path / "run.h5") as run:
        assert run.read("probes/locality/epoch").tolist() == [0, 1, 4, 5]
        assert (run.read("probes/locality/updates") == 1).all()


@pytest.mark.parametrize(
    ("indices", "text"), [([], "none"), ([-1, 0], "encoder, 1"), ([0, 1, 2, 4], "1-3, 5"), ([3], "4")], ids=str
)
def test_ranges_of_layers(indices: list[int], text: str) -> None:
    assert _ranges(indices) == text


class TestRefusals:
    def test_not_audited(self, make_run: Any) -> None:
        with pytest.raises(ffprobe.FileError, match=r"was not audited.*--plugin locality"):
            Locality().analyze([make_run()])

    def test_nothing_yet(self, tmp_path: Path) -> None:
        run = recorded(tmp_path / "a.h5", Locality(), {}, layers=2, finish=False)
        with pytest.raises(ffprobe.FileError, match="The file has no audit yet"):
            Locality().analyze([run])
