"""The audit finds what a rule really reaches, also where the rule says otherwise."""

from __future__ import annotations

from pathlib import Path
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
        how: Literal["none", "undetached", "by-hand", "encoder"] = "none"

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
            loss.backward()
            optimizer.step()
            if index == 2:
                with torch.no_grad():
                    if self.how == "by-hand":
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
    assert result.notes[0] == "strictly local: each loss reaches its own layer only."
    assert result.claims[0].agrees is True
    assert [row["leaks"] for row in result.to_dict()["rows"]] == ["none"] * 3
    assert [row["updates"] for row in result.to_dict()["rows"]] == [4] * 3  # two steps of two epochs


def test_olu_reaches_one_layer_down_and_the_learned_encoder(tmp_path: Path) -> None:
    result = audit(tmp_path, "olu", "batchnorm", "symba")
    assert matrix(result) == [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    assert result.notes[0].startswith("groups of up to 2 layers, and nothing outside")
    assert [row["changed"] for row in result.to_dict()["rows"]] == ["encoder, 1", "1-2", "2-3"]
    assert result.claims[0].agrees is True


def leaky(tmp_path: Path, how: str) -> Any:
    return audit(tmp_path, "symba", rule={"name": "leaky", "plugin": write(tmp_path, LEAKING), "how": how})


def test_a_clean_rule_of_a_stranger_is_clean(tmp_path: Path) -> None:
    assert leaky(tmp_path, "none").notes[0].startswith("strictly local")


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


def test_a_gradient_left_behind_is_found_at_the_next_update(tmp_path: Path) -> None:
    # layer 1's gradient from the loss on layer 2 is still there when the next step updates layer 0
    result = leaky(tmp_path, "undetached")
    assert result.extra["runs"][0]["leaks"]["1"] == ["1.conv.weight"]


def test_what_was_not_seen_is_told(tmp_path: Path) -> None:
    result = audit(tmp_path, "olu", "batchnorm", word="locality:steps=1", epochs=1)
    # step 0 has only the loss on layer 2 (of three; the last is idle)
    assert matrix(result)[1] == [0, 1, 1, 0]
    assert np.isnan(matrix(result)[0]).all()
    assert any("its loss on layer 1, 3; a longer audit" in note for note in result.notes)
    assert result.to_dict()["rows"][0]["changed"] is None


def test_which_epochs_are_audited(tmp_path: Path) -> None:
    audit(tmp_path, "greedy", word="locality:every=2,steps=1", epochs=6, training={"epochs": 6, "max_images": 128})
    with ffprobe.open(tmp_path / "run.h5") as run:
        assert run.read("probes/locality/epoch").tolist() == [0, 1, 4, 5]
        assert (run.read("probes/locality/updates") == 1).all()


@pytest.mark.parametrize(
    ("places", "text"), [([], "none"), ([-1, 0], "encoder, 1"), ([0, 1, 2, 4], "1-3, 5"), ([3], "4")], ids=str
)
def test_ranges_of_layers(places: list[int], text: str) -> None:
    assert _ranges(places) == text


class TestRefusals:
    def test_not_audited(self, make_run: Any) -> None:
        with pytest.raises(ffprobe.FileError, match=r"was not audited.*--plugin locality"):
            Locality().analyze([make_run()])

    def test_nothing_yet(self, tmp_path: Path) -> None:
        run = recorded(tmp_path / "a.h5", Locality(), {}, layers=2, finish=False)
        with pytest.raises(ffprobe.FileError, match="No audit is in the file yet"):
            Locality().analyze([run])
