"""The recordings of 2026 replay within their tolerances, one file a test, and a wrong method is noticed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch.nn import functional

from ffprobe.errors import FileError
from ffprobe.plugin.registry import Registry
from ffprobe.replay import replay

FOLDER = Path(__file__).parents[3] / "shared" / "golden" / "field-2026"
FILES = sorted(FOLDER.glob("*.npz"))
needs_recordings = pytest.mark.skipif(not FILES, reason="the reference trajectories are not here (../shared/golden)")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@needs_recordings
@pytest.mark.parametrize("file", FILES or [FOLDER], ids=lambda path: path.stem)
def test_a_recording_of_2026_replays(file: Path, registry: Registry) -> None:
    result = replay(file, registry)
    assert result.passed, result.to_dict()
    assert "the peer does not know this quantity" not in result.not_compared.values(), result.not_compared
    assert "weights" in result.deviations and "first_grad" in result.deviations


def _scheduled(name: str, **settings: Any) -> Callable[[pytest.MonkeyPatch], None]:
    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        from ffprobe_plugins.peers.ffa_theory import FFATheoryPeer

        components = FFATheoryPeer._components
        entry = {"name": name, **settings}
        monkeypatch.setattr(
            FFATheoryPeer, "_components", lambda self, meta: {**components(self, meta), "scheduler": entry}
        )

    return patch


def _replaced(module: str, attribute: str, value: Any) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda monkeypatch: monkeypatch.setattr(f"ffprobe_plugins.{module}.{attribute}", value)


def _not_normalized(x: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    return x


def _threshold_with_gradient(self: Any, positive: Any, negative: Any) -> Any:
    return (positive.mean() + negative.mean()) / 2


def _sum_instead_of_mean(self: Any, shape: Any, classes: int) -> Any:
    from ffprobe_plugins.goodness.perceptron_square import PerceptronSquare

    made = PerceptronSquare.__dict__["_right"](self, shape, classes)
    made.register_forward_hook(lambda module, inputs, output: output * self.params.width)
    return made


def _without_signs(network: Any, rule: str, feedback: Any, signed: bool = False) -> None:
    from ffprobe_plugins.rules.feedback_maps import replace_maps

    replace_maps(network, rule, feedback)


def _averaged_over_positions(self: Any, index: int, feedback: Any) -> Any:
    import numpy as np

    if feedback.ndim == 2:
        return feedback.T.copy()
    flat = feedback.mean(axis=(2, 3))  # [K, channels]
    return np.repeat(flat.T, np.prod(self._shapes[index][1:], dtype=int), axis=0)


INTERPOLATE = functional.interpolate


def _corners_not_aligned(x: Any, size: Any, mode: str, align_corners: bool) -> Any:
    return INTERPOLATE(x, size, mode=mode, align_corners=False)


def _constant_rates(self: Any, index: int) -> Any:
    weight = self.network.layer(index).weight.detach()
    return weight.new_full((len(weight),), self.params.rates[0])


def _without_sign(self: Any, index: int, u: Any) -> Any:
    from ffprobe_plugins.rules.soft_hebb import at_layer

    return (at_layer(self.params.inverse_temperature, index) * u).softmax(dim=1)


def _summing(monkeypatch: pytest.MonkeyPatch) -> None:
    from ffprobe_plugins.goodness.perceptron_square import PerceptronSquare

    monkeypatch.setattr(PerceptronSquare, "_right", PerceptronSquare.build, raising=False)
    monkeypatch.setattr(PerceptronSquare, "build", _sum_instead_of_mean)


MISTAKES: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "trifecta: turns by step": (
        "ffatheory-trifecta-cnn2-alpha1-decay-f64",
        _scheduled("alternating", alternate_every="step"),
    ),
    "trifecta: the layer before also learns": (
        "ffatheory-trifecta-cnn4-pooled-f64",
        _scheduled("olu", alternate_every="epoch", offset=1),
    ),
    "sff: normalized over the whole map": (
        "ffatheory-sff-cnn4-f64",
        lambda monkeypatch: monkeypatch.setattr("torch.nn.LayerNorm.forward", lambda self, x: x - x.mean()),
    ),
    "prototype: nothing normalized": (
        "ffatheory-prototype-cnn4-nobn-f64",
        lambda monkeypatch: monkeypatch.setattr("torch.nn.functional.normalize", _not_normalized),
    ),
    "strict: goodness is a sum": ("ffatheory-strictffa-cnn2-4x4-f64", _summing),
    "strict: the threshold carries a gradient": (
        "ffatheory-strictffa-cnn2-4x4-f64",
        _replaced("losses.midpoint", "Midpoint._threshold", _threshold_with_gradient),
    ),
    "symba: goodness is a sum": ("ffatheory-symba-cnn2-alpha1-decay-f64", _summing),
    "biotorch: feedback without signs": (
        "biotorch-frsf-mlp-f64",
        _replaced("rules.sign_symmetry", "replace_maps", _without_signs),
    ),
    "biotorch: magnitudes of another initialization": (
        "biotorch-usf-mlp-nobias-f64",
        _replaced("rules.sign_symmetry", "SignSymmetry.scale", lambda self, weight: 1.0),
    ),
    "biotorch: true weights": (
        "biotorch-fa-strided-f64",
        _replaced("rules.feedback_maps", "FeedbackMap.back", lambda self: self.weight),
    ),
    "biotorch: direct feedback of another layer": (
        "biotorch-dfa-conv-defaultinit-f64",
        _replaced("peers.biotorch", "BioTorchPeer._sent", _averaged_over_positions),
    ),
    "auglocal: corners are not aligned": (
        "auglocal-infopro",
        lambda monkeypatch: monkeypatch.setattr("torch.nn.functional.interpolate", _corners_not_aligned),
    ),
    "auglocal: no batch normalization in front of the head": (
        "auglocal-depth1-stages-f64",
        lambda monkeypatch: monkeypatch.setattr("torch.nn.BatchNorm1d.forward", lambda self, x: x),
    ),
    "softhebb: no anti-hebbian sign": (
        "softhebb-demo-1block-t12-f64",
        _replaced("rules.soft_hebb", "SoftHebbLearner.response", _without_sign),
    ),
    "softhebb: constant rates": (
        "softhebb-full-softkrotov-grouped-f64",
        _replaced("rules.soft_hebb", "SoftHebbLearner.rates", _constant_rates),
    ),
    "grouped: detached inside groups": ("ffatheory-grouped-4layer-lpb4-f64", _scheduled("greedy")),
}


@needs_recordings
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_noticed(mistake: str, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    name, patch = MISTAKES[mistake]
    patch(monkeypatch)
    if mistake == "grouped: detached inside groups":
        with pytest.raises(FileError, match="is inconsistent"):  # every layer would need a head of its own
            replay(FOLDER / f"{name}.npz", registry)
        return
    result = replay(FOLDER / f"{name}.npz", registry)
    assert not result.passed
    assert max(result.excess.values()) > 100, result.to_dict()
