"""Perplexity of goodness as logits, in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.perplexity import Perplexity
from scipy.special import softmax
from sklearn.metrics import log_loss

import ffprobe

MakeRun = Callable[..., Any]
LOGITS = {"attributes": {"goodness_form": "class"}, "plugins": {"loss": "cross-entropy"}}


def analyze(*runs: Any, **params: Any) -> Any:
    return Perplexity(Perplexity.Params(**params)).analyze(list(runs))


def sampled(samples: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Scores of four labels, and labels drawn from their softmax."""
    random = np.random.default_rng(0)
    scores = 2 * random.normal(size=(samples, 4))
    truth = np.minimum((random.random((samples, 1)) > softmax(scores, axis=1).cumsum(axis=1)).sum(axis=1), 3)
    return scores, truth


def test_uniform_logits_have_as_much_perplexity_as_labels_and_certainty_has_one(make_run: MakeRun) -> None:
    truth = np.arange(40) % 4
    certain = 1000.0 * np.eye(4)[truth]
    two = np.where(np.arange(4) // 2 == truth[:, None] // 2, 0.0, -1000.0)  # the right label is one of two
    run = make_run(goodness=np.stack([np.full((40, 4), 7.0), certain, two]), truth=truth, **LOGITS)
    rows = analyze(run).to_dict()["rows"]
    assert [row["perplexity"] for row in rows] == pytest.approx([4, 1, 2])
    assert [row["bits"] for row in rows] == pytest.approx([2, 0, 1])
    assert [row["nats"] for row in rows] == pytest.approx([math.log(4), 0, math.log(2)])
    assert [row["low"] for row in rows] == [row["high"] for row in rows] == pytest.approx([4, 1, 2])
    assert [row["accuracy"] for row in rows] == [0, 100, 0]  # a tie is wrong


def test_the_cross_entropy_is_that_of_the_test_labels(make_run: MakeRun) -> None:
    scores, truth = sampled()
    result = analyze(make_run(goodness=scores[None], truth=truth, evaluations={2: 9 * scores[None]}, **LOGITS))
    (row,) = result.to_dict()["rows"]
    nats = log_loss(truth, softmax(scores, axis=1))
    assert row["nats"] == pytest.approx(nats, rel=1e-5)
    assert row["perplexity"] == pytest.approx(math.exp(nats), rel=1e-5)
    assert row["low"] < row["perplexity"] < row["high"]
    assert any("scored on the 400 test samples" in note for note in result.notes)
    p = np.bincount(truth) / 400
    entropy = -(p * np.log(p)).sum()
    assert any(f"have a perplexity of {math.exp(entropy):.3f} ({entropy:.3f} nats)" in note for note in result.notes)


def test_without_the_test_set_the_last_evaluation_is_scored(make_run: MakeRun) -> None:
    scores, truth = sampled()
    run = make_run(goodness=scores[None], truth=truth, test=False, evaluations={2: 3 * scores[None]}, **LOGITS)
    result = analyze(run)
    assert result.to_dict()["rows"][0]["nats"] == pytest.approx(log_loss(truth, softmax(3 * scores, axis=1)), rel=1e-5)
    assert any("scored on the 400 validation samples" in note for note in result.notes)


def test_a_goodness_of_pairs_needs_a_temperature(make_run: MakeRun) -> None:
    scores, truth = sampled(2000)
    run = make_run(goodness=5 * scores[None], truth=truth)
    with pytest.raises(ffprobe.FileError, match="Goodness of form pair is no log probability") as caught:
        analyze(run)
    assert "perplexity:calibrate=true" in caught.value.hint
    result = analyze(run, calibrate=True)
    (row,) = result.to_dict()["rows"]
    assert row["temperature"] == pytest.approx(5, rel=0.15)
    scored = np.sort(np.random.default_rng(0).permutation(2000)[1000:])
    expected = log_loss(truth[scored], softmax(5 * scores[scored] / row["temperature"], axis=1))
    assert row["nats"] == pytest.approx(expected, rel=1e-5)
    assert any("1000 of the 2000 test samples are scored; fitted on one half" in note for note in result.notes)


def test_a_layer_without_goodness_has_no_perplexity(make_run: MakeRun) -> None:
    scores, truth = sampled(40)
    goodness = np.stack([np.full((40, 4), np.nan), scores])
    result = analyze(make_run(goodness=goodness, truth=truth, **LOGITS), make_run("b", **LOGITS))
    rows = result.to_dict()["rows"]
    assert [row["perplexity"] is None for row in rows[:2]] == [True, False]
    assert any("goodness of layer 1 is NaN" in note for note in result.notes)


def test_other_losses_are_named_and_the_figure_draws(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(attributes={"goodness_form": "class"}, plugins={"loss": "pvn"})
    result = analyze(run)
    assert any("the loss 'pvn' does not train goodness as log probabilities" in note for note in result.notes)
    assert result.save_figure(tmp_path / "figure.png", command="test")[0].exists()
